// Input that no client sends: whatever it is, the broker answers or closes, says one line about it,
// and serves the next client.
#include <catch2/catch.hpp>

#include <algorithm>
#include <string>

#include "core/protocol/api_versions.h"
#include "core/protocol/messages/init_producer_id.h"
#include "core/protocol/messages/metadata.h"
#include "tests/server/requests_for_tests.h"
#include "tests/support/drawn_message.h"

using namespace klamm;
using namespace klamm::server;
using namespace klamm::server::test;
using protocol::ErrorCode;

namespace {

class Lines final : public sim::WorldObserver {
  public:
    void on_log(sim::NodeId, env::ShardIndex, Instant, std::string_view line) override {
        if (line.starts_with("closing a connection:")) ++closed;
        last = line;
    }
    int closed = 0;
    std::string last;
};

struct HostileWorld {
    explicit HostileWorld(ClusterOptions options = {})
        : cluster(std::move(options)), client(cluster.world) {
        cluster.world.set_observer(&lines);
        ready = cluster.ready();
    }
    /// Sends bytes on a connection of their own and gives it a moment.
    std::size_t send(const Bytes& bytes) {
        const std::size_t line = client.connect("broker-1");
        client.send_bytes(line, bytes);
        cluster.world.run_until([&] { return client.line(line).closed || client.has(line, 0); },
                                milliseconds(50));
        return line;
    }
    bool serves() {
        const std::size_t line = client.connect("broker-1");
        const Bytes batch = batch_of({"still here"});
        const auto produced = client.call(line, produce_of(batch), 12, seconds(5));
        return !cluster.world.ended() && produced &&
               only(produced->body).error_code == ErrorCode::none;
    }
    Lines lines;
    Cluster cluster;
    ScriptClient client;
    bool ready = false;
};

Bytes frame_of_size(std::int32_t size, std::size_t bytes) {
    Bytes frame(4 + bytes, 0);
    store_big_endian(frame.data(), size);
    return frame;
}

/// One sound request of every API in every version.
std::vector<Bytes> sound_requests() {
    static const Bytes batch = batch_of({"one", "two"});
    std::vector<Bytes> all;
    const auto add = [&](const auto& request, int version) {
        all.push_back(protocol::encode_request_frame(request, version, 1, "someone").bytes);
    };
    protocol::MetadataRequest metadata;
    metadata.topics->push_back({Uuid{}, "trial"});
    protocol::InitProducerIdRequest producer_id;
    producer_id.transactional_id = std::nullopt;
    for (const auto& api : protocol::advertised_apis(protocol::Listener::broker)) {
        for (int version = api.min_version; version <= api.max_version; ++version) {
            switch (api.api_key) {
                case protocol::ApiKey::produce:
                    add(produce_of(batch, 1, version >= 13), version);
                    break;
                case protocol::ApiKey::fetch:
                    add(fetch_of(Offset(0), version >= 13), version);
                    break;
                case protocol::ApiKey::list_offsets: add(list_of(-1), version); break;
                case protocol::ApiKey::metadata: add(metadata, version); break;
                case protocol::ApiKey::api_versions:
                    add(protocol::ApiVersionsRequest{"a", "1"}, version);
                    break;
                case protocol::ApiKey::init_producer_id: add(producer_id, version); break;
                case protocol::ApiKey::offset_for_leader_epoch:
                    add(epoch_end_of(LeaderEpoch(0)), version);
                    break;
                default: break;
            }
        }
    }
    return all;
}

void fix_length(Bytes& frame) {
    store_big_endian(frame.data(), static_cast<std::int32_t>(frame.size() - 4));
}

}  // namespace

TEST_CASE("hostile: lengths that are none close at once, with one line") {
    HostileWorld world;
    REQUIRE(world.ready);
    int closed = 0;
    for (const std::int32_t size : {0, -1, INT32_MIN, INT32_MAX, 104'857'601, 0x16030100}) {
        const std::size_t line = world.send(frame_of_size(size, 8));
        CHECK(world.client.line(line).closed);
        CHECK(world.lines.closed == ++closed);
    }
    CHECK(world.serves());
}

TEST_CASE(
    "hostile: a body that ends too early closes, in every API and version, and one with "
    "more behind it is answered, as by Kafka") {
    HostileWorld world;
    REQUIRE(world.ready);
    for (const Bytes& sound : sound_requests()) {
        const auto key = load_big_endian<std::int16_t>(sound.data() + 4);
        const auto version = load_big_endian<std::int16_t>(sound.data() + 6);
        INFO("key " << key << " version " << version);
        Bytes frame = sound;
        frame.pop_back();
        fix_length(frame);
        // The empty body of an old ApiVersions cannot lose a byte: its header does.
        const int before = world.lines.closed;
        const std::size_t line = world.send(frame);
        CHECK(world.client.line(line).closed);
        CHECK(world.client.line(line).frames.empty());
        CHECK(world.lines.closed == before + 1);

        frame = sound;
        frame.push_back(0);
        fix_length(frame);
        const std::size_t longer = world.send(frame);
        const std::size_t plain = world.send(sound);
        CHECK(world.client.line(longer).closed == world.client.line(plain).closed);
        CHECK(world.client.line(longer).frames.size() == world.client.line(plain).frames.size());
        world.client.close(longer);
        world.client.close(plain);
    }
    CHECK(world.serves());
    CHECK(world.cluster.broker(BrokerId(1))->requests().waiting() <= 2);
}

TEST_CASE("hostile: random bytes in a frame") {
    HostileWorld world;
    REQUIRE(world.ready);
    for (std::uint64_t i = 0; i < 1000; ++i) {
        Bytes frame(4 + 1 + mix64(i) % 200);
        for (std::size_t at = 4; at < frame.size(); ++at)
            frame[at] = static_cast<std::uint8_t>(mix64(i * 1'000 + at));
        // Often an API that is served, so that its body is looked at.
        if (i % 2 == 0 && frame.size() >= 8) {
            frame[4] = 0;
            frame[5] = std::array<std::uint8_t, 7>{0, 1, 2, 3, 18, 22, 23}[mix64(i + 7) % 7];
            frame[6] = 0;
            frame[7] = static_cast<std::uint8_t>(mix64(i + 9) % 14);
        }
        fix_length(frame);
        const std::size_t line = world.send(frame);
        REQUIRE_FALSE(world.cluster.world.ended());
        world.client.close(line);
    }
    CHECK(world.serves());
}

TEST_CASE("hostile: sound requests with a few bytes changed are answered, or close with a line") {
    HostileWorld world({.shards = GENERATE(1U, 2U), .topic = {}, .script = {}});
    REQUIRE(world.ready);
    const std::vector<Bytes> sound = sound_requests();
    int closed = 0;
    for (std::uint64_t i = 0; i < 4000; ++i) {
        Bytes frame = sound[i % sound.size()];
        const std::uint64_t changes = 1 + mix64(i) % 3;
        for (std::uint64_t c = 0; c < changes; ++c) {
            const std::uint64_t word = mix64(i * 16 + c + 1'000'000);
            const std::size_t at = 8 + word % (frame.size() - 8);
            const std::array<std::uint8_t, 8> values{
                0, 1, 0x7f, 0x80, 0xff, 0xfe, 2, static_cast<std::uint8_t>(word >> 40)};
            frame[at] = values[(word >> 32) % values.size()];
            if (word >> 60 == 0) frame.insert(frame.begin() + static_cast<std::ptrdiff_t>(at), 0);
            if (word >> 60 == 1 && frame.size() > 20)
                frame.erase(frame.begin() + static_cast<std::ptrdiff_t>(at));
        }
        fix_length(frame);
        const std::size_t line = world.send(frame);
        INFO("request " << i);
        REQUIRE_FALSE(world.cluster.world.ended());
        if (world.client.line(line).closed) ++closed;
        REQUIRE(world.lines.closed == closed);
        world.client.close(line);
    }
    CHECK(closed > 500);
    CHECK(closed < 3500);
    CHECK(world.serves());
}

TEST_CASE("hostile: any request of any API, whatever is in it, is answered or closes with a line") {
    // What is not served here closes, what is served may also wait: for a leader, for a record.
    HostileWorld world;
    REQUIRE(world.ready);
    int closed = 0;
    int answered = 0;
    protocol::for_each_message_info([&](const protocol::MessageInfo& info) {
        if (info.kind != protocol::MessageKind::request) return;
        const protocol::ApiInfo* api = protocol::find_api(info.key);
        for (int version = info.version_min - 1; version <= info.version_max + 1; ++version) {
            for (std::uint64_t seed = 1; seed <= 4; ++seed) {
                const int drawn = std::clamp<int>(version, info.version_min, info.version_max);
                protocol::Writer writer;
                writer.integer(std::int32_t{0});
                encode(
                    protocol::RequestHeader{info.key, static_cast<std::int16_t>(version), 1, "c"},
                    writer);
                writer.bytes(protocol::test::drawn_bytes(info, drawn, seed));
                protocol::finish_frame(0, writer);
                const std::size_t line = world.send(writer.take().bytes);
                INFO(info.name << " version " << version << " seed " << seed);
                REQUIRE_FALSE(world.cluster.world.ended());
                if (world.client.line(line).closed) ++closed;
                if (world.client.has(line, 0)) ++answered;
                REQUIRE(world.lines.closed == closed);
                const bool served = api->on_broker && api->serves(version);
                if (!served && info.key != protocol::ApiKey::api_versions)
                    REQUIRE(world.client.line(line).closed);
                world.client.close(line);
            }
        }
    });
    CHECK(answered > 50);
    CHECK(world.serves());
}

TEST_CASE("hostile: a request that arrives byte by byte is a request") {
    HostileWorld world;
    REQUIRE(world.ready);
    const std::size_t line = world.client.connect("broker-1");
    const Bytes frame =
        protocol::encode_request_frame(protocol::ApiVersionsRequest{"a", "1"}, 3, 1, "c").bytes;
    for (const std::uint8_t byte : frame) {
        world.client.send_bytes(line, {byte});
        world.cluster.world.run_for(milliseconds(5));
    }
    CHECK(world.cluster.world.run_until([&] { return world.client.has(line, 0); }, seconds(1)));
    // And half of one is none, whoever goes then.
    const std::size_t half = world.client.connect("broker-1");
    world.client.send_bytes(half, Bytes(frame.begin(), frame.begin() + 9));
    world.cluster.world.run_for(milliseconds(50));
    world.client.close(half);
    CHECK(world.serves());
}

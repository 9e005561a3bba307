// The capture of a run's network, read back from its bytes: blocks, headers, checksums, sequence
// numbers; streams put together by them hold Kafka's requests and responses.
#include <catch2/catch.hpp>

#include <map>
#include <set>
#include <sstream>

#include "sim/picture/messages.h"
#include "sim/picture/taps.h"
#include "sim/world/world.h"
#include "tests/picture/room.h"

using namespace klamm;
using namespace klamm::sim;
using namespace klamm::tests;

namespace {

using Ends = std::pair<std::uint64_t, std::uint64_t>;  // address and port, from and to

struct Segment {
    std::uint64_t time;
    Ends ends;
    std::uint32_t sequence;
    std::uint32_t acknowledged;
    std::uint8_t flags;
    std::string bytes;
};

struct Captured {
    std::map<std::uint32_t, std::string> names;
    std::vector<Segment> segments;
    std::vector<std::string> notes;
};

std::uint64_t big(std::string_view bytes, std::size_t at, std::size_t size) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i)
        value = value << 8 | static_cast<std::uint8_t>(bytes[at + i]);
    return value;
}
std::uint32_t little(std::string_view bytes, std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 4; i-- > 0;) value = value << 8 | static_cast<std::uint8_t>(bytes[at + i]);
    return value;
}
std::uint32_t sum(std::string_view bytes) {
    std::uint32_t total = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i)
        total += static_cast<std::uint32_t>(static_cast<std::uint8_t>(bytes[i]))
                 << (i % 2 == 0 ? 8 : 0);
    while (total > 0xffff) total = (total & 0xffff) + (total >> 16);
    return total;
}

void read_frame(Captured& all, std::uint64_t time, std::string_view frame) {
    REQUIRE(big(frame, 12, 2) == 0x0800);
    const std::string_view ip = frame.substr(14);
    REQUIRE(big(ip, 0, 1) == 0x45);
    REQUIRE(big(ip, 2, 2) == ip.size());
    REQUIRE(sum(ip.substr(0, 20)) == 0xffff);
    const std::uint64_t from = big(ip, 12, 4);
    const std::uint64_t to = big(ip, 16, 4);
    const std::string_view payload = ip.substr(20);
    std::string pseudo(ip.substr(12, 8));
    pseudo += '\0';
    pseudo += ip[9];
    pseudo += static_cast<char>(payload.size() >> 8);
    pseudo += static_cast<char>(payload.size());
    REQUIRE(sum(pseudo + std::string(payload)) == 0xffff);
    if (ip[9] == 17) {
        REQUIRE(big(payload, 4, 2) == payload.size());
        all.notes.emplace_back(payload.substr(8));
        return;
    }
    REQUIRE(ip[9] == 6);
    const std::size_t head = static_cast<std::uint8_t>(payload[12]) / 16 * std::size_t{4};
    all.segments.push_back({time,
                            {from << 16 | big(payload, 0, 2), to << 16 | big(payload, 2, 2)},
                            static_cast<std::uint32_t>(big(payload, 4, 4)),
                            static_cast<std::uint32_t>(big(payload, 8, 4)),
                            static_cast<std::uint8_t>(payload[13]),
                            std::string(payload.substr(head))});
}

Captured read(std::string_view file) {
    Captured all;
    std::uint64_t last = 0;
    for (std::size_t at = 0, block = 0; at < file.size(); ++block) {
        const std::uint32_t type = little(file, at);
        const std::uint32_t size = little(file, at + 4);
        REQUIRE(size % 4 == 0);
        REQUIRE(at + size <= file.size());
        REQUIRE(little(file, at + size - 4) == size);
        const std::string_view body = file.substr(at + 8, size - 12);
        at += size;
        if (block == 0) {
            REQUIRE(type == 0x0a0d0d0a);
            REQUIRE(little(body, 0) == 0x1a2b3c4d);
        } else if (block == 1) {
            REQUIRE(type == 1);
            REQUIRE((little(body, 0) & 0xffff) == 1);
        } else if (type == 4) {
            for (std::size_t i = 0; big(body, i, 1) != 0;) {
                const std::size_t length = little(body, i) >> 16;
                const std::string_view record = body.substr(i + 4, length);
                all.names[static_cast<std::uint32_t>(big(record, 0, 4))] =
                    record.substr(4, record.size() - 5);
                i += 4 + (length + 3) / 4 * 4;
            }
        } else {
            REQUIRE(type == 6);
            const std::uint64_t time = std::uint64_t{little(body, 4)} << 32 | little(body, 8);
            REQUIRE(time >= last);
            last = time;
            const std::uint32_t captured = little(body, 12);
            REQUIRE(captured == little(body, 16));
            read_frame(all, time, body.substr(20, captured));
        }
    }
    return all;
}

/// A stream as its sequence numbers put it together; it ends where a byte is missing.
struct Stream {
    std::uint32_t first = 0;
    std::string bytes;
    std::uint64_t again = 0;  // segments that were sent before
    bool begun = false;
};

std::vector<std::map<Ends, Stream>> streams_of(const Captured& all) {
    std::vector<std::map<Ends, Stream>> connections;
    std::map<Ends, std::size_t> place;
    for (const Segment& one : all.segments) {
        const Ends back{one.ends.second, one.ends.first};
        if ((one.flags & 2) != 0 && (one.flags & 16) == 0) {
            place[one.ends] = place[back] = connections.size();
            connections.emplace_back();
        }
        REQUIRE(place.count(one.ends) == 1);
        Stream& stream = connections[place[one.ends]][one.ends];
        if ((one.flags & 2) != 0) {
            stream.first = one.sequence + 1;
            stream.begun = true;
            continue;
        }
        if ((one.flags & 16) != 0 && (one.flags & 4) == 0) {
            const Stream& other = connections[place[one.ends]][back];
            if (other.begun) REQUIRE(one.acknowledged - other.first <= other.bytes.size());
        }
        if (one.bytes.empty()) continue;
        REQUIRE(stream.begun);
        const std::uint32_t at = one.sequence - stream.first;
        REQUIRE(at <= stream.bytes.size());  // no hole
        if (at == stream.bytes.size()) {
            stream.bytes += one.bytes;
        } else {
            ++stream.again;
            REQUIRE(stream.bytes.substr(at, one.bytes.size()) == one.bytes);
        }
    }
    return connections;
}

}  // namespace

TEST_CASE("capture: streams put together hold requests, and responses with their correlation ids") {
    const conformance::TemporaryDirectory room;
    std::uint64_t requests = 0, responses = 0, notes = 0, resets = 0, again = 0;
    std::set<std::uint64_t> keys;
    for (const std::uint64_t seed : {1, 2, 3, 4, 5, 6, 7, 8}) {
        OutputPaths paths;
        paths.capture = room.path() + "/run.pcap";
        const RunResult result = run_with(small_plan(seed), paths);
        const Captured all = read(text_of(*paths.capture));
        REQUIRE(all.names.at(0x0a01'0000) == "controller");
        REQUIRE(all.names.at(0x0a01'0001) == "broker-1");
        REQUIRE(all.notes.size() == result.fired_ids.size());
        notes += all.notes.size();
        for (const Segment& one : all.segments) resets += (one.flags & 4) != 0 ? 1 : 0;
        for (const auto& connection : streams_of(all)) {
            std::map<std::uint64_t, int> asked;
            for (const bool answers : {false, true}) {
                for (const auto& [ends, stream] : connection) {
                    const std::uint64_t port = (answers ? ends.first : ends.second) & 0xffff;
                    if (port != 9092 && port != 9093) continue;
                    again += stream.again;
                    const std::string& bytes = stream.bytes;
                    for (std::size_t at = 0; at + 12 <= bytes.size();) {
                        const std::uint64_t size = big(bytes, at, 4);
                        if (answers) {
                            const std::uint64_t correlation = big(bytes, at + 4, 4);
                            REQUIRE(asked[correlation] == 1);
                            asked[correlation] = 0;
                            ++responses;
                        } else {
                            keys.insert(big(bytes, at + 4, 2));
                            REQUIRE(big(bytes, at + 4, 2) < 100);
                            ++asked[big(bytes, at + 8, 4)];
                            ++requests;
                        }
                        at += 4 + size;
                    }
                }
            }
        }
    }
    CHECK(requests > 1000);
    CHECK(responses > 1000);
    CHECK(keys.count(0) == 1);   // Produce
    CHECK(keys.count(1) == 1);   // Fetch
    CHECK(keys.count(18) == 1);  // ApiVersions
    CHECK(notes > 0);
    CHECK(resets > 0);
    CHECK(again > 0);  // what a cut held goes through as a retransmission
}

namespace {

/// One connection from node 0 to port 9092 of node 1.
struct Wire {
    Wire() {
        WorldOptions options;
        World world(options);
        NodeSpec spec;
        for (const char* name : {"client", "server"}) {
            spec.name = name;
            (void)world.add_node(spec);
        }
        capture.begin(world);
        taps.add(&capture);
        taps.add(&messages);
        taps.on_connect(at(1), {0, NodeId(0), NodeId(1), 9092});
        taps.on_accept(at(2), 0);
        taps.on_established(at(3), 0);
    }
    static Instant at(std::int64_t milli) { return Instant{} + milliseconds(milli); }
    void send(std::int64_t milli, std::uint32_t way, const Bytes& bytes) {
        taps.on_packet_left(at(milli), 0, way, bytes);
    }
    void arrive(std::int64_t milli, std::uint32_t way, std::uint64_t size) {
        taps.on_packet_arrived(at(milli), 0, way, size);
    }

    std::ostringstream out;
    Capture capture{out};
    Messages messages;
    Taps taps;
};

// ApiVersions v0, correlation 7, client id "kl"; and its answer: one API.
const Bytes request{0, 0, 0, 12, 0, 18, 0, 0, 0, 0, 0, 7, 0, 2, 'k', 'l'};
const Bytes response{0, 0, 0, 16, 0, 0, 0, 7, 0, 0, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4};

std::string hex(std::string_view bytes) {
    std::string text;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        char digits[3];
        std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned char>(bytes[i]));
        text += digits;
        if (i % 32 == 31) text += '\n';
    }
    return text + '\n';
}

}  // namespace

TEST_CASE("capture: a request and its response, to the byte") {
    Wire wire;
    wire.send(4, 0, request);
    wire.arrive(5, 0, request.size());
    wire.send(6, 1, response);
    wire.arrive(7, 1, response.size());
    wire.taps.on_fin_left(wire.at(8), 0, 0);
    wire.taps.on_reset_left(wire.at(9), 0, 1);
    wire.capture.note(wire.at(10), "9.000s a fault");
    REQUIRE(hex(wire.out.str()) ==
            text_of(std::string(KLAMM_SOURCE_DIR) + "/tests/picture/golden/capture.hex"));
}

TEST_CASE("capture: a packet that a cut link holds is sent again when it goes through") {
    Wire wire;
    wire.send(4, 0, request);
    wire.taps.on_packet_held(wire.at(5), 0, 0);
    wire.arrive(900, 0, request.size());
    const Captured all = read(wire.out.str());
    std::vector<Segment> sent;
    for (const Segment& one : all.segments)
        if (!one.bytes.empty()) sent.push_back(one);
    REQUIRE(sent.size() == 2);
    REQUIRE(sent[0].sequence == sent[1].sequence);
    REQUIRE(sent[0].bytes == sent[1].bytes);
    REQUIRE(sent[1].time - sent[0].time == 896'000'000);
    REQUIRE(all.segments.back().acknowledged == sent[0].sequence + request.size());
}

TEST_CASE("messages: frames are found however they are cut, and know when they came") {
    for (std::size_t cut = 1; cut < request.size(); ++cut) {
        Wire wire;
        const auto middle = request.begin() + static_cast<std::ptrdiff_t>(cut);
        wire.send(4, 0, Bytes(request.begin(), middle));
        Bytes second = request;
        second[11] = 8;
        const auto into = second.begin() + 5;
        Bytes both(middle, request.end());
        both.insert(both.end(), second.begin(), into);
        wire.send(5, 0, both);
        wire.send(5, 0, Bytes(into, second.end()));
        wire.arrive(6, 0, cut);
        wire.arrive(7, 0, both.size());
        wire.send(8, 1, response);
        const std::vector<Message>& all = wire.messages.all();
        REQUIRE(all.size() == 3);
        REQUIRE(all[0].api == 18);
        REQUIRE(all[0].version == 0);
        REQUIRE(all[0].correlation == 7);
        REQUIRE(all[0].bytes == 12);
        REQUIRE(all[0].left == wire.at(4));
        REQUIRE(all[0].arrived == wire.at(7));
        REQUIRE(all[1].correlation == 8);
        REQUIRE(all[1].left == wire.at(5));
        REQUIRE(all[1].arrived == instant_never);
        REQUIRE(all[2].response);
        REQUIRE(all[2].api == 18);
        REQUIRE(all[2].arrived == instant_never);
    }
}

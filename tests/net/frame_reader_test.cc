// Cutting a stream into frames.
#include <catch2/catch.hpp>

#include "core/net/frame_reader.h"

using namespace klamm;
using namespace klamm::net;

namespace {

/// Keeps what is lent, to be filled by hand.
class Lender final : public env::Network {
  public:
    void listen(const env::Endpoint&, env::ListenerId) override {}
    env::ConnectionId connect(const env::Endpoint&) override { return env::ConnectionId::none; }
    void receive(env::ConnectionId, MutableBuffer into) override {
        lent = std::move(into);
        ++lends;
    }
    void send(env::ConnectionId, std::vector<env::Piece>, env::Token) override {}
    void close(env::ConnectionId) override {}

    MutableBuffer lent;
    int lends = 0;
};

constexpr env::ConnectionId connection{1};

/// Fills what is lent with the next bytes of `stream`, at most `step` at a time, until a frame or
/// a failure comes.
Result<std::optional<Buffer>> feed(FrameReader& reader, Lender& network, ByteView& stream,
                                   std::size_t step) {
    while (true) {
        const std::size_t count = std::min({step, network.lent.size(), stream.size()});
        REQUIRE(count > 0);
        std::copy_n(stream.begin(), count, network.lent.data());
        stream = stream.subspan(count);
        auto got = reader.received(network, connection, count);
        if (!got.ok() || got->has_value()) return got;
    }
}

Bytes length(std::int32_t value) {
    Bytes bytes(4);
    store_big_endian(bytes.data(), value);
    return bytes;
}

}  // namespace

TEST_CASE("frames: pieces of any size give the frames that were sent, each in one buffer") {
    const std::size_t step = GENERATE(1U, 2U, 3U, 5U, 7U, 1000U);
    Bytes bytes;
    const std::vector<std::string> texts{"a", "hello", std::string(300, 'x')};
    for (const std::string& text : texts) {
        const Bytes size = length(static_cast<std::int32_t>(text.size()));
        bytes.insert(bytes.end(), size.begin(), size.end());
        bytes.insert(bytes.end(), text.begin(), text.end());
    }
    FrameReader reader(300);
    Lender network;
    ByteView stream(bytes);
    std::vector<Buffer> frames;
    for (std::size_t i = 0; i < texts.size(); ++i) {
        reader.begin(network, connection);
        auto frame = feed(reader, network, stream, step);
        REQUIRE(frame.ok());
        frames.push_back(**frame);
    }
    // A frame stays what it is while the next ones are received.
    for (std::size_t i = 0; i < texts.size(); ++i) CHECK(as_text(frames[i]) == texts[i]);
    CHECK(stream.empty());
}

TEST_CASE("frames: a length that is not positive or too great is refused, nothing is lent for it") {
    const auto refused = [](std::int32_t size) {
        FrameReader reader(1000);
        Lender network;
        reader.begin(network, connection);
        const Bytes bytes = length(size);
        ByteView stream(bytes);
        auto got = feed(reader, network, stream, 4);
        REQUIRE_FALSE(got.ok());
        CHECK(network.lends == 1);
        CHECK(reader.lent_bytes() == 0);
        return got.failure();
    };
    CHECK(refused(0) == Failure::invalid);
    CHECK(refused(-1) == Failure::invalid);
    CHECK(refused(INT32_MIN) == Failure::invalid);
    CHECK(refused(1001) == Failure::limit);
    CHECK(refused(INT32_MAX) == Failure::limit);
}

TEST_CASE("frames: nothing is read ahead of the frame that was begun") {
    FrameReader reader(1000);
    Lender network;
    reader.begin(network, connection);
    CHECK(network.lent.size() == 4);
    const Bytes bytes = length(10);
    std::copy(bytes.begin(), bytes.end(), network.lent.data());
    REQUIRE(reader.received(network, connection, 4).ok());
    CHECK(network.lent.size() == 10);
    CHECK(reader.lent_bytes() == 10);
    REQUIRE(reader.received(network, connection, 7).ok());
    CHECK(network.lent.size() == 3);
    const int before = network.lends;
    REQUIRE(reader.received(network, connection, 3)->has_value());
    CHECK(network.lends == before);
}

// Rules about requests: which frame meets a rule, however its bytes are split, and that a tap hands
// on what it sees.
#include <catch2/catch.hpp>

#include "sim/run/request_rules.h"

using namespace klamm;
using namespace klamm::sim;

namespace {

struct Counting final : NetworkTap {
    void on_packet_left(Instant, std::uint32_t, std::uint32_t, ByteView bytes) override {
        seen += bytes.size();
    }
    std::uint64_t seen = 0;
};

void put32(Bytes& into, std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8)
        into.push_back(static_cast<std::uint8_t>(value >> shift));
}

void add_request(Bytes& into, std::uint16_t api, std::uint32_t correlation, std::size_t body) {
    put32(into, static_cast<std::uint32_t>(8 + body));
    put32(into, static_cast<std::uint32_t>(api) << 16 | 7);
    put32(into, correlation);
    into.resize(into.size() + body, 0xff);
}

void add_response(Bytes& into, std::uint32_t correlation, std::size_t body) {
    put32(into, static_cast<std::uint32_t>(4 + body));
    put32(into, correlation);
    into.resize(into.size() + body, 0xff);
}

/// Two connections, 1 → 2 and 3 → 2; every packet has `packet` bytes.
struct Reading {
    explicit Reading(std::size_t packet_) : packet(packet_) {
        rules.on_connect({}, {0, NodeId{1}, NodeId{2}, 9092, 77});
        rules.on_connect({}, {1, NodeId{3}, NodeId{2}, 9092, 78});
    }
    void rule(std::int16_t api, std::vector<NodeId> from, std::uint32_t nth,
              RequestRule::Point point) {
        RequestRule one;
        one.api = api;
        one.from = std::move(from);
        one.nth = nth;
        one.point = point;
        one.met = [this] { ++met; };
        rules.add(std::move(one));
    }
    int leave(std::uint32_t connection, std::uint32_t way, const Bytes& bytes) {
        const int before = met;
        for (std::size_t at = 0; at < bytes.size(); at += packet)
            rules.on_packet_left({}, connection, way,
                                 ByteView(bytes).subspan(at, std::min(packet, bytes.size() - at)));
        world.run_for(milliseconds(1));
        total += bytes.size();
        return met - before;
    }
    std::size_t packet;
    World world{{.seed = 1}};
    Counting next;
    RequestRules rules{world, &next};
    int met = 0;
    std::uint64_t total = 0;
};

}  // namespace

TEST_CASE("rules: the n-th request of its API, by who asks, meets a rule once") {
    for (const std::size_t packet : {1, 3, 12, 13, 1000}) {
        Reading reading(packet);
        reading.rule(1, {NodeId{1}}, 2, RequestRule::Point::before);
        Bytes fetch;
        add_request(fetch, 1, 5, 40);
        Bytes produce;
        add_request(produce, 0, 6, 0);
        CHECK(reading.leave(0, 0, produce) == 0);
        CHECK(reading.leave(0, 0, fetch) == 0);
        CHECK(reading.leave(1, 0, fetch) == 0);
        CHECK(reading.leave(1, 0, fetch) == 0);
        CHECK(reading.leave(0, 0, fetch) == 1);
        CHECK(reading.leave(0, 0, fetch) == 0);
        CHECK(reading.next.seen == reading.total);
    }
}

TEST_CASE("rules: after a request was applied is when its own answer leaves") {
    for (const std::size_t packet : {1, 5, 1000}) {
        Reading reading(packet);
        reading.rule(0, {}, 1, RequestRule::Point::after);
        Bytes requests;
        add_request(requests, 1, 4, 9);
        add_request(requests, 0, 5, 100);
        add_request(requests, 0, 6, 100);
        CHECK(reading.leave(0, 0, requests) == 0);
        Bytes answer;
        add_response(answer, 4, 30);
        CHECK(reading.leave(0, 1, answer) == 0);
        answer.clear();
        add_response(answer, 5, 30);
        CHECK(reading.leave(1, 1, answer) == 0);  // another connection's
        CHECK(reading.leave(0, 1, answer) == 1);
        answer.clear();
        add_response(answer, 6, 0);
        CHECK(reading.leave(0, 1, answer) == 0);
    }
}

TEST_CASE("rules: none acts when all is to be well") {
    Reading reading(1000);
    reading.rule(0, {}, 1, RequestRule::Point::before);
    reading.rules.end();
    Bytes produce;
    add_request(produce, 0, 6, 0);
    CHECK(reading.leave(0, 0, produce) == 0);
}

TEST_CASE("rules: who is to be refused is known before the request arrives, by its client too") {
    for (const std::size_t packet : {1, 3, 12, 13, 14, 1000}) {
        Reading reading(packet);
        for (int i = 0; i < 3; ++i)
            reading.world.add_node({.name = std::to_string(i), .factory = {}});
        RequestRule rule;
        rule.api = 1;
        rule.error = 6;
        rule.met = [&reading] { ++reading.met; };
        reading.rules.add(rule);
        const auto fetch_of = [](std::uint32_t correlation, const std::string& client) {
            Bytes bytes;
            put32(bytes, static_cast<std::uint32_t>(8 + 2 + client.size() + 5));
            put32(bytes, 1U << 16 | 7);
            put32(bytes, correlation);
            bytes.push_back(0);
            bytes.push_back(static_cast<std::uint8_t>(client.size()));
            bytes.insert(bytes.end(), client.begin(), client.end());
            bytes.resize(bytes.size() + 5, 0xff);
            return bytes;
        };
        CHECK(reading.leave(0, 0, fetch_of(9, "somebody")) == 1);
        CHECK(reading.leave(0, 0, fetch_of(10, "somebody")) == 0);
        Maybes& asked = reading.world.maybes(NodeId{2});
        CHECK_FALSE(asked.refusal(1, 9, "another").has_value());
        CHECK_FALSE(asked.refusal(1, 10, "somebody").has_value());
        CHECK_FALSE(asked.refusal(0, 9, "somebody").has_value());
        CHECK(asked.refusal(1, 9, "somebody") == std::optional<std::int16_t>(6));
        CHECK_FALSE(asked.refusal(1, 9, "somebody").has_value());  // once
    }
}

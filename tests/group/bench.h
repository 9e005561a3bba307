#pragma once
// A coordinator on a bench: its log is a vector, the watermark and the time move when a test says
// so, and every answer is kept by who was to get it.

#include <catch2/catch.hpp>

#include "core/group/coordinator.h"

namespace klamm::group {

class Bench {
  public:
    explicit Bench(Settings settings = {}) : coordinator(settings) { lead(); }

    Coordinator coordinator;
    std::vector<GroupLogRecord> log;
    std::size_t watermark = 0;
    bool commits_at_once = true;
    std::optional<ErrorCode> append_error;  // no append succeeds
    std::map<Caller, AnswerBody> answers;
    Turn turn{.now = Instant{1'000'000'000},
              .wall = Timestamp(1'700'000'000'000),
              .draws = Draws(7),
              .plants = nullptr,
              .facts = nullptr};

    /// Sends a command; gives the number of who waits.
    Caller send(Command command) {
        coordinator.handle(turn, ++callers_, std::move(command));
        settle();
        return callers_;
    }
    /// The answer that is there, of this kind; takes it.
    template <class Body>
    Body take(Caller caller) {
        REQUIRE(answers.contains(caller));
        const Body body = std::get<Body>(answers.at(caller));
        answers.erase(caller);
        return body;
    }
    template <class Body>
    Body ask(Command command) {
        return take<Body>(send(std::move(command)));
    }
    [[nodiscard]] bool waits(Caller caller) const { return !answers.contains(caller); }

    void pass(Duration time) {
        const Instant until = turn.now + time;
        while (coordinator.deadline_min() <= until) {
            go_to(std::max(turn.now, coordinator.deadline_min()));
            coordinator.advance(turn);
            settle();
        }
        go_to(until);
    }
    void commit_to(std::size_t end) {
        watermark = std::max(watermark, end);
        coordinator.on_high_watermark(turn, Offset(static_cast<std::int64_t>(watermark)));
        settle();
    }
    void commit_all() { commit_to(log.size()); }
    /// Another takes over with what was committed, or with `kept` records if more.
    void fail_over(std::size_t kept = 0) {
        coordinator.resign();
        collect();
        log.resize(std::max(kept, watermark));
        watermark = log.size();
        lead();
    }
    [[nodiscard]] const Group* group(const std::string& id) const {
        const auto at = coordinator.groups().find(id);
        return at == coordinator.groups().end() ? nullptr : &at->second;
    }

  private:
    void lead() {
        coordinator.begin_loading(LeaderEpoch(++epoch_), Offset(0));
        for (const GroupLogRecord& record : log) {
            // Through Kafka's bytes, as a real log has them.
            const KeyAndValue bytes = encode(record);
            const auto back = decode(
                bytes.key, bytes.value ? std::optional<ByteView>(*bytes.value) : std::nullopt);
            REQUIRE(back.ok());
            REQUIRE(back->has_value());
            REQUIRE(**back == record);
            coordinator.load(**back);
        }
        coordinator.loaded_to(Offset(static_cast<std::int64_t>(log.size())));
        coordinator.lead(turn);
        settle();
    }
    void go_to(Instant instant) {
        const Duration passed = instant - turn.now;
        turn.now = instant;
        wall_rest_ = wall_rest_ + passed;
        turn.wall = turn.wall + wall_rest_.nanoseconds / 1'000'000;
        wall_rest_.nanoseconds %= 1'000'000;
    }
    void settle() {
        while (coordinator.has_write()) {
            Write write = coordinator.take_write();
            if (append_error) {
                coordinator.write_failed(turn, std::move(write), *append_error);
                continue;
            }
            log.insert(log.end(), write.records.begin(), write.records.end());
            coordinator.written(turn, std::move(write),
                                Offset(static_cast<std::int64_t>(log.size()) - 1));
            if (commits_at_once) {
                watermark = log.size();
                coordinator.on_high_watermark(turn, Offset(static_cast<std::int64_t>(watermark)));
            }
        }
        collect();
    }
    void collect() {
        for (Answer& answer : coordinator.take_answers()) {
            REQUIRE_FALSE(answers.contains(answer.caller));  // nobody is answered twice
            REQUIRE(answer.caller <= callers_);
            REQUIRE(answered_.insert(answer.caller).second);
            answers.emplace(answer.caller, std::move(answer.body));
        }
    }

    Caller callers_ = 0;
    std::set<Caller> answered_;
    std::int32_t epoch_ = -1;
    Duration wall_rest_{};
};

inline Bytes subscription(const std::vector<std::string>& topics) {
    Bytes bytes = {0, 0, 0, 0, 0, static_cast<std::uint8_t>(topics.size())};
    for (const std::string& topic : topics) {
        bytes.push_back(0);
        bytes.push_back(static_cast<std::uint8_t>(topic.size()));
        bytes.insert(bytes.end(), topic.begin(), topic.end());
    }
    bytes.insert(bytes.end(), {0xff, 0xff, 0xff, 0xff});
    return bytes;
}

inline Bytes as_assignment(const std::string& text) { return {text.begin(), text.end()}; }

inline Join join(std::string member = "", std::vector<std::string> protocols = {"range"}) {
    Join command{.group = "g",
                 .member = std::move(member),
                 .instance = std::nullopt,
                 .protocol_type = "consumer",
                 .protocols = {},
                 .session_ms = 10'000,
                 .rebalance_ms = 60'000,
                 .client_id = "client",
                 .client_host = "/10.0.0.1"};
    for (std::string& name : protocols)
        command.protocols.push_back({std::move(name), subscription({"t"})});
    return command;
}

inline Sync sync(const JoinAnswer& joined, std::map<std::string, Bytes> assignments = {}) {
    return {.group = "g",
            .generation = joined.generation,
            .member = joined.member,
            .instance = std::nullopt,
            .protocol_type = std::nullopt,
            .protocol = std::nullopt,
            .assignments = std::move(assignments)};
}

inline Commit commit(std::int64_t offset, std::int32_t generation = -1, std::string member = "") {
    return {.group = "g",
            .generation = generation,
            .member = std::move(member),
            .instance = std::nullopt,
            .partitions = {{"t", PartitionIndex(0), {.offset = Offset(offset), .metadata = "m"}}}};
}

inline std::optional<std::int64_t> fetched(Bench& bench, bool stable = false) {
    Fetch fetch{.group = "g", .partitions = std::nullopt, .stable = stable};
    const auto answer = bench.ask<FetchAnswer>(fetch);
    REQUIRE(answer.error == ErrorCode::none);
    for (const auto& row : answer.partitions)
        if (row.topic == "t" && row.offset) return row.offset->offset.value;
    return std::nullopt;
}

/// A stable group of `size` dynamic members, by KIP-394's two steps; the leader first.
inline std::vector<JoinAnswer> stable_group(Bench& bench, std::size_t size) {
    std::vector<Caller> callers;
    for (std::size_t i = 0; i < size; ++i) {
        Join first = join();
        first.needs_known_member = true;
        const auto named = bench.ask<JoinAnswer>(first);
        REQUIRE(named.error == ErrorCode::member_id_required);
        callers.push_back(bench.send(join(named.member)));
    }
    bench.pass(bench.coordinator.settings().initial_delay * 3);
    std::vector<JoinAnswer> joined;
    for (const Caller caller : callers) {
        joined.push_back(bench.take<JoinAnswer>(caller));
        REQUIRE(joined.back().error == ErrorCode::none);
        if (joined.back().member == joined.back().leader) std::swap(joined.front(), joined.back());
    }
    std::map<std::string, Bytes> assignments;
    for (const JoinAnswer& one : joined) assignments[one.member] = as_assignment(one.member);
    std::vector<Caller> syncing;
    for (std::size_t i = size; i > 0; --i)
        syncing.push_back(
            bench.send(sync(joined[i - 1], i == 1 ? assignments : std::map<std::string, Bytes>())));
    for (const Caller caller : syncing)
        REQUIRE(bench.take<SyncAnswer>(caller).error == ErrorCode::none);
    return joined;
}

}  // namespace klamm::group

#pragma once
// A transaction coordinator on a bench: its log is a vector, the watermark and the time move when a
// test says so, markers wait until a test writes them, and every answer is kept by who was to get
// it.

#include <catch2/catch.hpp>

#include "core/transaction/coordinator.h"

namespace klamm::transaction {

class Bench {
  public:
    explicit Bench(Settings given = {}) : settings(given), coordinator(given) { lead(); }

    Settings settings;
    Coordinator coordinator;
    std::vector<TransactionRecord> log;
    std::size_t watermark = 0;
    bool commits_at_once = true;
    bool gives_ids = true;
    std::optional<ErrorCode> append_error;  // no append succeeds
    std::map<Caller, AnswerBody> answers;
    std::vector<Markers> markers;  // not written yet
    Turn turn{.now = Instant{1'000'000'000},
              .wall = Timestamp(1'700'000'000'000),
              .draws = Draws(7),
              .plants = nullptr,
              .facts = nullptr};

    Caller send(Command command) {
        coordinator.handle(turn, ++callers_, std::move(command));
        settle();
        return callers_;
    }
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
    [[nodiscard]] const Transaction& latest(const std::string& id) const {
        const Transaction* known = coordinator.log().latest().find(id);
        REQUIRE(known != nullptr);
        return *known;
    }

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
    /// All markers reach their partitions.
    void write_markers() {
        for (const Markers& one : std::exchange(markers, {})) {
            coordinator.markers_written(turn, one);
            settle();
        }
    }
    /// Another takes over with what was committed, or with `kept` records if more.
    void fail_over(std::size_t kept = 0) {
        coordinator.resign();
        settle();
        markers.clear();
        log.resize(std::min(log.size(), std::max(kept, watermark)));
        watermark = log.size();
        lead();
    }
    void settle() {
        for (bool again = true; again;) {
            again = false;
            while (coordinator.has_write()) {
                Write write = coordinator.take_write();
                if (append_error) {
                    coordinator.write_failed(turn, std::move(write), *append_error);
                    continue;
                }
                log.push_back(write.record);
                coordinator.written(turn, std::move(write),
                                    Offset(static_cast<std::int64_t>(log.size()) - 1));
                if (commits_at_once) watermark = log.size();
            }
            if (coordinator.log().leading()) {
                coordinator.on_high_watermark(turn, Offset(static_cast<std::int64_t>(watermark)));
                again = coordinator.has_write();
            }
        }
        for (Answer& answer : coordinator.take_answers())
            REQUIRE(answers.emplace(answer.caller, std::move(answer.body)).second);
        for (Markers& one : coordinator.take_markers()) markers.push_back(std::move(one));
        if (gives_ids && coordinator.log().leading() && coordinator.wants_ids()) {
            coordinator.give_ids(ProducerId(next_id_), 20);
            next_id_ += 20;
        }
    }

  private:
    void lead() {
        coordinator.begin_loading(LeaderEpoch(++epoch_), Offset(0));
        for (const TransactionRecord& record : log) {
            // Through Kafka's bytes, as a real log has them.
            const KeyAndValue bytes = encode(record, settings.version);
            auto decoded = decode(
                bytes.key, bytes.value ? std::optional<ByteView>(*bytes.value) : std::nullopt);
            REQUIRE(decoded.ok());
            REQUIRE(decoded->has_value());
            coordinator.load(**decoded);
        }
        coordinator.loaded_to(Offset(static_cast<std::int64_t>(log.size())));
        coordinator.lead(turn);
        settle();
    }
    void go_to(Instant instant) {
        wall_rest_ = wall_rest_ + (instant - turn.now);
        turn.now = instant;
        turn.wall = turn.wall + wall_rest_.nanoseconds / 1'000'000;
        wall_rest_.nanoseconds %= 1'000'000;
    }

    Duration wall_rest_{};
    Caller callers_ = 0;
    std::int32_t epoch_ = 0;
    std::int64_t next_id_ = 1'000;
};

inline Init init(const std::string& id, ProducerAnswer who = {}) {
    return {.id = id, .timeout_ms = 60'000, .producer = who.producer, .epoch = who.epoch};
}
inline AddPartitions add(const std::string& id, const ProducerAnswer& who,
                         std::vector<std::int32_t> partitions, std::int16_t version = 0) {
    AddPartitions one{.id = id, .producer = who.producer, .epoch = who.epoch};
    for (const std::int32_t partition : partitions)
        one.partitions.emplace_back("orders", PartitionIndex(partition));
    one.client_version = version;
    return one;
}
inline AddPartitions verify(const std::string& id, const ProducerAnswer& who,
                            std::int32_t partition) {
    AddPartitions one = add(id, who, {partition});
    one.verify_only = true;
    return one;
}
inline End end(const std::string& id, const ProducerAnswer& who, bool commit,
               std::int16_t version = 0) {
    return {id, who.producer, who.epoch, commit, version};
}

}  // namespace klamm::transaction

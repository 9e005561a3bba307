// The log checker: lawful histories pass, each kind of mistake is found, and the known blind spots
// of other checkers are not ours.
#include <rapidcheck/catch.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <string>

#include "checkers/jsonl.h"
#include "checkers/log_checker.h"

using namespace klamm::checkers;

namespace {

/// A history written by hand: each step is one event, a millisecond after the one before.
struct Script {
    History history;

    Event& add(Kind kind, int client, std::uint64_t operation) {
        Event event;
        event.time = static_cast<std::int64_t>(history.size() + 1) * 1'000'000;
        event.client = client;
        event.operation = operation;
        event.kind = kind;
        history.push_back(event);
        return history.back();
    }
    void send(std::uint64_t value, std::int16_t acks = -1) {
        Event& event = add(Kind::send_invoked, 1, value);
        event.value = value;
        event.acks = acks;
    }
    void sent(std::uint64_t value, Outcome outcome, std::int64_t offset = -1) {
        Event& event = add(Kind::send_returned, 1, value);
        event.outcome = outcome;
        event.offset = offset;
    }
    void write(std::uint64_t value, std::int64_t offset, std::int16_t acks = -1) {
        send(value, acks);
        sent(value, Outcome::ok, offset);
    }
    void poll(int client, std::int64_t from, std::vector<Record> records, std::int64_t tail) {
        const std::uint64_t operation = 1'000'000 + history.size();
        add(Kind::poll_invoked, client, operation).offset = from;
        Event& event = add(Kind::poll_returned, client, operation);
        event.log_start = 0;
        event.high_watermark = tail;
        event.records = std::move(records);
    }
    void latest(std::int64_t offset, std::int32_t epoch) {
        const std::uint64_t operation = 1'000'000 + history.size();
        add(Kind::latest_invoked, 7, operation);
        Event& event = add(Kind::latest_returned, 7, operation);
        event.offset = offset;
        event.epoch = epoch;
    }
    void finals() { add(Kind::final_reads, 0, 0); }
};

std::string codes(const Judgement& judgement) {
    std::string out;
    for (const Violation& one : judgement.violations) {
        out += (out.empty() ? "" : " ") + std::string(to_string(one.code));
    }
    return out;
}

std::string codes(const Script& script, const Options& options = {}) {
    return codes(check_history(script.history, options));
}

/// Lawful histories of the reference log: one vector, sends that take effect between their halves
/// (or never, when unknown), polls and LATEST that see a snapshot between theirs.
History lawful(const std::vector<std::uint8_t>& choices, bool unknown_outcomes) {
    Script script;
    std::vector<std::uint64_t> log;
    struct Pending {
        std::uint64_t value;
        std::int64_t offset;
    };
    std::vector<Pending> sends;
    struct Poll {
        int client;
        std::uint64_t operation;
        std::int64_t from;
        std::int64_t tail;  // -1: not yet decided
    };
    std::vector<Poll> polls;
    std::vector<std::int64_t> positions(3, 0);
    std::uint64_t value = 0;
    const auto apply = [&](Pending& one) {
        if (one.offset >= 0) return;
        one.offset = static_cast<std::int64_t>(log.size());
        log.push_back(one.value);
    };
    const auto answer = [&](Poll& one) {
        if (one.tail < 0) one.tail = static_cast<std::int64_t>(log.size());
        Event& event = script.add(Kind::poll_returned, one.client, one.operation);
        event.log_start = 0;
        event.high_watermark = one.tail;
        const std::int64_t to = std::min(one.tail, one.from + 4);
        for (std::int64_t o = one.from; o < to; ++o) {
            event.records.push_back({o, log[static_cast<std::size_t>(o)]});
        }
        positions[static_cast<std::size_t>(one.client - 10)] = std::max(one.from, to);
    };
    for (const std::uint8_t choice : choices) {
        const std::size_t pick = choice / 8;
        switch (choice % 8) {
            case 0:
            case 1:
                script.send(++value);
                sends.push_back({value, -1});
                break;
            case 2:
                if (!sends.empty()) apply(sends[pick % sends.size()]);
                break;
            case 3:
            case 4: {
                if (sends.empty()) break;
                const std::size_t at = pick % sends.size();
                if (unknown_outcomes && choice % 3 == 0) {
                    if (choice % 2 == 0) apply(sends[at]);
                    script.sent(sends[at].value, Outcome::unknown);
                } else {
                    apply(sends[at]);
                    script.sent(sends[at].value, Outcome::ok, sends[at].offset);
                }
                sends.erase(sends.begin() + static_cast<std::ptrdiff_t>(at));
                break;
            }
            case 5: {
                const int client = 10 + static_cast<int>(pick % 3);
                const bool busy = std::any_of(polls.begin(), polls.end(),
                                              [&](const Poll& p) { return p.client == client; });
                if (busy) break;
                const std::int64_t from = positions[static_cast<std::size_t>(client - 10)];
                const std::uint64_t operation = 1'000'000 + script.history.size();
                script.add(Kind::poll_invoked, client, operation).offset = from;
                polls.push_back({client, operation, from, -1});
                break;
            }
            case 6:
                if (!polls.empty()) {
                    Poll& one = polls[pick % polls.size()];
                    if (one.tail < 0) one.tail = static_cast<std::int64_t>(log.size());
                }
                break;
            case 7:
                if (!polls.empty()) {
                    answer(polls.front());
                    polls.erase(polls.begin());
                } else {
                    script.latest(static_cast<std::int64_t>(log.size()), 0);
                }
                break;
        }
    }
    for (Poll& one : polls) answer(one);
    for (Pending& one : sends) {
        apply(one);
        script.sent(one.value, Outcome::ok, one.offset);
    }
    script.finals();
    std::vector<Record> all;
    for (std::size_t o = 0; o < log.size(); ++o)
        all.push_back({static_cast<std::int64_t>(o), log[o]});
    script.poll(20, 0, all, static_cast<std::int64_t>(log.size()));
    return script.history;
}

Options strict() {
    Options options;
    options.reads = Reads::strict;
    return options;
}

std::vector<std::uint8_t> draw_choices() {
    return *rc::gen::resize(120, rc::gen::arbitrary<std::vector<std::uint8_t>>());
}

}  // namespace

TEST_CASE("log checker: lawful histories of a reference log pass, strictly") {
    rc::prop("no violation", [](bool unknown_outcomes) {
        const History history = lawful(draw_choices(), unknown_outcomes);
        const Judgement judgement = check_history(history, strict());
        RC_ASSERT(codes(judgement) == "");
        RC_ASSERT(judgement.totals.stale == 0U);
    });
}

TEST_CASE(
    "log checker: dropping, doubling, swapping or changing a record of the final read is found") {
    rc::prop("found", [] {
        History history = lawful(draw_choices(), false);
        std::vector<Record>& records = history.back().records;
        RC_PRE(records.size() >= 2U);
        const std::size_t at = *rc::gen::inRange<std::size_t>(0, records.size());
        switch (*rc::gen::inRange(0, 4)) {
            case 0: records.erase(records.begin() + static_cast<std::ptrdiff_t>(at)); break;
            case 1:
                records.push_back({static_cast<std::int64_t>(records.size()), records[at].value});
                break;
            case 2: std::swap(records[at].value, records[(at + 1) % records.size()].value); break;
            default: records[at].value += 1000; break;
        }
        RC_ASSERT(codes(check_history(history)) != "");
    });
}

TEST_CASE("log checker: acknowledged offsets swapped between two sends in sequence are found") {
    rc::prop("found", [] {
        Script script;
        const int count = *rc::gen::inRange(2, 20);
        const int first = *rc::gen::inRange(0, count - 1);
        std::vector<Record> all;
        for (int i = 0; i < count; ++i) {
            const int offset = i == first ? i + 1 : i == first + 1 ? i - 1 : i;
            script.write(static_cast<std::uint64_t>(100 + i), offset);
            all.push_back({i, static_cast<std::uint64_t>(100 + (i == first       ? i + 1
                                                                : i == first + 1 ? i - 1
                                                                                 : i))});
        }
        script.finals();
        script.poll(20, 0, all, count);
        RC_ASSERT(codes(script) == "ORDER");
    });
}

TEST_CASE("log checker: a stale poll is counted as Kafka allows it and reported when strict") {
    rc::prop("found", [] {
        Script script;
        const int count = *rc::gen::inRange(1, 20);
        const int tail = *rc::gen::inRange(0, count);
        for (int i = 0; i < count; ++i) script.write(static_cast<std::uint64_t>(100 + i), i);
        script.poll(10, tail, {}, tail);
        std::vector<Record> all;
        for (int i = 0; i < count; ++i) all.push_back({i, static_cast<std::uint64_t>(100 + i)});
        script.finals();
        script.poll(20, 0, all, count);
        const Judgement kafka = check_history(script.history);
        RC_ASSERT(codes(kafka) == "");
        RC_ASSERT(kafka.totals.stale == 1U);
        RC_ASSERT(codes(script, strict()) == "STALE");
    });
}

TEST_CASE("log checker: P1, an unknown send read by the last poll is valid") {
    Script script;
    script.send(1);
    script.sent(1, Outcome::unknown);
    script.poll(10, 0, {{0, 1}}, 1);
    CHECK(codes(script, strict()) == "");
}

TEST_CASE("log checker: P2, a later send acknowledged at a smaller offset") {
    Script script;
    script.write(1, 1);
    script.write(2, 0);
    script.poll(10, 0, {{0, 2}, {1, 1}}, 2);
    const Judgement judgement = check_history(script.history);
    CHECK(codes(judgement) == "ORDER");
    // The witness: the send that was complete, then both halves of the one that lies below it.
    REQUIRE(judgement.violations.front().events.size() == 3);
    CHECK(judgement.violations.front().events[0] == script.history[1]);
    CHECK(judgement.violations.front().events[1] == script.history[2]);
    CHECK(judgement.violations.front().events[2].offset == 0);
}

TEST_CASE("log checker: P3, nothing where a record was acknowledged, then the record") {
    Script script;
    script.write(1, 0);
    script.poll(10, 0, {}, 0);
    script.poll(10, 0, {{0, 1}}, 1);
    CHECK(codes(script) == "");
    CHECK(check_history(script.history).totals.stale == 1);
    CHECK(codes(script, strict()) == "STALE");
}

TEST_CASE("log checker: P8, a far offset costs nothing") {
    Script script;
    script.write(1, 20'000'000'000);
    script.poll(10, 0, {{20'000'000'000, 1}}, 20'000'000'001);
    CHECK(codes(script) == "");
}

TEST_CASE("log checker: the last element counts too") {
    Script script;
    script.write(1, 0);
    script.write(2, 1);
    script.finals();
    script.poll(20, 0, {{0, 1}}, 1);
    const Judgement judgement = check_history(script.history);
    REQUIRE(codes(judgement) == "LOST");
    CHECK(judgement.violations.front().sentence ==
          "offset 1 of partition 0 was acknowledged with acks=all at 0.004 s (value 2) and is not "
          "read back");
}

TEST_CASE("log checker: read once and gone at the end") {
    Script script;
    script.send(1);
    script.sent(1, Outcome::unknown);
    script.poll(10, 0, {{0, 1}}, 1);
    script.finals();
    script.poll(20, 0, {}, 0);
    CHECK(codes(script) == "DIRTY");
}

TEST_CASE("log checker: two values at one offset, whoever shows them") {
    Script acks;
    acks.write(1, 0);
    acks.write(2, 0);
    CHECK(codes(acks).find("INCONS") != std::string::npos);
    Script polls;
    polls.send(1);
    polls.send(2);
    polls.poll(10, 0, {{0, 1}}, 1);
    polls.poll(11, 0, {{0, 2}}, 1);
    CHECK(codes(polls).find("INCONS") != std::string::npos);
}

TEST_CASE("log checker: one value twice is lawful without idempotence only") {
    Script script;
    script.send(1);
    script.poll(10, 0, {{0, 1}, {1, 1}}, 2);
    CHECK(codes(script) == "DUP");
    Options retries;
    retries.idempotent = false;
    const Judgement judgement = check_history(script.history, retries);
    CHECK(codes(judgement) == "");
    CHECK(judgement.totals.duplicates == 1);
}

TEST_CASE("log checker: a poll that skips, before or after the record is known") {
    Script before;
    before.write(1, 0);
    before.write(2, 1);
    before.poll(10, 0, {{1, 2}}, 2);
    before.poll(11, 0, {{0, 1}, {1, 2}}, 2);
    CHECK(codes(before) == "SKIP");
    Script after;
    after.send(1);
    after.write(2, 1);
    after.poll(10, 0, {{1, 2}}, 2);
    after.poll(11, 0, {{0, 1}, {1, 2}}, 2);
    CHECK(codes(after) == "SKIP");
    Script position;
    position.write(1, 0);
    position.poll(10, 0, {}, 0);
    position.poll(10, 1, {}, 1);
    position.poll(11, 0, {{0, 1}}, 1);
    CHECK(codes(position) == "SKIP");
}

TEST_CASE("log checker: a consumer that goes back without being told") {
    Script script;
    script.write(1, 0);
    script.poll(10, 0, {{0, 1}}, 1);
    Script told = script;
    script.poll(10, 0, {{0, 1}}, 1);
    CHECK(codes(script) == "NONMONO");
    told.add(Kind::reset_told, 10, 0).offset = -1;
    told.poll(10, 0, {{0, 1}}, 1);
    CHECK(codes(told) == "");
}

TEST_CASE("log checker: failed sends and values of nobody never appear") {
    Script ghost;
    ghost.send(1);
    ghost.sent(1, Outcome::failed);
    ghost.poll(10, 0, {{0, 1}}, 1);
    CHECK(codes(ghost) == "GHOST");
    Script early;
    early.send(1);
    early.poll(10, 0, {{0, 1}}, 1);
    early.sent(1, Outcome::failed);
    CHECK(codes(early) == "GHOST");
    Script garbage;
    garbage.poll(10, 0, {{0, 5}}, 1);
    CHECK(codes(garbage) == "GARBAGE");
}

TEST_CASE("log checker: LATEST goes back only when its leader epoch does") {
    Script script;
    script.latest(10, 1);
    script.latest(9, 2);
    CHECK(codes(script) == "REGRESS");
    Script deposed;
    deposed.latest(10, 2);
    deposed.latest(9, 1);
    CHECK(codes(deposed) == "");
    CHECK(codes(deposed, strict()) == "STALE");
    Script many;  // beyond the epochs that are kept one by one
    many.latest(50, 0);
    for (int epoch = 1; epoch < 30; ++epoch) many.latest(50, epoch);
    many.latest(49, 30);
    CHECK(codes(many) == "REGRESS");
}

TEST_CASE("log checker: acks=1 is soft until somebody has read it") {
    Script unread;
    unread.write(1, 0, 1);
    unread.write(2, 0);
    unread.finals();
    unread.poll(20, 0, {{0, 2}}, 1);
    const Judgement judgement = check_history(unread.history);
    CHECK(codes(judgement) == "");
    CHECK(judgement.totals.soft_lost == 1);
    Script read;
    read.write(1, 0, 1);
    read.poll(10, 0, {{0, 1}}, 1);
    read.finals();
    read.poll(20, 0, {}, 0);
    CHECK(codes(read) == "LOST");
}

TEST_CASE("log checker: a permitted loss excuses precisely its range") {
    Script script;
    script.write(1, 0);
    script.write(2, 1);
    script.write(3, 2);
    script.poll(10, 0, {{0, 1}, {1, 2}, {2, 3}}, 3);
    const std::int64_t loss_time = script.history.back().time;
    script.add(Kind::reset_told, 10, 0).offset = 1;
    script.write(4, 1);  // the offsets are used anew
    script.poll(10, 1, {{1, 4}}, 2);
    script.finals();
    Script lost_again = script;
    script.poll(20, 0, {{0, 1}, {1, 4}}, 2);
    const PermittedLoss both{loss_time, 0, 1, 3, 1};
    const Judgement excused = check_history(script.history, {}, {both});
    CHECK(codes(excused) == "");
    CHECK(excused.totals.excused == 2);
    // A range that is one short, or none at all, excuses less.
    const PermittedLoss one{loss_time, 0, 1, 2, 1};
    CHECK(codes(check_history(script.history, {}, {one})) == "LOST");
    CHECK(codes(script) != "");
    // What was written there later is held to the rules again.
    lost_again.poll(20, 0, {{0, 1}}, 1);
    CHECK(codes(check_history(lost_again.history, {}, {both})) == "LOST");
}

TEST_CASE(
    "log checker: a consumer that crosses a loss untold is found when clients validate epochs") {
    Script script;
    script.write(1, 0);
    script.poll(10, 0, {{0, 1}}, 1);
    const std::int64_t loss_time = script.history.back().time;
    script.write(2, 0);
    script.write(3, 1);
    script.poll(10, 1, {{1, 3}}, 2);
    script.finals();
    script.poll(20, 0, {{0, 2}, {1, 3}}, 2);
    Options validates;
    validates.untold = true;
    const std::vector<PermittedLoss> losses{{loss_time, 0, 0, 1, 1}};
    CHECK(codes(check_history(script.history, validates, losses)) == "UNTOLD");
    CHECK(codes(check_history(script.history, {}, losses)) == "");
}

TEST_CASE("log checker: contradictions are told as such") {
    Script twice;
    twice.write(1, 0);
    twice.send(1);
    CHECK(codes(twice).find("MALFORMED") != std::string::npos);
    Script nothing;
    nothing.sent(1, Outcome::ok, 0);
    CHECK(codes(nothing) == "MALFORMED");
}

TEST_CASE("log checker: an exported history is judged as it was online") {
    rc::prop("same verdict", [](bool spoil) {
        History history = lawful(draw_choices(), true);
        if (spoil && !history.back().records.empty()) history.back().records.pop_back();
        const auto back = read_history(write_history(history));
        RC_ASSERT(back.ok());
        RC_ASSERT(*back == history);
        LogChecker online;
        for (const Event& event : history) online.feed(event);
        online.finish(history.back().time);
        const Judgement offline = check_history(*back);
        RC_ASSERT(online.violations().size() == offline.violations.size());
        RC_ASSERT(online.totals().records_read == offline.totals.records_read);
    });
}

// What services promise: each rule with a history that breaks it and its twin that does not; the
// commits of a group against the general checker of registers; compaction in the log checker.
#include "checkers/service_checker.h"

#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <string>

#include "checkers/linearizability.h"
#include "checkers/log_checker.h"
#include "core/base/draws.h"
#include "tests/checkers/histories.h"

using namespace klamm;
using namespace klamm::checkers;

namespace {

constexpr std::int64_t one_second = 1'000'000'000;
constexpr std::uint64_t group_told = 7;

/// A history that is told event by event, a millisecond apart; clients and operations are numbers.
struct Telling {
    History history;
    std::int64_t time = 0;
    std::uint64_t operation = 0;

    Event& add(Kind kind, std::int32_t client) {
        Event event;
        event.time = time += 1'000'000;
        event.kind = kind;
        event.client = client;
        event.operation = ++operation;
        history.push_back(event);
        return history.back();
    }
    Event& returns(Kind kind, std::int32_t client, std::uint64_t of, Outcome outcome) {
        Event& event = add(kind, client);
        event.operation = of;
        event.outcome = outcome;
        return event;
    }
    void promise(std::int32_t client, std::int64_t within, bool ordered) {
        Event& event = add(Kind::sends_promised, client);
        event.offset = within;
        event.acks = ordered ? 1 : 0;
    }
    std::uint64_t send(std::int32_t client, std::uint64_t value) {
        add(Kind::send_invoked, client).value = value;
        return operation;
    }
    void sent(std::int32_t client, std::uint64_t of, std::int64_t offset) {
        returns(Kind::send_returned, client, of, Outcome::ok).offset = offset;
    }
    void poll(std::int32_t client, std::int64_t from, std::vector<Record> records) {
        add(Kind::poll_invoked, client).offset = from;
        const std::uint64_t of = operation;
        Event& event = returns(Kind::poll_returned, client, of, Outcome::ok);
        event.log_start = 0;
        event.records = std::move(records);
        operation = of + 1;
    }
    void owner(std::int32_t client, std::int32_t generation) {
        Event& event = add(Kind::owner_told, client);
        event.value = group_told;
        event.epoch = generation;
    }
    std::uint64_t commit(std::int32_t client, std::int32_t generation, std::int64_t offset) {
        Event& event = add(Kind::commit_invoked, client);
        event.value = group_told;
        event.epoch = generation;
        event.offset = offset;
        return operation;
    }
    void committed(std::int32_t client, std::uint64_t of, Outcome outcome = Outcome::ok) {
        returns(Kind::commit_returned, client, of, outcome);
    }
    void commits(std::int32_t client, std::int32_t generation, std::int64_t offset) {
        committed(client, commit(client, generation, offset));
    }
    std::uint64_t ask(std::int32_t client) {
        add(Kind::committed_invoked, client).value = group_told;
        return operation;
    }
    void told(std::int32_t client, std::uint64_t of, std::int64_t offset) {
        returns(Kind::committed_returned, client, of, Outcome::ok).offset = offset;
    }
    void key(std::uint64_t value, std::int64_t which, bool deletes = false) {
        Event& event = add(Kind::key_told, 0);
        event.value = value;
        event.offset = which;
        event.acks = deletes ? 1 : 0;
    }

    [[nodiscard]] std::vector<ServiceViolation> judge() const {
        ServiceChecker checker;
        for (const Event& event : history) checker.feed(event);
        checker.finish(time);
        for (const ServiceViolation& one : checker.violations()) {
            CHECK(!one.events.empty());
            CHECK(!one.sentence.empty());
        }
        return checker.violations();
    }
    [[nodiscard]] std::string names() const {
        std::string out;
        for (const ServiceViolation& one : judge())
            out += (out.empty() ? "" : " ") + std::string(one.name);
        return out;
    }
    [[nodiscard]] std::string codes() const {
        std::set<std::string> all;
        for (const Violation& one : check_history(history).violations)
            all.insert(to_string(one.code));
        std::string out;
        for (const std::string& one : all) out += (out.empty() ? "" : " ") + one;
        return out;
    }
};

}  // namespace

TEST_CASE("service checker: sends that were promised an order have it") {
    for (const bool ordered : {true, false}) {
        Telling t;
        t.promise(1, -1, ordered);
        const auto first = t.send(1, 10);
        const auto second_one = t.send(1, 11);
        const auto third = t.send(1, 12);
        t.sent(1, third, 9);
        t.sent(1, first, 5);
        t.sent(1, second_one, 4);
        CHECK(t.names() == (ordered ? "unordered-sends" : ""));
        if (!ordered) continue;
        CHECK(t.judge()[0].sentence ==
              "client 1 sent value 10 and then value 11 to partition 0, and they lie at offsets 5 "
              "and 4");
    }
    // Of another client, or of one that came after it, nothing is promised.
    Telling t;
    t.promise(1, -1, true);
    t.sent(1, t.send(1, 1), 5);
    t.promise(1, -1, false);
    t.promise(1, -1, true);
    t.sent(1, t.send(1, 2), 4);
    t.sent(2, t.send(2, 3), 3);
    CHECK(t.names() == "");
}

TEST_CASE("service checker: sends end within their time, whatever their end") {
    for (const std::int64_t took : {one_second, one_second + 1}) {
        for (const Outcome outcome : {Outcome::ok, Outcome::failed, Outcome::unknown}) {
            Telling t;
            t.promise(1, one_second, false);
            const auto one = t.send(1, 1);
            const std::int64_t begun = t.time;
            Event& end = t.returns(Kind::send_returned, 1, one, outcome);
            end.offset = 3;
            end.time = t.time = begun + took;
            CHECK(t.names() == (took > one_second ? "late-send" : ""));
        }
        // And without an end, as long as somebody watched and the client lives.
        for (const bool gone : {true, false}) {
            Telling t;
            t.promise(1, one_second, false);
            t.send(1, 1);
            const std::int64_t begun = t.time;
            if (gone) t.promise(1, -1, false);
            t.time = begun + took;
            CHECK(t.names() == (took > one_second && !gone ? "late-send" : ""));
        }
    }
}

TEST_CASE("service checker: a partition has one owner in a generation") {
    Telling t;
    t.owner(1, 3);
    t.owner(1, 3);
    t.owner(2, 4);
    CHECK(t.names() == "");
    t.owner(1, 4);
    CHECK(t.names() == "two-owners");
    CHECK(t.judge()[0].sentence == "clients 2 and 1 own partition 0 in generation 4 of group 7");
}

TEST_CASE("service checker: who was replaced commits no more") {
    Telling lawful;
    lawful.owner(1, 3);
    const auto begun_before = lawful.commit(1, 3, 5);
    lawful.owner(2, 4);
    lawful.committed(1, begun_before);
    lawful.committed(1, lawful.commit(1, 3, 6), Outcome::failed);
    lawful.commits(2, 4, 5);
    CHECK(lawful.names() == "");
    Telling stale = lawful;
    stale.commits(1, 3, 6);
    CHECK(stale.names() == "stale-commit");
    Telling own = lawful;  // even one's own
    own.commits(2, 3, 6);
    CHECK(own.names() == "stale-commit");
    Telling outside = lawful;  // an administrator's, of no generation
    outside.commits(9, -1, 6);
    CHECK(outside.names() == "");
}

TEST_CASE("service checker: what was committed is told, and nothing else") {
    Telling t;
    t.told(2, t.ask(2), -1);
    t.commits(1, 3, 5);
    t.told(2, t.ask(2), 5);
    const auto open = t.commit(1, 3, 9);
    t.told(2, t.ask(2), 9);
    t.told(2, t.ask(2), 5);
    t.committed(1, open);
    CHECK(t.names() == "");
    Telling lost = t;
    lost.told(2, lost.ask(2), 5);
    CHECK(lost.names() == "lost-commit");
    Telling none = t;
    none.told(2, none.ask(2), -1);
    CHECK(none.names() == "lost-commit");
    Telling ghost = t;
    ghost.committed(1, ghost.commit(1, 3, 8), Outcome::failed);
    ghost.told(2, ghost.ask(2), 8);
    CHECK(ghost.names() == "ghost-commit");
    Telling around = t;  // one that began before and ended last hides none
    const auto wide = around.commit(1, 3, 20);
    around.commits(2, 3, 21);
    around.commits(2, 3, 22);
    around.committed(1, wide);
    around.told(2, around.ask(2), 21);
    CHECK(around.names() == "lost-commit");
    Telling unknown = t;  // may take effect at any time
    unknown.committed(1, unknown.commit(1, 3, 5), Outcome::unknown);
    unknown.commits(1, 3, 12);
    unknown.told(2, unknown.ask(2), 5);
    CHECK(unknown.names() == "");
}

TEST_CASE("service checker: answers about commits agree with a register's, asked alone") {
    // Few offsets, so that many commits are equal. The general checker is asked about all commits
    // and one answer.
    std::uint64_t disagreements = 0;
    std::uint64_t red = 0;
    const std::uint64_t count = cases(5'000);
    for (std::uint64_t seed = 1; seed <= count; ++seed) {
        const Draws draws(seed);
        std::uint64_t drawn = 0;
        const auto below = [&](std::uint64_t bound) {
            return draws.below(bound, draw_domain("commits"), 0, drawn++);
        };
        Telling t;
        struct Asked {
            std::uint64_t operation;
            std::int64_t offset;  // of a commit; -1: an answer is awaited
        };
        std::vector<Asked> open;
        OperationHistory plain;
        std::map<std::uint64_t, std::size_t> place;  // operation → index
        std::uint64_t event = 0;
        bool expected = false;
        for (int step = 0; step < 14; ++step) {
            if (open.empty() || below(2) == 0) {
                const bool commits = below(3) > 0;
                Operation one;
                one.client = step;
                one.call = static_cast<std::int64_t>(++event);
                one.function = commits ? Function::write : Function::read;
                const auto offset = static_cast<std::int64_t>(below(3));
                const std::uint64_t id = commits ? t.commit(step, 3, offset) : t.ask(step);
                if (commits) one.input = plain.intern(std::to_string(offset));
                t.history.back().client = step;
                open.push_back({id, commits ? offset : -1});
                place[id] = plain.operations.size();
                plain.operations.push_back(one);
                continue;
            }
            const std::size_t at = below(open.size());
            const Asked asked = open[at];
            open.erase(open.begin() + static_cast<std::ptrdiff_t>(at));
            Operation& one = plain.operations[place[asked.operation]];
            one.ret = static_cast<std::int64_t>(++event);
            if (asked.offset >= 0) {
                const std::uint64_t outcome = below(6);
                one.outcome = outcome == 0 ? Outcome::unknown : Outcome::ok;
                if (outcome == 0) one.ret = INT64_MAX;
                t.committed(one.client, asked.operation, one.outcome);
                continue;
            }
            const auto offset = static_cast<std::int64_t>(below(4)) - 1;
            t.told(one.client, asked.operation, offset);
            one.outcome = Outcome::ok;
            one.output = offset < 0 ? nil : plain.intern(std::to_string(offset));
            OperationHistory alone = plain;
            std::erase_if(alone.operations, [&](const Operation& other) {
                return other.function == Function::read && other.call != one.call;
            });
            expected = expected || check_linearizability(ModelName::reg, alone).verdict ==
                                       Verdict::not_linearizable;
        }
        const std::string names = t.names();
        red += expected ? 1 : 0;
        if (expected != !names.empty() && ++disagreements <= 3) {
            UNSCOPED_INFO("seed " << seed << ": " << names << " | " << expected);
        }
    }
    CHECK(disagreements == 0);
    CHECK(red * 10 > count);
    CHECK(red * 10 < count * 9);
}

TEST_CASE("service checker: what is committed was shown to the group") {
    Telling t;
    for (std::uint64_t value = 1; value <= 4; ++value) {
        t.sent(9, t.send(9, value), static_cast<std::int64_t>(value) - 1);
    }
    t.owner(1, 3);
    t.poll(1, 0, {{0, 1}, {1, 2}});
    t.commits(1, 3, 2);
    t.owner(2, 4);
    Telling lawful = t;
    lawful.poll(2, 2, {{2, 3}, {3, 4}});
    lawful.commits(2, 4, 4);
    CHECK(lawful.names() == "");
    Telling holes = t;  // what nobody was acknowledged are a transaction's markers
    holes.poll(2, 2, {{2, 3}, {3, 4}});
    holes.commits(2, 4, 6);
    CHECK(holes.names() == "");
    Telling skipped = t;
    skipped.poll(2, 3, {{3, 4}});
    skipped.commits(2, 4, 4);
    CHECK(skipped.names() == "skipped-record");
    Telling sought = t;
    sought.add(Kind::reset_told, 2).offset = 3;
    sought.poll(2, 3, {{3, 4}});
    sought.commits(2, 4, 4);
    CHECK(sought.names() == "");
    Telling stranger = t;  // who is no member shows the group nothing
    stranger.poll(5, 2, {{2, 3}, {3, 4}});
    stranger.commits(2, 4, 4);
    CHECK(stranger.names() == "skipped-record");
    Telling left = t;  // nor who has left
    left.owner(1, -1);
    left.poll(1, 2, {{2, 3}, {3, 4}});
    left.commits(2, 4, 4);
    CHECK(left.names() == "skipped-record");
}

TEST_CASE("service checker: one leader in an epoch, and resources that are given back") {
    Telling t;
    const auto leader = [&](std::uint64_t node, std::int32_t epoch) {
        Event& event = t.add(Kind::leader_told, 1);
        event.value = node;
        event.epoch = epoch;
    };
    const auto held = [&](std::uint64_t resource, std::int64_t amount) {
        Event& event = t.add(Kind::resource_told, 0);
        event.value = resource;
        event.offset = amount;
    };
    leader(1, 5);
    leader(2, 6);
    leader(1, 5);  // an old answer
    held(1, 10);
    held(1, 90);
    held(2, 4);
    held(1, 10);
    CHECK(t.names() == "");
    leader(3, 6);
    held(2, 5);
    CHECK(t.names() == "two-leaders leak");
    CHECK(t.judge()[1].sentence == "of resource 2 4 were held at first, and 5 in the end");
}

TEST_CASE("service checker: every name was reported above") {
    CHECK(service_violation_names() == std::vector<std::string>{"ghost-commit", "late-send", "leak",
                                                                "lost-commit", "skipped-record",
                                                                "stale-commit", "two-leaders",
                                                                "two-owners", "unordered-sends"});
}

TEST_CASE("log checker: compaction takes what is replaced or deleted, never the last of a key") {
    Telling t;
    for (std::uint64_t value = 1; value <= 4; ++value) {
        const auto one = t.send(9, value);
        // Keys 100, 101, 100, 102; the last one deletes its key.
        t.key(value, value == 2 ? 101 : value == 4 ? 102 : 100, value == 4);
        t.sent(9, one, static_cast<std::int64_t>(value) - 1);
    }
    t.poll(1, 0, {{0, 1}, {1, 2}, {2, 3}, {3, 4}});
    t.add(Kind::final_reads, 0);
    Telling whole = t;
    whole.poll(1, 0, {{0, 1}, {1, 2}, {2, 3}, {3, 4}});
    CHECK(whole.codes() == "");
    Telling cleaned = t;
    cleaned.poll(1, 0, {{1, 2}, {2, 3}});
    CHECK(cleaned.codes() == "");
    Telling took_last = t;
    took_last.poll(1, 0, {{1, 2}, {3, 4}});
    CHECK(took_last.codes() == "LOST SKIP");
    Telling without_keys = cleaned;
    std::erase_if(without_keys.history,
                  [](const Event& one) { return one.kind == Kind::key_told; });
    CHECK(without_keys.codes() == "LOST SKIP");
}

// Mistakes of the checkers and of the judge, made on purpose (core/base/slips.h): each is noticed
// by what holds without it.

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "checkers/linearizability.h"
#include "checkers/log_checker.h"
#include "tests/judge/stage.h"

namespace klamm::sim {
namespace {

constexpr int records = 6;

/// Sends of `records` values, acknowledged in order, one poll that reads them all, and the final
/// one. `wrong`: the place that the last poll shows with a value of nobody's; `unread`: with
/// nothing, it ends there.
checkers::History history(int wrong, bool unread) {
    using checkers::Kind;
    checkers::History all;
    const auto add = [&](Kind kind, std::int32_t client, std::uint64_t operation) {
        checkers::Event event;
        event.time = static_cast<std::int64_t>(all.size() + 1);
        event.client = client;
        event.operation = operation;
        event.kind = kind;
        all.push_back(event);
        return &all.back();
    };
    for (std::uint64_t i = 0; i < records; ++i) {
        add(Kind::send_invoked, 1, i)->value = 100 + i;
        add(Kind::send_returned, 1, i)->offset = static_cast<std::int64_t>(i);
    }
    add(Kind::final_reads, 0, 0);
    add(Kind::poll_invoked, 2, 1)->offset = 0;
    checkers::Event* poll = add(Kind::poll_returned, 2, 1);
    poll->high_watermark = records;
    for (int i = 0; i < records; ++i) {
        if (unread && i == wrong) break;
        poll->records.push_back({i, i == wrong ? 999 : 100 + static_cast<std::uint64_t>(i)});
    }
    return all;
}

std::uint64_t found(const checkers::History& history, Slip slip) {
    checkers::Options options;
    options.slip = slip;
    return checkers::check_history(history, options).totals.violations;
}

/// The log checker's self-check: all well is well, and one wrong record is found at any place.
bool checker_sees_each_record(Slip slip) {
    bool all = found(history(-1, false), slip) == 0;
    for (int at = 0; at < records; ++at) {
        all = all && found(history(at, false), slip) > 0;
        all = all && found(history(at, true), slip) > 0;
    }
    return all;
}

/// The same for the search: clients write, swap and read one register in turn; one answer is wrong.
bool search_sees_each_operation(Slip slip) {
    using checkers::Function;
    bool all = true;
    for (int wrong = -1; wrong < records; ++wrong) {
        checkers::OperationHistory history;
        for (int i = 0; i < records; ++i) {
            checkers::Operation one;
            one.client = i;
            one.outcome = checkers::Outcome::ok;
            one.call = 2 * i;
            one.ret = 2 * i + 1;
            one.key = history.intern("x");
            // 0 → 1 → 1 → 2 → 2 …: a swap, then a read of what it left.
            one.function = i % 2 == 0 ? Function::cas : Function::read;
            one.expected = i == 0 ? checkers::nil : history.intern(std::to_string(i / 2));
            one.input = history.intern(std::to_string(i / 2 + 1));
            one.swapped = i != wrong;
            one.output = history.intern(i == wrong ? "no such" : std::to_string(i / 2 + 1));
            history.operations.push_back(one);
        }
        checkers::LinearizabilityOptions options;
        options.slip = slip;
        const auto verdict =
            check_linearizability(checkers::ModelName::reg, history, options).verdict;
        const bool legal = verdict == checkers::Verdict::linearizable;
        all = all && legal == (wrong < 0);
    }
    return all;
}

/// A log is lost with its sole member's disk, and billed (ledger_test.cc).
std::string judged_loss(Slip slip) {
    using namespace stage;
    stage::Stage stage({.elr = false, .slip = slip});
    stage.open({a, b});
    stage.promise({a, b}, 0);
    stage.commit(a, 0, {a}, {}, Cause::broker_fenced);
    stage.power(a, 1, 0);
    stage.restart(a, 0);
    stage.commit(a, 1, {a}, {}, Cause::broker_unfenced);
    stage.lead(a, 1, 0);
    stage.judge.finish(stage.now());
    return stage.all_red();
}

TEST_CASE("harness:checkers: one that skips the last record of a poll is noticed") {
    CHECK(checker_sees_each_record(Slip::none));
    CHECK_FALSE(checker_sees_each_record(Slip::checker_skips_last_record));
}

TEST_CASE("harness:checkers: one that does not ask for the last send is noticed") {
    CHECK_FALSE(checker_sees_each_record(Slip::checker_skips_last_send));
}

TEST_CASE("harness:checkers: a search that ends before the last return is noticed") {
    CHECK(search_sees_each_operation(Slip::none));
    CHECK_FALSE(search_sees_each_operation(Slip::search_skips_last_return));
}

TEST_CASE("harness:judge: a ledger that never ends a promise is noticed by the books") {
    CHECK(judged_loss(Slip::none).empty());
    const std::string red = judged_loss(Slip::promises_never_end);
    INFO(red);
    CHECK(red.find("malformed: records lost: 0 by the judge's count, 1 in the bill's list") !=
          std::string::npos);
}

TEST_CASE("harness:judge: a loss that is billed to nobody is noticed") {
    const std::string red = judged_loss(Slip::bill_names_nobody);
    INFO(red);
    CHECK(red.find("malformed: a loss through damage is billed to no fault") != std::string::npos);
}

TEST_CASE("harness:judge: a fact that does not reach the monitors is noticed") {
    const std::string red = judged_loss(Slip::monitors_deaf);
    INFO(red);
    CHECK(red.find("malformed: facts for the monitors:") != std::string::npos);
}

TEST_CASE("harness:judge: a power loss of a dead process that costs nothing is no evidence") {
    using namespace stage;
    stage::Stage stage;
    stage.open({a, b});
    stage.append(a, 0, 0);
    stage.answer(a, 0, 0, 1);
    stage.kill(a);  // fault 1
    // The controller still hears what it asked before it died.
    const bool late = GENERATE(false, true);
    if (late) stage.fact(a, facts::BrokerRegistered{9, a, BrokerEpoch{9}, false});
    stage.judge.on_power_loss(stage.now(), a, 2, {});
    stage.commit(b, 1, {b}, {}, Cause::broker_fenced);
    stage.lead(b, 1, 0);
    REQUIRE(stage.judge.bill().losses.size() == 1);
    CHECK(stage.judge.bill().losses.front().fault == 1);
}

}  // namespace
}  // namespace klamm::sim

#include "sim/scenario/expectations.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/scenario/count_names.h"
#include "sim/scenario/words.h"

namespace klamm::sim {

namespace {

std::string seconds_of(std::int64_t nanoseconds) {
    return fmt::format("{}.{:03} s", nanoseconds / 1'000'000'000, nanoseconds / 1'000'000 % 1'000);
}

void hold(Amount expected, std::int64_t records, const std::string& what,
          std::vector<std::string>& wrong) {
    if (expected == Amount::none && records > 0)
        wrong.push_back(fmt::format("{} records {}, expected none", records, what));
    if (expected == Amount::some && records == 0)
        wrong.push_back(fmt::format("no records {}, expected some", what));
}

}  // namespace

Record::Record(const Scenario& scenario, Cast& cast)
    : scenario_(scenario), cast_(cast), goal_{&scenario.goal_reached_by, 0, {}} {
    for (const Moment& one : scenario.expect.reached) reached_.push_back({&one, 0, {}});
    for (const Moment& one : scenario.expect.never) never_.push_back({&one, 0, {}});
}

template <class Fits>
void Record::watch(Instant time, Fits fits) {
    const auto look = [&](Watched& watched) {
        if (watched.came || !fits(*watched.moment)) return;
        if (++watched.seen >= watched.moment->nth) watched.came = time;
    };
    look(goal_);
    for (Watched& one : reached_) look(one);
    for (Watched& one : never_) look(one);
}

void Record::on_fact(NodeId node, Instant time, const facts::Fact& fact, bool healed) {
    watch(time, [&](const Moment& moment) { return is_moment(moment, node, fact, cast_); });
    if (!healed) availability_.on_fact(time, fact);
}

void Record::on_word(NodeId node, std::string_view word, Instant time) {
    watch(time, [&](const Moment& moment) { return is_moment(moment, node, word, cast_); });
}

void Record::on_healing(Instant time) { availability_.end(time); }

void Record::finish(RunResult& result, std::vector<std::string>& wrong) const {
    if (goal_.came)
        result.script.push_back(fmt::format("goal reached at {}: {}",
                                            seconds_of(goal_.came->nanoseconds), scenario_.goal));
    else
        wrong.push_back(fmt::format("the goal was not reached: {}", scenario_.goal));
    const Expectations& expect = scenario_.expect;
    for (const Watched& one : reached_)
        if (!one.came)
            wrong.push_back(fmt::format("\"{}\" (line {}) did not come",
                                        fact_words[one.moment->fact], one.moment->line));
    for (const Watched& one : never_)
        if (one.came)
            wrong.push_back(fmt::format("\"{}\" (line {}) came at {}", fact_words[one.moment->fact],
                                        one.moment->line, seconds_of(one.came->nanoseconds)));
    for (std::size_t i = 0; i + 1 < rule_count; ++i) {
        const char* rule = to_string(static_cast<Rule>(i));
        hold(expect.lost[i], result.bill.records_lost[i], fmt::format("lost by {}", rule), wrong);
        hold(expect.avoidable[i], result.bill.records_avoidable[i],
             fmt::format("lost avoidably by {}", rule), wrong);
    }
    hold(expect.stranded, result.bill.records_stranded, "stranded in the end", wrong);
    if (expect.excused && result.excuse.empty())
        wrong.emplace_back("liveness needed no excuse, expected one");
    if (!expect.excused && !result.excuse.empty())
        wrong.push_back("liveness was excused: " + result.excuse);
    for (const auto& [name, bounds] : expect.counts) {
        const std::int64_t count = count_by_name(result.counts, name).value_or(0);
        if (bounds.at_least && count < *bounds.at_least)
            wrong.push_back(
                fmt::format("{} {}, expected at least {}", count, name, *bounds.at_least));
        if (bounds.at_most && count > *bounds.at_most)
            wrong.push_back(
                fmt::format("{} {}, expected at most {}", count, name, *bounds.at_most));
    }
    const Duration unavailable = availability_.longest();
    if (expect.unavailable_max && unavailable > *expect.unavailable_max)
        wrong.push_back(fmt::format("nothing was acknowledged for {}, expected at most {}",
                                    seconds_of(unavailable.nanoseconds),
                                    seconds_of(expect.unavailable_max->nanoseconds)));
}

}  // namespace klamm::sim

#include "sim/scenario/parse_step.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "sim/scenario/read_words.h"
#include "sim/scenario/spec.h"
#include "sim/scenario/words.h"

namespace klamm::sim {

namespace {

constexpr std::array<std::pair<std::string_view, Verb>, 26> verbs{{
    {"name", Verb::name},
    {"kill", Verb::kill},
    {"kill_in_write", Verb::kill_in_write},
    {"power", Verb::power},
    {"pause", Verb::pause},
    {"resume", Verb::resume},
    {"stop", Verb::stop},
    {"start", Verb::start},
    {"wipe", Verb::wipe},
    {"cut", Verb::cut},
    {"mend", Verb::mend},
    {"stall", Verb::stall},
    {"slow", Verb::slow},
    {"reset", Verb::reset},
    {"links", Verb::links},
    {"on", Verb::on},
    {"disk", Verb::disk},
    {"clock", Verb::clock},
    {"move_leader", Verb::move_leader},
    {"elect_unclean", Verb::elect_unclean},
    {"configure", Verb::configure},
    {"site", Verb::site},
    {"swizzle", Verb::swizzle},
    {"stall_each", Verb::stall_each},
    {"reuse", Verb::reuse},
    {"last_copy", Verb::last_copy},
}};

constexpr std::array<std::pair<std::string_view, Step::When>, 5> whens{{
    {"at", Step::When::at},
    {"wait", Step::When::wait},
    {"when", Step::When::when},
    {"before", Step::When::before},
    {"after", Step::When::after},
}};

/// Of a disk's troubles: rot and what went astray stay as they are.
bool disk_may_last(const Deed& deed) {
    return !deed.well && !deed.remember && deed.kind != FaultKind::disk_rot &&
           deed.kind != FaultKind::disk_misdirect && deed.kind != FaultKind::disk_write_back;
}

/// Deeds that may end by themselves.
bool may_last(const Deed& deed) {
    switch (deed.verb) {
        case Verb::kill:
        case Verb::kill_in_write:
        case Verb::power:
        case Verb::pause:
        case Verb::stop:
        case Verb::wipe:
        case Verb::cut:
        case Verb::stall:
        case Verb::slow:
        case Verb::elect_unclean: return true;
        case Verb::links:
        case Verb::site:
        case Verb::swizzle:
        case Verb::stall_each:
        case Verb::reuse: return true;
        case Verb::on: return deed.kind == FaultKind::connection_stall;
        case Verb::disk: return disk_may_last(deed);
        case Verb::clock: return deed.kind == FaultKind::clock_drift;
        default: return false;
    }
}

/// Which filters a fact can be held against, besides by, partition and nth.
std::vector<std::string_view> filters_of(std::string_view fact) {
    if (fact == "appended") return {"as_leader"};
    if (fact == "truncated") return {"reason"};
    if (fact == "opened") return {"log"};
    if (fact == "follows") return {"leader"};
    if (fact == "isr_proposed") return {"joining"};
    if (fact == "produce_answered") return {"acks", "error"};
    if (fact == "partition_changed") return {"leader", "leaderless", "cause", "isr", "elr"};
    if (fact == "registered") return {"of", "proven"};
    if (fact == "fenced" || fact == "unfenced") return {"of"};
    if (fact == "fetched") return {"of", "diverging"};
    if (fact == "send_returned") return {"outcome"};
    if (fact == "poll_returned") return {"told"};
    if (fact == "group_commit_returned") return {"outcome"};
    return {};
}

Duration lasting(const Located& from, std::string_view key) {
    const Duration duration = *read_duration(from.text);
    if (duration.nanoseconds <= 0)
        throw ParseError{from.line, fmt::format("\"{}\": expected a duration above zero, found "
                                                "\"{}\"",
                                                key, from.text)};
    return duration;
}

}  // namespace

std::string option_text(const Located& value) {
    if (value.kind == Located::Kind::boolean) return value.boolean ? "true" : "false";
    if (value.kind == Located::Kind::integer) return std::to_string(value.integer);
    return value.text;
}

Who StepReader::who(const Located& from) const {
    const auto unknown = [&] {
        std::vector<std::string_view> known(who_words().begin(), who_words().end());
        known.insert(known.end(), names_.begin(), names_.end());
        const auto near = near_miss(from.text, known);
        std::string list;
        for (const std::string_view one : known)
            list += fmt::format("{}\"{}\"", list.empty() ? "" : ", ", one);
        return ParseError{from.line,
                          fmt::format("\"{}\" is nobody; {}", from.text,
                                      near.empty() ? "expected one of " + list
                                                   : fmt::format("did you mean \"{}\"?", near))};
    };
    auto found = read_who(from.text);
    if (!found) throw unknown();
    found->line = from.line;
    const auto limit = [&](std::size_t most, const char* what) {
        if (static_cast<std::size_t>(found->number) > most)
            throw ParseError{from.line,
                             fmt::format("\"{}\": there are {} {}", from.text, most, what)};
    };
    switch (found->role) {
        case Who::Role::named:
            if (!names_.contains(found->name)) throw unknown();
            break;
        case Who::Role::broker: limit(scenario_.cluster.shards.size(), "brokers"); break;
        case Who::Role::rack:
            limit(std::min(scenario_.racks, scenario_.cluster.shards.size()), "racks");
            break;
        case Who::Role::controller_n: limit(scenario_.cluster.controllers, "controllers"); break;
        case Who::Role::producer: limit(scenario_.workload.producers.size(), "producers"); break;
        case Who::Role::member: limit(scenario_.workload.members.size(), "members"); break;
        case Who::Role::consumer: limit(scenario_.workload.consumers.size(), "consumers"); break;
        default:
            if (found->partition >= static_cast<std::int32_t>(scenario_.cluster.partitions))
                throw ParseError{from.line, fmt::format("\"{}\": topic trial has {} partitions",
                                                        from.text, scenario_.cluster.partitions)};
            break;
    }
    return *found;
}

Whos StepReader::whos(const Located& from) const {
    Whos all;
    if (from.kind == Located::Kind::text) {
        all.push_back(who(from));
    } else {
        for (const Located& item : from.items) all.push_back(who(item));
    }
    return all;
}

std::int32_t StepReader::partition(const Located& from) const {
    const Located* found = from.find("partition");
    if (found == nullptr) return 0;
    if (found->integer >= static_cast<std::int64_t>(scenario_.cluster.partitions))
        throw ParseError{found->line, fmt::format("\"partition\": topic trial has {} partitions, "
                                                  "found {}",
                                                  scenario_.cluster.partitions, found->integer)};
    return static_cast<std::int32_t>(found->integer);
}

Moment StepReader::moment(const Located& from) const {
    Moment moment;
    moment.line = from.line;
    const std::string& fact = from.find("fact")->text;
    moment.fact = index_of(fact_words, fact);
    const auto known = filters_of(fact);
    for (const LocatedMember& one : from.members) {
        const std::string& key = one.key;
        const Located& value = one.value;
        if (key == "fact") continue;
        if (key == "by") {
            moment.by = who(value);
        } else if (key == "partition") {
            moment.partition = partition(from);
        } else if (key == "nth") {
            moment.nth = static_cast<std::uint32_t>(value.integer);
        } else if (std::find(known.begin(), known.end(), key) == known.end()) {
            std::string list = "by, partition, nth";
            for (const std::string_view filter : known) list += fmt::format(", {}", filter);
            throw ParseError{one.line, fmt::format("\"{}\" says nothing about \"{}\"; expected {}",
                                                   key, fact, list)};
        } else if (key == "leader" || key == "joining" || key == "of") {
            moment.about = who(value);
        } else if (key == "isr") {
            moment.isr = whos(value);
        } else if (key == "elr") {
            moment.elr = whos(value);
        } else if (value.kind == Located::Kind::boolean) {
            moment.flag = value.boolean;
        } else if (key == "acks") {
            moment.code = value.integer;
        } else if (key == "reason") {
            moment.code = static_cast<std::int64_t>(index_of(truncate_words, value.text));
        } else if (key == "log") {
            moment.code = static_cast<std::int64_t>(index_of(log_words, value.text));
        } else if (key == "cause") {
            moment.code = static_cast<std::int64_t>(index_of(cause_words, value.text));
        } else if (key == "outcome") {
            moment.code = static_cast<std::int64_t>(index_of(outcome_words, value.text));
        }
    }
    return moment;
}

void StepReader::cut(const Located& from, Deed& deed) const {
    const Located* one = from.find("from");
    const Located* to = from.find("to");
    const Located* between = from.find("between");
    const Located* other = from.find("and");
    const Located* all = from.find("all");
    const bool one_way = one != nullptr && to != nullptr;
    const bool both = between != nullptr && other != nullptr;
    const std::size_t given = from.members.size();
    if (all != nullptr && all->boolean && deed.verb == Verb::mend && given == 1) {
        deed.all = true;
        return;
    }
    if (given != 2 || one_way == both)
        throw ParseError{from.line, "expected \"from\" and \"to\", or \"between\" and \"and\""};
    deed.both_ways = both;
    deed.who = whos(both ? *between : *one);
    deed.other = whos(both ? *other : *to);
}

void StepReader::clock(const Located& from, Deed& deed) const {
    deed.who = {who(*from.find("of"))};
    const Located* steps = from.find("steps");
    const Located* drifts = from.find("drifts");
    if ((steps == nullptr) == (drifts == nullptr))
        throw ParseError{from.line, "\"clock\": expected \"steps\" or \"drifts\""};
    deed.kind = steps != nullptr ? FaultKind::clock_step : FaultKind::clock_drift;
    deed.amount = steps != nullptr ? read_duration(steps->text)->nanoseconds : drifts->integer;
}

void StepReader::configure(const Located& from, Deed& deed) const {
    if (from.members.empty())
        throw ParseError{from.line, "\"configure\": expected at least one option"};
    for (const LocatedMember& one : from.members) {
        config::TopicOptions options;
        const std::string text = option_text(one.value);
        const Status status = config::set(options, one.key, text);
        if (!status) throw ParseError{one.line, status.error().text};
        deed.options.emplace(one.key, text);
    }
}

Deed StepReader::deed(const Located& from, bool by_chance) {
    Deed deed;
    const LocatedMember* what = nullptr;
    for (const LocatedMember& one : from.members) {
        const auto verb = std::find_if(verbs.begin(), verbs.end(),
                                       [&](const auto& entry) { return entry.first == one.key; });
        if (verb == verbs.end()) continue;
        if (what != nullptr)
            throw ParseError{one.line,
                             fmt::format("one thing a step: \"{}\" or \"{}\"", what->key, one.key)};
        what = &one;
        deed.verb = verb->second;
    }
    if (what == nullptr && by_chance)
        throw ParseError{from.line, "expected what falls, such as \"kill\""};
    if (what != nullptr) {
        const Located& value = what->value;
        switch (deed.verb) {
            case Verb::name:
                for (const LocatedMember& one : value.members) {
                    const auto as_word = read_who(one.key);
                    if (!as_word || as_word->role != Who::Role::named)
                        throw ParseError{one.line,
                                         fmt::format("\"{}\" cannot be a name: expected letters, "
                                                     "and no word that has a meaning",
                                                     one.key)};
                    deed.names.emplace(one.key, who(one.value));
                }
                for (const LocatedMember& one : value.members) names_.insert(one.key);
                break;
            case Verb::cut:
            case Verb::mend:
            case Verb::stall:
            case Verb::reset: cut(value, deed); break;
            case Verb::links: links(value, deed); break;
            case Verb::on: request(value, deed); break;
            case Verb::disk: disk(value, deed); break;
            case Verb::clock: clock(value, deed); break;
            case Verb::configure: configure(value, deed); break;
            case Verb::slow:
                deed.who = {who(*value.find("who"))};
                deed.kind = FaultKind::slow_link;
                deed.amount = lasting(*value.find("by"), "by").nanoseconds / 1'000;
                break;
            case Verb::move_leader:
                deed.who = {who(*value.find("to"))};
                deed.partition = partition(value);
                break;
            case Verb::elect_unclean:
            case Verb::last_copy: deed.partition = partition(value); break;
            case Verb::site: site(value, deed); break;
            case Verb::reuse:
                deed.who = {who(*value.find("address_of"))};
                deed.other = {who(*value.find("by"))};
                break;
            default: deed.who = whos(value); break;
        }
    }
    if (const Located* options = from.find("with")) changed(*options, deed);
    if (const Located* answers = from.find("answers")) {
        if (deed.verb != Verb::kill)
            throw ParseError{answers->line, "\"answers\" goes with \"kill\" only"};
        const std::size_t which = index_of(answer_words, answers->text);
        deed.amount = which == 0 ? 0 : which == 1 ? kill_keeps_nothing : kill_keeps_all;
    }
    if (const Located* time = from.find("for")) {
        if (!may_last(deed))
            throw ParseError{time->line, fmt::format("\"for\" has no meaning with \"{}\"",
                                                     what == nullptr ? "nothing" : what->key)};
        deed.lasting = lasting(*time, "for");
    } else if (deed.verb == Verb::stall || deed.verb == Verb::swizzle ||
               deed.verb == Verb::stall_each || (deed.verb == Verb::on && may_last(deed)) ||
               (by_chance && may_last(deed) && deed.verb != Verb::elect_unclean)) {
        throw ParseError{from.line, "\"for\" is missing: expected how long it lasts"};
    }
    return deed;
}

Step StepReader::step(const Located& from) {
    Step step;
    step.line = from.line;
    for (const LocatedMember& one : from.members) {
        const auto when = std::find_if(whens.begin(), whens.end(),
                                       [&](const auto& entry) { return entry.first == one.key; });
        if (when == whens.end()) continue;
        if (step.when != Step::When::now)
            throw ParseError{one.line,
                             "one moment a step: \"at\", \"wait\", \"when\", \"before\" "
                             "or \"after\""};
        step.when = when->second;
        if (one.value.kind == Located::Kind::text)
            step.time = lasting(one.value, one.key);
        else
            step.moment = moment(one.value);
    }
    step.deed = deed(from, false);
    if (step.deed.verb == Verb::none && step.when == Step::When::now)
        throw ParseError{from.line, "expected a moment, or what is done"};
    return step;
}

ByChance StepReader::chance(const Located& from) {
    ByChance chance;
    chance.line = from.line;
    chance.from = lasting(*from.find("between"), "between");
    chance.to = lasting(*from.find("and"), "and");
    if (chance.to <= chance.from)
        throw ParseError{from.line, "\"and\": expected a time after that of \"between\""};
    if (const Located* times = from.find("times"))
        chance.times = static_cast<std::uint32_t>(times->integer);
    chance.deed = deed(from, true);
    return chance;
}

}  // namespace klamm::sim

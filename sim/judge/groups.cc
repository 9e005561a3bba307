#include "sim/judge/groups.h"

#include <fmt/format.h>

#include <algorithm>

namespace klamm::sim {

void GroupMonitor::assigned(const facts::GroupAssigned& fact, Instant now, BrokerId node) {
    ++clock_;
    Group& group = groups_[fact.group];
    if (fact.generation > group.newest) {
        group.newest = fact.generation;
        // Its record is in the log: what older generations had under way is there already, or will
        // never be.
        for (auto& [part, history] : group.histories)
            for (Commit& one : history.commits)
                if (one.generation < fact.generation) one.over = std::min(one.over, clock_);
    }
    if (fact.generation < group.judged_from) return;
    for (const facts::GroupOffset& owned : fact.owned) {
        const Part part{owned.topic, owned.partition};
        const auto [at, fresh] = group.owners.emplace(std::pair(fact.generation, part), node);
        if (fresh || at->second == node) continue;
        findings_.report("I8",
                         fmt::format("{}-{} is owned twice in generation {} of group {}: by "
                                     "client {} and, as {}, by client {}",
                                     owned.topic, owned.partition, fact.generation, fact.group,
                                     at->second.value, fact.member, node.value),
                         now, node);
    }
}

void GroupMonitor::commit_invoked(const facts::GroupCommitInvoked& fact, Instant now,
                                  BrokerId node) {
    ++clock_;
    Group& group = groups_[fact.group];
    Open open{fact.generation, group.newest, {}, fact.group};
    for (const facts::GroupOffset& one : fact.offsets) {
        const Part part{one.topic, one.partition};
        History& history = group.histories[part];
        open.commits[part] = history.commits.size();
        history.commits.push_back({node, fact.generation, one.offset, clock_, never, never, now});
    }
    open_[{node, fact.operation}] = std::move(open);
}

void GroupMonitor::commit_returned(const facts::GroupCommitReturned& fact, Instant now,
                                   BrokerId node) {
    ++clock_;
    const auto row = open_.extract(Operation{node, fact.operation});
    if (row.empty()) return findings_.malformed("a commit returned that nobody began", now, node);
    const Open& open = row.mapped();
    Group& group = groups_[open.group];
    const bool ok = fact.outcome == facts::Outcome::ok;
    const bool fenced = open.newest > open.generation && open.generation >= group.judged_from;
    if (ok && fenced)
        findings_.report("I8",
                         fmt::format("a commit of generation {} of group {} was accepted, though "
                                     "it was asked for after a member of generation {} had been "
                                     "told its part",
                                     open.generation, open.group, open.newest),
                         now, node);
    for (const auto& [part, at] : open.commits) {
        Commit& commit = group.histories[part].commits[at];
        if (ok) commit.effective = std::min(commit.effective, clock_);
        if (fact.outcome == facts::Outcome::failed) commit.over = commit.invoked;
        if (!fact.doubtful) commit.over = std::min(commit.over, clock_);
    }
}

void GroupMonitor::asked(const facts::GroupOffsetsAsked& fact, Lead lead, BrokerId node) {
    questions_[{node, fact.operation}] = {++clock_, lead};
}

void GroupMonitor::told(const facts::GroupOffsetsReturned& fact, Lead lead, Instant now,
                        BrokerId node) {
    ++clock_;
    const auto row = questions_.extract(Operation{node, fact.operation});
    if (row.empty())
        return findings_.malformed("offsets were told that nobody asked for", now, node);
    if (fact.outcome != facts::Outcome::ok) return;
    const Question& question = row.mapped();
    if (lead != question.lead || lead.broker != fact.from) {
        ++passed_over_;
        return;
    }
    judge(groups_[fact.group], fact, question.asked, now, node);
}

void GroupMonitor::judge(Group& group, const facts::GroupOffsetsReturned& fact, std::uint64_t asked,
                         Instant now, BrokerId node) {
    for (const facts::GroupOffset& one : fact.offsets) {
        History& history = group.histories[{one.topic, one.partition}];
        // Whatever was over before this one began is replaced.
        const Commit* last = nullptr;
        for (const Commit& commit : history.commits)
            if (commit.effective < asked && (last == nullptr || commit.invoked > last->invoked))
                last = &commit;
        const bool none = one.offset == no_offset;
        const Commit* shown = nullptr;
        std::size_t matches = 0;
        for (Commit& commit : history.commits) {
            if (none || commit.offset != one.offset) continue;
            if (commit.over == commit.invoked) continue;  // it had no effect
            if (last != nullptr && commit.over < last->invoked) continue;
            ++matches;
            shown = &commit;
        }
        const bool lawful = none ? last == nullptr : shown != nullptr;
        // Only one commit can have been seen: by now it has taken effect.
        if (matches == 1) {
            auto& seen = history.commits[static_cast<std::size_t>(shown - history.commits.data())];
            seen.effective = std::min(seen.effective, clock_);
        }
        if (lawful) continue;
        const std::string told =
            none ? "that nothing is" : fmt::format("that {} is", one.offset.value);
        const std::string instead =
            last == nullptr
                ? std::string("though nobody has committed that")
                : fmt::format("though client {} had {} acknowledged at {}.{:03} s in generation {}",
                              last->node.value, last->offset.value,
                              last->at.nanoseconds / 1'000'000'000,
                              last->at.nanoseconds / 1'000'000 % 1'000, last->generation);
        findings_.report(
            "I8",
            fmt::format("broker {} tells {} committed for {}-{} in group {}, {}", fact.from.value,
                        told, one.topic, one.partition, fact.group, instead),
            now, node);
    }
}

void GroupMonitor::excused(const std::string& name) {
    const auto at = groups_.find(name);
    if (at == groups_.end()) return;
    Group& group = at->second;
    ++clock_;
    // An answer about what is lost may still be on its way, and the next generation may have a
    // number that was given before.
    group.judged_from = group.newest + 2;
    group.owners.clear();
    for (auto& [part, history] : group.histories) {
        for (Commit& one : history.commits) {
            if (one.over == one.invoked) continue;
            // What is left of them is all that will ever show.
            if (one.over != never) one.over = clock_;
            one.effective = never;
        }
    }
}

std::set<std::string> GroupMonitor::groups() const {
    std::set<std::string> names;
    for (const auto& [name, group] : groups_) names.insert(name);
    return names;
}

}  // namespace klamm::sim

// Each rule has its own small state, found by the ids that events carry.
#include "checkers/service_checker.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "checkers/log_state.h"
#include "checkers/violation.h"

namespace klamm::checkers {

/// A send of a client that was promised something.
struct PromisedSend {
    Event invoked;
    std::uint64_t number = 0;  // in order of invocation
};

struct PromisedClient {
    std::int64_t within = -1;
    bool ordered = false;
    std::map<std::uint64_t, PromisedSend> open;  // by operation
    std::set<std::uint64_t> open_numbers;
    /// Acknowledged ones by partition and number, from the last below all that are open.
    std::map<std::int32_t, std::map<std::uint64_t, Event>> written;
};

/// Commits of one offset.
struct CommitsOfOffset {
    std::uint64_t open = 0;  // those of unknown outcome included: they may take effect at any time
    std::uint64_t last = 0;  // when the last one that succeeded ended; 0: none did
};

struct CompleteCommit {
    std::uint64_t begun = 0;
    Event invoked;
};

struct GroupPartition {
    std::map<std::int32_t, Event> owners;  // by generation: who was told first
    std::set<std::int32_t> members;
    std::map<std::int64_t, CommitsOfOffset> commits;
    std::optional<CompleteCommit> complete;  // of the complete ones that which was begun last
    std::int64_t shown_end = -1;  // what members were shown without a gap; -1: nothing yet
    struct Gap {
        std::int64_t from;
        std::int64_t to;
        Event commit;
    };
    std::vector<Gap> gaps;
};

struct OpenCommit {
    Event invoked;
    std::uint64_t begun = 0;
    std::optional<Event> newer;            // the owner of a newer generation
    std::optional<CompleteCommit> before;  // of an answer: the last complete commit
};

struct ServiceChecker::State {
    using OperationId = std::pair<std::int32_t, std::uint64_t>;

    std::vector<ServiceViolation> violations;
    std::uint64_t events = 0;
    std::map<std::int32_t, PromisedClient> clients;
    std::map<std::pair<std::uint64_t, std::int32_t>, GroupPartition> groups;
    std::map<std::int32_t, std::set<std::uint64_t>> groups_of;  // by client
    std::map<OperationId, OpenCommit> open;
    std::map<OperationId, Event> polls;                              // of members
    std::map<std::pair<std::int32_t, std::int32_t>, Event> leaders;  // by partition and epoch
    std::map<std::uint64_t, std::pair<Event, Event>> resources;      // first and last told
    OpenTable<OpenKey, std::int32_t, OpenKeyHash> sends;             // open ones → partition
    std::map<std::int32_t, std::vector<std::int64_t>> acknowledged;  // offsets by partition

    static Event plain(const Event& event) {
        Event copy = event;
        copy.records.clear();
        return copy;
    }
    static OperationId id(const Event& event) { return {event.client, event.operation}; }
    void report(const char* name, const Event& now, std::string sentence,
                std::vector<Event> before) {
        before.push_back(plain(now));
        violations.push_back({name, std::move(sentence), now.time, std::move(before)});
    }
    [[nodiscard]] GroupPartition& group(const Event& event) {
        return groups[{event.value, event.partition}];
    }

    // Sends.

    void sends_promised(const Event& event) {
        PromisedClient& client = clients[event.client];
        client.within = event.offset;
        client.ordered = event.acks == 1;
        // One that promises nothing is gone; who comes after it has an order of its own.
        if (client.within < 0 && !client.ordered) clients.erase(event.client);
    }
    void send_invoked(const Event& event) {
        sends.add({event.client, event.operation}, event.partition);
        const auto client = clients.find(event.client);
        if (client == clients.end()) return;
        client->second.open[event.operation] = {plain(event), events};
        client->second.open_numbers.insert(events);
    }
    void send_returned(const Event& event) {
        const OpenKey key{event.client, event.operation};
        const std::int32_t* const sent = sends.find(key);
        if (sent == nullptr) return;
        const std::int32_t partition = *sent;
        sends.erase(key);
        const bool placed = event.outcome == Outcome::ok && event.offset >= 0;
        if (placed) acknowledged[partition].push_back(event.offset);
        const auto client = clients.find(event.client);
        if (client == clients.end()) return;
        const auto found = client->second.open.find(event.operation);
        if (found == client->second.open.end()) return;
        PromisedSend send = found->second;
        client->second.open.erase(found);
        client->second.open_numbers.erase(send.number);
        late(client->second, send, event.time, true);
        send.invoked.offset = event.offset;
        if (placed && client->second.ordered) order(client->second, send, event);
    }
    void order(PromisedClient& client, const PromisedSend& send, const Event& now) {
        auto& written = client.written[send.invoked.partition];
        const auto after = written.upper_bound(send.number);
        const auto wrong = [&](const Event& first, const Event& second) {
            report("unordered-sends", now,
                   fmt::format("client {} sent value {} and then value {} to partition {}, and "
                               "they lie at offsets {} and {}",
                               now.client, first.value, second.value, first.partition, first.offset,
                               second.offset),
                   {first, second});
        };
        if (after != written.end() && after->second.offset <= send.invoked.offset) {
            wrong(send.invoked, after->second);
        }
        if (after != written.begin()) {
            const Event& before = std::prev(after)->second;
            if (before.offset >= send.invoked.offset) wrong(before, send.invoked);
        }
        written[send.number] = send.invoked;
        // Nobody will come before these any more.
        const std::uint64_t low =
            client.open_numbers.empty() ? UINT64_MAX : *client.open_numbers.begin();
        auto keep = written.lower_bound(low);
        if (keep != written.begin()) written.erase(written.begin(), std::prev(keep));
    }
    void late(const PromisedClient& client, const PromisedSend& send, std::int64_t now,
              bool has_ended) {
        const std::int64_t took = now - send.invoked.time;
        if (client.within < 0 || took <= client.within) return;
        Event event = send.invoked;
        event.time = now;
        report("late-send", event,
               fmt::format("value {} of client {} was to end within {}, and {} after {}",
                           event.value, event.client, seconds_text(client.within),
                           has_ended ? "ended" : "had not ended", seconds_text(took)),
               {send.invoked});
    }

    // Groups.

    void owner_told(const Event& event) {
        GroupPartition& at = group(event);
        if (event.epoch < 0) {
            at.members.erase(event.client);
            return;
        }
        groups_of[event.client].insert(event.value);
        at.members.insert(event.client);
        const auto [owner, fresh] = at.owners.emplace(event.epoch, plain(event));
        if (fresh || owner->second.client == event.client) return;
        report("two-owners", event,
               fmt::format("clients {} and {} own partition {} in generation {} of group {}",
                           owner->second.client, event.client, event.partition, event.epoch,
                           event.value),
               {owner->second});
    }
    void commit_invoked(const Event& event) {
        GroupPartition& at = group(event);
        OpenCommit row{plain(event), events, {}, {}};
        const auto newer = at.owners.upper_bound(event.epoch);
        if (event.epoch >= 0 && newer != at.owners.end()) row.newer = newer->second;
        open[id(event)] = row;
        ++at.commits[event.offset].open;
    }
    void commit_returned(const Event& event, const OpenCommit& row) {
        const Event& asked = row.invoked;
        GroupPartition& at = group(asked);
        CommitsOfOffset& same = at.commits[asked.offset];
        if (event.outcome == Outcome::unknown) return;
        --same.open;
        if (event.outcome != Outcome::ok) return;
        same.last = events;
        if (row.newer) {
            report("stale-commit", event,
                   fmt::format("client {} committed offset {} of partition {} in generation {} of "
                               "group {}, although client {} owned it in generation {} before that",
                               asked.client, asked.offset, asked.partition, asked.epoch,
                               asked.value, row.newer->client, row.newer->epoch),
                   {*row.newer, asked});
        }
        if (!at.complete || at.complete->begun < row.begun) at.complete = {row.begun, asked};
        if (at.shown_end >= 0 && asked.offset > at.shown_end) {
            at.gaps.push_back({at.shown_end, asked.offset, asked});
            at.shown_end = asked.offset;  // who comes later goes on from there
        }
    }
    void committed_invoked(const Event& event) {
        open[id(event)] = {plain(event), events, {}, group(event).complete};
    }
    void committed_returned(const Event& event, const OpenCommit& row) {
        const Event& asked = row.invoked;
        const std::string what =
            fmt::format("client {} was told offset {} of partition {} in group {}", asked.client,
                        event.offset, asked.partition, asked.value);
        const GroupPartition& at = group(asked);
        const auto same = at.commits.find(event.offset);
        const bool known = same != at.commits.end();
        if (known && same->second.open > 0) return;
        const std::uint64_t last = known ? same->second.last : 0;
        if (event.offset >= 0 && last == 0) {
            report("ghost-commit", event, what + ", which nobody had committed", {asked});
        } else if (row.before && row.before->begun > last) {
            report("lost-commit", event,
                   fmt::format("{}, although offset {} had been committed{}", what,
                               row.before->invoked.offset, last == 0 ? "" : " after that"),
                   {row.before->invoked, asked});
        }
    }
    /// What a member is shown counts for each of its groups.
    void shown(const Event& event, std::int64_t from, std::int64_t to, std::int32_t partition) {
        const auto mine = groups_of.find(event.client);
        if (mine == groups_of.end()) return;
        for (const std::uint64_t each : mine->second) {
            const auto at = groups.find({each, partition});
            if (at == groups.end() || at->second.members.count(event.client) == 0) continue;
            std::int64_t& end = at->second.shown_end;
            if (end < 0) end = from;
            if (from <= end) end = std::max(end, to);
        }
    }
    void poll_returned(const Event& event) {
        const auto found = polls.find(id(event));
        if (found == polls.end()) return;
        const Event asked = found->second;
        polls.erase(found);
        if (event.outcome != Outcome::ok || event.records.empty()) return;
        shown(event, asked.offset, event.records.back().offset + 1, asked.partition);
    }

    // Metadata, resources, and the end.

    void leader_told(const Event& event) {
        const auto [at, fresh] = leaders.emplace(std::pair(event.partition, event.epoch), event);
        if (fresh || at->second.value == event.value) return;
        report("two-leaders", event,
               fmt::format("nodes {} and {} lead partition {} in epoch {}", at->second.value,
                           event.value, event.partition, event.epoch),
               {at->second});
    }
    void resource_told(const Event& event) {
        const auto [at, fresh] = resources.emplace(event.value, std::pair(event, event));
        if (!fresh) at->second.second = event;
    }
    void finish(std::int64_t time) {
        for (const auto& [number, client] : clients) {
            for (const auto& [operation, send] : client.open) late(client, send, time, false);
        }
        for (const auto& [resource, told] : resources) {
            if (told.second.offset <= told.first.offset) continue;
            report("leak", told.second,
                   fmt::format("of resource {} {} were held at first, and {} in the end", resource,
                               told.first.offset, told.second.offset),
                   {told.first});
        }
        for (auto& [partition, offsets] : acknowledged) std::sort(offsets.begin(), offsets.end());
        for (const auto& [name, at] : groups) {
            for (const GroupPartition::Gap& gap : at.gaps) skipped(gap);
        }
    }
    void skipped(const GroupPartition::Gap& gap) {
        const std::vector<std::int64_t>& offsets = acknowledged[gap.commit.partition];
        const auto at = std::lower_bound(offsets.begin(), offsets.end(), gap.from);
        if (at == offsets.end() || *at >= gap.to) return;
        report("skipped-record", gap.commit,
               fmt::format("client {} committed offset {} of partition {} in group {}, whose "
                           "members had been shown nothing from offset {} on; offset {} holds a "
                           "record",
                           gap.commit.client, gap.to, gap.commit.partition, gap.commit.value,
                           gap.from, *at),
               {});
    }
};

ServiceChecker::ServiceChecker() : state_(std::make_unique<State>()) {}
ServiceChecker::~ServiceChecker() = default;
ServiceChecker::ServiceChecker(ServiceChecker&&) noexcept = default;
ServiceChecker& ServiceChecker::operator=(ServiceChecker&&) noexcept = default;

void ServiceChecker::feed(const Event& event) {
    State& state = *state_;
    ++state.events;
    const auto answered = [&](Kind invoked, auto&& judge) {
        const auto found = state.open.find(State::id(event));
        if (found == state.open.end() || found->second.invoked.kind != invoked) return;
        const OpenCommit row = std::move(found->second);
        state.open.erase(found);
        judge(row);
    };
    switch (event.kind) {
        case Kind::send_invoked: state.send_invoked(event); return;
        case Kind::send_returned: state.send_returned(event); return;
        case Kind::poll_invoked:
            if (state.groups_of.count(event.client) > 0) {
                state.polls[State::id(event)] = State::plain(event);
            }
            return;
        case Kind::poll_returned: state.poll_returned(event); return;
        case Kind::reset_told:
            // What it passes over is gone, or its user does not want it.
            state.shown(event, 0, event.offset, event.partition);
            return;
        case Kind::owner_told: state.owner_told(event); return;
        case Kind::commit_invoked: state.commit_invoked(event); return;
        case Kind::commit_returned:
            answered(Kind::commit_invoked,
                     [&](const OpenCommit& row) { state.commit_returned(event, row); });
            return;
        case Kind::committed_invoked: state.committed_invoked(event); return;
        case Kind::committed_returned:
            answered(Kind::committed_invoked, [&](const OpenCommit& row) {
                if (event.outcome == Outcome::ok) state.committed_returned(event, row);
            });
            return;
        case Kind::leader_told: state.leader_told(event); return;
        case Kind::sends_promised: state.sends_promised(event); return;
        case Kind::resource_told: state.resource_told(event); return;
        case Kind::latest_invoked:
        case Kind::latest_returned:
        case Kind::final_reads:
        case Kind::key_told: return;
    }
}

void ServiceChecker::finish(std::int64_t time) { state_->finish(time); }

const std::vector<ServiceViolation>& ServiceChecker::violations() const {
    return state_->violations;
}

std::vector<std::string> service_violation_names() {
    return {"ghost-commit", "late-send",   "leak",       "lost-commit",    "skipped-record",
            "stale-commit", "two-leaders", "two-owners", "unordered-sends"};
}

}  // namespace klamm::checkers

// What is held against each state, and states as text.
#include <algorithm>

#include "bindings/rules/quorum_cluster.h"

namespace klamm::quorum {

std::vector<Record> Cluster::all_records(const Replica& replica) {
    std::vector<Record> all;
    if (!replica.disk.snapshots.empty()) all = replica.disk.snapshots.back().records;
    all.insert(all.end(), replica.disk.log.begin(), replica.disk.log.end());
    return all;
}

void Cluster::check(const Replica& replica) {
    const Raft& raft = *replica.raft;
    const std::string name = std::to_string(replica.key.id.value);
    const std::vector<Record> all = all_records(replica);
    const auto holds = [&](std::size_t offset, const Record& record) {
        return offset < all.size() && all[offset] == record;
    };
    const auto own = std::pair(replica.key.id, replica.incarnation);
    // Before its state is durable nobody else knows of a leader, and what it was is forgotten with
    // the power; unless it has spoken, which is then the mistake.
    const ElectionState led{raft.epoch(), replica.key.id, std::nullopt};
    if (raft.is_leader() &&
        (replica.disk.state == led || replica.spoke_as_leader == raft.epoch())) {
        const auto known = leaders_.try_emplace(raft.epoch(), own).first;
        if (known->second != own)
            return fail("election safety: " + name + " and " +
                        std::to_string(known->second.first.value) + " led epoch " +
                        std::to_string(raft.epoch().value));
    }
    if (raft.is_leader()) {
        for (std::size_t i = 0; i < committed_.size(); ++i)
            if (committed_in_[i] < raft.epoch() && !holds(i, committed_[i]))
                return fail("leader completeness: " + name + " leads epoch " +
                            std::to_string(raft.epoch().value) + " without the committed record " +
                            std::to_string(i));
        for (const Acknowledged& change : acknowledged_)
            if (change.in < raft.epoch() &&
                !holds(static_cast<std::size_t>(change.offset.value), change.record))
                return fail("leader completeness: " + name + " leads epoch " +
                            std::to_string(raft.epoch().value) +
                            " without the acknowledged change of voters at " +
                            std::to_string(change.offset.value));
    }
    const auto watermark =
        static_cast<std::size_t>(raft.high_watermark().value_or(Offset(0)).value);
    if (watermark > all.size()) return fail("the watermark of " + name + " is beyond its log");
    // A leader may have moved its watermark and resigned in one step.
    if (raft.leader() == replica.key.id)
        for (std::size_t i = committed_.size(); i < watermark; ++i) {
            committed_.push_back(all[i]);
            committed_in_.push_back(raft.epoch());
        }
    for (std::size_t i = 0; i < watermark; ++i)
        if (i >= committed_.size() || all[i] != committed_[i])
            return fail("state-machine safety: " + name +
                        " takes another record for committed at " + std::to_string(i));
    check_matching();
}

void Cluster::check_matching() {
    for (std::size_t a = 0; a < replicas_.size(); ++a)
        for (std::size_t b = a + 1; b < replicas_.size(); ++b) {
            const std::vector<Record> first = all_records(replicas_[a]);
            const std::vector<Record> second = all_records(replicas_[b]);
            std::size_t i = std::min(first.size(), second.size());
            while (i > 0 && first[i - 1].epoch != second[i - 1].epoch) --i;
            for (std::size_t k = 0; k < i; ++k)
                if (first[k] != second[k])
                    return fail("log matching: " + std::to_string(a + 1) + " and " +
                                std::to_string(b + 1) + " agree on the epoch at " +
                                std::to_string(i - 1) + " and differ at " + std::to_string(k));
        }
}

int Cluster::leader() const {
    int found = 0;
    LeaderEpoch newest = no_leader_epoch;
    for (const Replica& replica : replicas_)
        if (replica.raft.has_value() && replica.raft->is_leader() &&
            replica.raft->epoch() > newest) {
            newest = replica.raft->epoch();
            found = replica.key.id.value;
        }
    return found;
}

LeaderEpoch Cluster::epoch_max() const {
    LeaderEpoch greatest{0};
    for (const Replica& replica : replicas_)
        if (replica.raft.has_value()) greatest = std::max(greatest, replica.raft->epoch());
    return greatest;
}

std::string Cluster::print() const {
    std::string text;
    const auto records = [&](const std::vector<Record>& list) {
        for (const Record& record : list) {
            text += ' ';
            text += std::to_string(record.epoch.value);
            if (!record.control.has_value()) text += 'd';
        }
    };
    for (const Replica& replica : replicas_) {
        text += replica.raft.has_value() ? replica.raft->print()
                                         : std::to_string(replica.key.id.value) + ": down";
        text += " | ";
        text += std::to_string(replica.disk.start.value);
        records(replica.disk.log);
        text += " flushed " + std::to_string(replica.disk.flushed.value);
        const auto state = [&](const ElectionState& one) {
            text += " [" + std::to_string(one.epoch.value) + "," +
                    std::to_string(one.leader.value) + "," +
                    (one.voted ? std::to_string(one.voted->id.value) : "-") + "]";
        };
        if (replica.disk.state.has_value()) state(*replica.disk.state);
        if (!replica.disk.state_writes.empty()) text += " unsynced";
        for (const StateWrite& write : replica.disk.state_writes) state(write.state);
        text += '\n';
    }
    std::vector<std::string> lines;
    const auto line = [&](const Message& message, const char* where) {
        const bool request = message.is_request;
        const Replica& asking = at(request ? message.from.value : message.to.value);
        const BrokerId asked = request ? message.to : message.from;
        const bool open = asking.raft.has_value() && asking.incarnation == message.incarnation &&
                          asking.raft->expects(asked, message.id);
        // An answer that nobody waits for changes nothing.
        if (!request && !open) return;
        std::string says = where + std::to_string(message.from.value) + ">" +
                           std::to_string(message.to.value) + (open ? " " : " late ") +
                           (request ? raft::print(message.request) : raft::print(message.response));
        for (const Record& record : message.records)
            says += (record.control ? " " : " d") + std::to_string(record.epoch.value);
        lines.push_back(std::move(says));
    };
    for (const Message& message : network_) line(message, "");
    for (const Replica& replica : replicas_)
        for (const Held& held : replica.held) line(held.message, "held ");
    std::sort(lines.begin(), lines.end());
    for (const std::string& one : lines) text += one + "\n";
    return text;
}

std::uint64_t Cluster::digest() const { return digest64(as_bytes(print())); }

std::string Cluster::take_transcript() { return std::exchange(transcript_, {}); }

}  // namespace klamm::quorum

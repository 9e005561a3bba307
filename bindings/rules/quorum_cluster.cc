#include "bindings/rules/quorum_cluster.h"

#include <algorithm>

namespace klamm::quorum {

namespace {

struct FailedAssertion {
    std::string text;
};

void throw_failed(const AssertionPlace& place) {
    throw FailedAssertion{std::string("assertion: ") + place.condition + " at " + place.file + ":" +
                          std::to_string(place.line)};
}

Uuid directory_of(int id) { return uuid_from_halves(7, static_cast<std::uint64_t>(id)); }

}  // namespace

AssertionsAreViolations::AssertionsAreViolations()
    : before_(install_assertion_handler(throw_failed)) {}
AssertionsAreViolations::~AssertionsAreViolations() { install_assertion_handler(before_); }

void Replica::read_log() {
    epochs.clear();
    Offset offset = disk.start;
    for (const Record& record : disk.log) {
        epochs.assign(record.epoch, offset);
        ++offset;
    }
    infos.clear();
    for (const Snapshot& snapshot : disk.snapshots) infos.push_back(snapshot.info);
}

Voter Cluster::voter_of(int id) const {
    const Endpoint endpoint{"CONTROLLER", "k" + std::to_string(id), 9093};
    return {{BrokerId(id), directory_of(id)}, {endpoint}, 0, 1};
}

Cluster::Cluster(const Options& options, Plants* plants) : options_(options), plants_(plants) {
    std::vector<int> voters = options.voters;
    for (int id = 1; voters.size() < static_cast<std::size_t>(options.replicas) &&
                     options.voters.empty() && id <= options.replicas;
         ++id)
        voters.push_back(id);
    std::vector<Voter> nodes;
    std::vector<BrokerId> ids;
    for (const int id : voters) {
        nodes.push_back(voter_of(id));
        ids.push_back(BrokerId(id));
    }
    for (int id = 1; id <= options.replicas; ++id) {
        Replica replica;
        replica.key = {BrokerId(id), directory_of(id)};
        replica.settings.endpoints = voter_of(id).endpoints;
        if (options.find_leader) replica.settings.bootstrap = ids;
        if (options.dynamic)
            replica.disk.snapshots.push_back(
                {{bootstrap_snapshot, 1}, {}, {Offset(0), VoterSet(nodes), 1}});
        else
            replica.configured = VoterSet::of_ids(ids);
        replicas_.push_back(std::move(replica));
    }
    for (int id = 1; id <= options.replicas; ++id) restart(id);
}

Turn Cluster::turn(const Replica& replica) const {
    return {replica.clock, Timestamp(0), Draws(options_.seed), plants_, nullptr};
}

template <class Fn>
bool Cluster::event(Replica& replica, const Message* cause, Fn&& fn) {
    if (!replica.raft.has_value()) return false;
    try {
        take(replica, fn(*replica.raft, turn(replica), replica.view()), cause);
        if (options_.sync_states) sync_state(replica.key.id.value);
        if (options_.sync_logs) sync_log(replica.key.id.value);
        if (replica.raft.has_value()) check(replica);
    } catch (const FailedAssertion& failed) {
        fail(failed.text);
    }
    return true;
}

void Cluster::fail(const std::string& what) {
    if (violation_.empty()) violation_ = what;
}

void Cluster::take(Replica& replica, Effects effects, const Message* cause) {
    for (;;) {
        if (!effects.fault.empty())
            return fail("replica " + std::to_string(replica.key.id.value) + ": " + effects.fault);
        const bool changes = effects.truncate.has_value() || effects.restart.has_value() ||
                             effects.append.has_value() || effects.append_records;
        std::optional<Effects> next;
        if (effects.persist.has_value()) replica.disk.state_writes.push_back(*effects.persist);
        // What is done to the log comes first, so that an answer finds the record it speaks of.
        if (changes) next = change_log(replica, effects, cause);
        for (Send& send : effects.sends)
            keep_or_send(replica, send.after,
                         {replica.key.id,
                          send.to,
                          true,
                          send.request,
                          std::move(send.body),
                          {},
                          {},
                          replica.incarnation});
        for (const Answer& one : effects.answers) answer(replica, one);
        if (!next.has_value()) return;
        effects = std::move(*next);
    }
}

std::optional<Effects> Cluster::change_log(Replica& replica, const Effects& effects,
                                           const Message* cause) {
    Disk& disk = replica.disk;
    std::vector<ControlEntry> entries;
    std::optional<SnapshotContent> content;
    if (effects.truncate.has_value()) {
        disk.log.resize(static_cast<std::size_t>(*effects.truncate - disk.start));
        disk.flushed = std::min(disk.flushed, *effects.truncate);
    }
    if (effects.restart.has_value()) {
        // The pieces are those of the snapshot that their sender has.
        const Replica& from = at(cause->from.value);
        const auto found =
            std::find_if(from.disk.snapshots.begin(), from.disk.snapshots.end(),
                         [&](const Snapshot& one) { return one.info.id == *effects.restart; });
        if (found == from.disk.snapshots.end()) {
            fail("a snapshot that its sender does not have");
            return std::nullopt;
        }
        content = found->content;
        disk.snapshots = {*found};
        disk.log.clear();
        disk.start = effects.restart->offset;
        disk.flushed = disk.start;
    }
    if (effects.append.has_value())
        for (const ControlValue& value : effects.append->records)
            disk.log.push_back({effects.append->epoch, ++numbers_, value});
    if (effects.append_records)
        for (const Record& record : cause->records) {
            if (record.control.has_value()) entries.push_back({replica.end(), *record.control});
            disk.log.push_back(record);
        }
    replica.read_log();
    return replica.raft->on_log(turn(replica), replica.view(), entries, content);
}

void Cluster::answer(Replica& replica, const Answer& answer) {
    const auto found = replica.asked.find(answer.ticket);
    if (found == replica.asked.end()) return;  // a test asked it itself
    const Message asked = found->second;
    replica.asked.erase(found);
    if (asked.from == no_broker) {
        const auto* change = std::get_if<ChangeVoterResponse>(&answer.body);
        change_answer = change->error;
        const auto recorded = replica.raft->voters().last_offset();
        if (change->error == ErrorCode::none && recorded.has_value())
            acknowledged_.push_back(
                {*recorded, all_records(replica)[static_cast<std::size_t>(recorded->value)],
                 replica.raft->epoch()});
        return;
    }
    Message message{replica.key.id,   asked.from, false, asked.id, {}, answer.body, {},
                    asked.incarnation};
    const auto* fetch = std::get_if<FetchResponse>(&answer.body);
    if (fetch != nullptr && fetch->has_records) {
        const auto from = static_cast<std::size_t>(fetch->read_from - replica.disk.start);
        for (std::size_t i = from;
             i < replica.disk.log.size() && message.records.size() < options_.fetch_records_max;
             ++i)
            message.records.push_back(replica.disk.log[i]);
    }
    keep_or_send(replica, answer.after, std::move(message));
}

void Cluster::keep_or_send(Replica& replica, StateNumber after, Message message) {
    if (after <= replica.durable_state) return send(std::move(message));
    replica.held.push_back({after, std::move(message)});
}

void Cluster::send(Message message) {
    if (transcribe)
        transcript_ +=
            std::to_string(message.from.value) + " > " + std::to_string(message.to.value) + "  " +
            (message.is_request ? raft::print(message.request) : raft::print(message.response)) +
            "\n";
    Replica& sender = at(message.from.value);
    if (sender.raft->is_leader()) sender.spoke_as_leader = sender.raft->epoch();
    network_.push_back(std::move(message));
}

bool Cluster::deliver(std::size_t index) {
    if (index >= network_.size()) return false;
    const Message message = network_[index];
    network_.erase(network_.begin() + static_cast<std::ptrdiff_t>(index));
    Replica& to = at(message.to.value);
    if (!message.is_request) {
        if (!to.raft.has_value() || to.incarnation != message.incarnation) return true;
        return event(to, &message, [&](Raft& raft, const Turn& now, const LogView& log) {
            return raft.on_response(now, log, message.from, message.id, message.response);
        });
    }
    if (!to.raft.has_value()) {
        Replica& from = at(message.from.value);
        if (from.incarnation == message.incarnation)
            event(from, nullptr, [&](Raft& raft, const Turn& now, const LogView& log) {
                return raft.on_failure(now, log, message.to, message.id);
            });
        return true;
    }
    to.asked[++tickets_] = message;
    return event(to, &message, [&](Raft& raft, const Turn& now, const LogView& log) {
        return raft.on_request(now, log, tickets_, message.request);
    });
}

bool Cluster::lose(std::size_t index, bool noticed) {
    if (index >= network_.size()) return false;
    const Message message = network_[index];
    network_.erase(network_.begin() + static_cast<std::ptrdiff_t>(index));
    const BrokerId asking = message.is_request ? message.from : message.to;
    const BrokerId asked = message.is_request ? message.to : message.from;
    Replica& replica = at(asking.value);
    if (!noticed || replica.incarnation != message.incarnation) return true;
    event(replica, nullptr, [&](Raft& raft, const Turn& now, const LogView& log) {
        return raft.on_failure(now, log, asked, message.id);
    });
    return true;
}

bool Cluster::tick(int id) {
    Replica& replica = at(id);
    if (!replica.raft.has_value()) return false;
    const Instant alarm = replica.raft->alarm(turn(replica));
    if (alarm == instant_never) return false;
    replica.clock = std::max(replica.clock, alarm);
    return event(replica, nullptr, [](Raft& raft, const Turn& now, const LogView& log) {
        return raft.tick(now, log);
    });
}

bool Cluster::expire(int id) {
    Replica& replica = at(id);
    if (!replica.raft.has_value()) return false;
    replica.clock = replica.clock + seconds(60);
    return event(replica, nullptr, [](Raft& raft, const Turn& now, const LogView& log) {
        return raft.tick(now, log);
    });
}

bool Cluster::append(int id) {
    Replica& replica = at(id);
    if (!replica.raft.has_value() || !replica.raft->is_leader()) return false;
    replica.disk.log.push_back({replica.raft->epoch(), ++numbers_, std::nullopt});
    replica.read_log();
    return event(replica, nullptr, [](Raft& raft, const Turn& now, const LogView& log) {
        return raft.on_log(now, log);
    });
}

bool Cluster::sync_log(int id) {
    Replica& replica = at(id);
    if (!replica.raft.has_value() || replica.disk.flushed == replica.end()) return false;
    replica.disk.flushed = replica.end();
    return event(replica, nullptr, [](Raft& raft, const Turn& now, const LogView& log) {
        return raft.on_log(now, log);
    });
}

bool Cluster::sync_state(int id) {
    Replica& replica = at(id);
    if (!replica.raft.has_value() || replica.disk.state_writes.empty()) return false;
    const StateWrite write = replica.disk.state_writes.back();
    replica.disk.state = write.state;
    replica.disk.state_writes.clear();
    replica.durable_state = write.number;
    std::vector<Held> held = std::exchange(replica.held, {});
    for (Held& row : held) keep_or_send(replica, row.after, std::move(row.message));
    return true;
}

bool Cluster::kill(int id) {
    Replica& replica = at(id);
    if (!replica.raft.has_value()) return false;
    replica.raft.reset();
    replica.spoke_as_leader = LeaderEpoch(0);
    replica.held.clear();
    replica.asked.clear();
    ++replica.incarnation;
    return true;
}

bool Cluster::power_off(int id, unsigned keep) {
    Replica& replica = at(id);
    Disk& disk = replica.disk;
    kill(id);
    // Any prefix of what is not synced, and any of the files that were renamed into place.
    const auto open = static_cast<unsigned>(replica.end() - disk.flushed);
    disk.log.resize(disk.log.size() - open + open * keep / 100);
    const std::size_t kept = (disk.state_writes.size() * keep + 50) / 100;
    if (kept > 0) disk.state = disk.state_writes[kept - 1].state;
    disk.state_writes.clear();
    replica.read_log();
    return true;
}

bool Cluster::restart(int id) {
    Replica& replica = at(id);
    if (replica.raft.has_value()) return false;
    replica.settings.incarnation = ++replica.incarnation;
    replica.durable_state = 0;
    replica.raft.emplace(replica.key, replica.settings, replica.configured);
    replica.read_log();
    // What a process has written is read again, durable or not; its number was another's.
    std::optional<ElectionState> stored = replica.disk.state;
    if (!replica.disk.state_writes.empty()) stored = replica.disk.state_writes.back().state;
    for (StateWrite& write : replica.disk.state_writes) write.number = 0;
    std::optional<SnapshotContent> content;
    if (!replica.disk.snapshots.empty()) content = replica.disk.snapshots.back().content;
    std::vector<ControlEntry> entries;
    Offset offset = replica.disk.start;
    for (const Record& record : replica.disk.log) {
        if (record.control.has_value()) entries.push_back({offset, *record.control});
        ++offset;
    }
    return event(replica, nullptr, [&](Raft& raft, const Turn& now, const LogView& log) {
        return raft.start(now, log, stored, content, entries);
    });
}

bool Cluster::snapshot(int id) {
    Replica& replica = at(id);
    if (!replica.raft.has_value()) return false;
    const Offset end = replica.raft->high_watermark().value_or(Offset(0));
    if (end <= replica.disk.start || end > replica.end()) return false;
    Disk& disk = replica.disk;
    const auto count = static_cast<std::size_t>(end - disk.start);
    const LogId at_end{disk.log[count - 1].epoch, end};
    if (!replica.raft->may_snapshot(replica.view(), at_end)) return false;
    std::vector<Record> all = all_records(replica);
    all.resize(static_cast<std::size_t>(end.value));
    const SnapshotContent content{end, replica.raft->voters().voters_at(end),
                                  replica.raft->voters().version_at(end)};
    disk.snapshots = {{{at_end, 10}, std::move(all), content}};
    disk.log.erase(disk.log.begin(), disk.log.begin() + static_cast<std::ptrdiff_t>(count));
    disk.start = end;
    disk.flushed = std::max(disk.flushed, end);
    replica.read_log();
    return event(replica, nullptr, [](Raft& raft, const Turn& now, const LogView& log) {
        return raft.on_log(now, log);
    });
}

bool Cluster::resign(int id) {
    return event(at(id), nullptr, [](Raft& raft, const Turn& now, const LogView& log) {
        return raft.resign(now, log, raft.epoch());
    });
}

bool Cluster::shut_down(int id) {
    return event(at(id), nullptr, [](Raft& raft, const Turn& now, const LogView& log) {
        return raft.shut_down(now, log, seconds(5));
    });
}

bool Cluster::add_voter(int id) {
    const int asked = leader();
    if (asked == 0) return false;
    Message administrator;
    administrator.from = no_broker;
    const AddVoterRequest request{voter_of(id).key, voter_of(id).endpoints, seconds(5)};
    at(asked).asked[++tickets_] = administrator;
    return event(at(asked), nullptr, [&](Raft& raft, const Turn& now, const LogView& log) {
        return raft.on_request(now, log, tickets_, request);
    });
}

bool Cluster::remove_voter(int id) {
    const int asked = leader();
    if (asked == 0) return false;
    Message administrator;
    administrator.from = no_broker;
    at(asked).asked[++tickets_] = administrator;
    return event(at(asked), nullptr, [&](Raft& raft, const Turn& now, const LogView& log) {
        return raft.on_request(now, log, tickets_, RemoveVoterRequest{voter_of(id).key});
    });
}

void Cluster::drain(int events) {
    for (; events > 0 && violation_.empty(); --events) {
        bool synced = false;
        for (int id = 1; id <= size(); ++id) {
            synced = sync_state(id) || synced;
            synced = sync_log(id) || synced;
        }
        if (!synced && !deliver(0)) return;
    }
}

void Cluster::settle(int events) {
    while (events-- > 0 && violation_.empty()) {
        drain(1000);
        Duration least{instant_never.nanoseconds};
        for (const Replica& replica : replicas_)
            if (replica.raft.has_value()) {
                const Instant alarm = replica.raft->alarm(turn(replica));
                if (alarm != instant_never) least = std::min(least, alarm - replica.clock);
            }
        if (least.nanoseconds == instant_never.nanoseconds) return;
        for (Replica& replica : replicas_) replica.clock = replica.clock + least;
        for (int id = 1; id <= size(); ++id)
            event(at(id), nullptr, [](Raft& raft, const Turn& now, const LogView& log) {
                return raft.tick(now, log);
            });
    }
    drain(1000);
}

}  // namespace klamm::quorum

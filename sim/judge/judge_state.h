#pragma once
// What a judge holds, and one function a fact: the books first, then those who judge it; where a
// rule needs the state before (metadata, leadership), that order is turned round and said so.
//
// Only judge.cc (what the world tells: crashes, disks, the end) and judge_facts.cc (what nodes and
// clients state) include this.

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "sim/judge/books.h"
#include "sim/judge/client_events.h"
#include "sim/judge/groups.h"
#include "sim/judge/judge.h"
#include "sim/judge/ledger.h"
#include "sim/judge/monitors.h"
#include "sim/judge/quorum.h"

namespace klamm::sim {

/// More than there are clients' numbers in a run.
constexpr std::int32_t clients_max = 1'000;

struct Judge::State {
    explicit State(JudgeOptions given)
        : options(std::move(given)),
          findings(options.violations_max),
          ledger(findings, options.topic, options.slip),
          monitors(findings, options.topic),
          quorum(findings, options.voters),
          groups(findings),
          checker(options.history) {}

    JudgeOptions options;
    Findings findings;
    Ledger ledger;
    Monitors monitors;
    QuorumMonitor quorum;
    GroupMonitor groups;
    checkers::LogChecker checker;
    checkers::History history;
    RunCounts counts;
    std::map<TopicPartition, PartitionBook> books;
    PartitionBook* last = nullptr;
    std::map<FaultId, std::map<TopicPartition, ReplicaBook>> images;  // of disks, by the fault
    std::set<BrokerId>
        down;  // whose process has ended, whatever the controller still hears from it
    std::size_t checker_kept = 0;
    std::uint64_t for_monitors = 0;  // facts that owe them a visit
    bool finished = false;
    std::uint64_t life = 1;  // of whoever states the fact

    void tell(const Truth& truth) const {
        if (options.truth_sink) options.truth_sink(truth);
    }

    PartitionBook& book_of(const TopicPartition& partition) {
        if (last != nullptr && last->partition == partition) return *last;
        PartitionBook& book = books[partition];
        book.partition = partition;
        last = &book;
        return book;
    }

    void feed(checkers::Event event) {
        checker.feed(event);
        take_checker(event.time);
        if (options.keep_history) history.push_back(std::move(event));
    }
    void take_checker(std::int64_t time) {
        const auto& found = checker.violations();
        for (; checker_kept < found.size(); ++checker_kept) {
            const checkers::Violation& one = found[checker_kept];
            if (one.code == checkers::Code::malformed) {
                findings.malformed(one.sentence, Instant{time}, no_broker);
            } else {
                findings.report(checkers::to_string(one.code), one.sentence, Instant{time},
                                no_broker);
            }
        }
    }
    void tell_excuses() {
        for (const Excuse& one : ledger.take_excuses()) {
            checker.permit_loss(one.partition, one.from.value, one.to.value);
        }
    }

    // Logs.

    void on(Instant now, BrokerId node, const facts::BatchAppended& fact);
    std::vector<Removed> take_away(PartitionBook& book, std::size_t slot, Offset end,
                                   const char* how, Instant now);
    void on(Instant now, BrokerId node, const facts::LogTruncated& fact);
    void on(Instant now, BrokerId node, const facts::LogStartMoved& fact);
    void on(Instant now, BrokerId node, const facts::LogOpened& fact);
    void on(Instant now, BrokerId node, const facts::LogFlushed& fact);
    void on(Instant, BrokerId node, const facts::LogOffline& fact);

    // Leadership and promises.

    void on(Instant now, BrokerId node, const facts::Leading& fact);
    void on(Instant, BrokerId, const facts::Following&) {}
    void on(Instant, BrokerId, const facts::FollowerFetched&) {}
    void on(Instant now, BrokerId node, const facts::HighWatermarkMoved& fact);
    void on(Instant now, BrokerId node, const facts::IsrProposed& fact);
    void on(Instant now, BrokerId node, const facts::ProduceAnswered& fact);
    void on(Instant now, BrokerId node, const facts::ConsumerServed& fact);

    // Metadata.

    void on(Instant now, BrokerId, const facts::PartitionCommitted& fact);
    void note_election(PartitionBook& book, const std::optional<facts::PartitionCommitted>& before,
                       const facts::PartitionCommitted& fact);
    static void note_departures(PartitionBook& book, const facts::PartitionCommitted& before,
                                const facts::PartitionCommitted& after, Instant now);
    void on(Instant, BrokerId, const facts::BrokerRegistered& fact);
    void on(Instant, BrokerId, const facts::BrokerFencing& fact) { monitors.broker_fencing(fact); }

    // The quorum.

    void on(Instant now, BrokerId node, const facts::QuorumStarted& fact) {
        quorum.started(fact, now, node);
    }
    void on(Instant now, BrokerId node, const facts::QuorumVoted& fact) {
        quorum.voted(fact, now, node);
    }
    void on(Instant now, BrokerId node, const facts::QuorumLeading& fact) {
        ++counts.quorum_elections;
        quorum.leading(book_of(options.metadata), fact, now, node);
    }
    void on(Instant now, BrokerId node, const facts::QuorumCommitted& fact) {
        quorum.committed(book_of(options.metadata), fact, now, node);
    }
    void on(Instant, BrokerId, const facts::MetadataDecided& fact) { quorum.decided(fact); }

    // Groups.

    void on(Instant now, BrokerId node, const facts::GroupAssigned& fact) {
        ++counts.group_assignments;
        groups.assigned(fact, now, node);
    }
    void on(Instant, BrokerId, const facts::GroupRevoked&) {}
    void on(Instant now, BrokerId node, const facts::GroupCommitInvoked& fact) {
        groups.commit_invoked(fact, now, node);
    }
    void on(Instant now, BrokerId node, const facts::GroupCommitReturned& fact) {
        if (fact.outcome == facts::Outcome::ok) ++counts.group_commits;
        groups.commit_returned(fact, now, node);
    }
    void on(Instant, BrokerId node, const facts::GroupOffsetsAsked& fact) {
        groups.asked(fact, lead_of(fact.group), node);
    }
    void on(Instant now, BrokerId node, const facts::GroupOffsetsReturned& fact) {
        if (fact.outcome == facts::Outcome::ok) ++counts.group_reads;
        groups.told(fact, lead_of(fact.group), now, node);
    }
    [[nodiscard]] GroupMonitor::Lead lead_of(const std::string& group);
    /// Part of a log that came below the high watermark is lost lawfully, from `end` on.
    void permit_cut(const TopicPartition& partition, Offset end, LeaderEpoch epoch);

    // Clients.

    /// What a connection delivers is what was sent: the sender's log was not what it sent, unless
    /// its bytes are damaged there.
    void on(Instant now, BrokerId node, const facts::CorruptReceived& fact);

    template <class ClientFact>
    void on(Instant now, BrokerId client, const ClientFact& fact) {
        if constexpr (std::is_same_v<ClientFact, facts::SendInvoked>) ++counts.sends;
        if constexpr (std::is_same_v<ClientFact, facts::PollInvoked>) ++counts.polls;
        if constexpr (std::is_same_v<ClientFact, facts::PollReturned>) {
            counts.records_read += fact.records.size();
        }
        // To the checker each life of a client is a client of its own.
        const BrokerId living(client.value + clients_max * static_cast<std::int32_t>(life - 1));
        for (checkers::Event& event : client_events(now, living, fact)) feed(std::move(event));
    }

    /// What an incarnation that ended without proof did to a replica. `idle`: a node that was down
    /// already has lost nothing more by it, unless it is damaged.
    template <class Function>
    void each_replica(BrokerId node, FaultId fault, Instant now, Function function,
                      bool idle = false) {
        const bool hit = down.insert(node).second || !idle;
        for (auto& [partition, book] : books) {
            if (book.replica(node) == nullptr) continue;
            const std::size_t slot = book.slot(node);
            ReplicaBook& replica = book.replicas[slot];
            replica.ended = true;
            replica.unproven = true;
            if (hit) {
                replica.fault = fault;
                replica.fault_time = now;
            }
            function(book, slot);
        }
    }
    void hurt(PartitionBook& book, std::size_t slot, std::span<const Damage> damages,
              DamageKind kind, FaultId fault, Instant now);
};

}  // namespace klamm::sim

#pragma once
// I8, the invariant of consumer groups (CONTRACT.md), held against what members state:
//
//   one owner a partition a generation: what one member of a generation was given no other was.
//   Members are told apart by their nodes: a static member that comes back is the same one.
//   Commits of another generation are refused: none is acknowledged that was asked for in a
//   generation after a later one had been told to some member.
//   An acknowledged commit survives what its partition survives: who asks the coordinator is told
//   of no offset that a commit has replaced before, and not that there is none.
//
// A commit is replaced by one that was invoked after it had returned, or in a later generation. One
// that is in doubt may take effect for as long as its generation is the last. The coordinator is
// whoever took up the newest leader epoch of the group's partition; one that is deposed and does
// not know it may tell the past (Kafka asks nobody before it answers), so its answers are passed
// over and counted. Where the chain of the group's partition is cut lawfully, nothing that was
// known of the group holds any more.

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "core/base/facts.h"
#include "core/base/time.h"
#include "sim/judge/violation.h"

namespace klamm::sim {

/// The id of __consumer_offsets in every run that has groups.
inline const Uuid offsets_topic =
    uuid_from_halves(0x6f66'6673'6574'4000ULL, 0x8000'0000'0000'0001ULL);
inline constexpr const char* offsets_topic_name = "__consumer_offsets";

class GroupMonitor {
  public:
    /// Who leads the partition that a group is kept in, as nodes have stated.
    struct Lead {
        BrokerId broker = no_broker;
        LeaderEpoch epoch = no_leader_epoch;
        friend bool operator==(const Lead&, const Lead&) = default;
    };

    explicit GroupMonitor(Findings& findings) : findings_(findings) {}

    void assigned(const facts::GroupAssigned& fact, Instant now, BrokerId node);
    void commit_invoked(const facts::GroupCommitInvoked& fact, Instant now, BrokerId node);
    void commit_returned(const facts::GroupCommitReturned& fact, Instant now, BrokerId node);
    void asked(const facts::GroupOffsetsAsked& fact, Lead lead, BrokerId node);
    void told(const facts::GroupOffsetsReturned& fact, Lead lead, Instant now, BrokerId node);
    /// Part of what the group's partition held is lost, lawfully.
    void excused(const std::string& group);

    [[nodiscard]] std::set<std::string> groups() const;
    /// Answers of coordinators that were deposed, or may have been.
    [[nodiscard]] std::uint64_t passed_over() const { return passed_over_; }

  private:
    using Part = std::pair<std::string, std::int32_t>;
    using Operation = std::pair<BrokerId, std::uint64_t>;
    static constexpr std::uint64_t never = UINT64_MAX;

    /// Times are counted in facts.
    struct Commit {
        BrokerId node;
        std::int32_t generation;
        Offset offset;
        std::uint64_t invoked;
        std::uint64_t over = never;       // after that it takes no effect any more
        std::uint64_t effective = never;  // by then it has taken effect for certain
        Instant at;
    };
    struct Open {
        std::int32_t generation;
        std::int32_t newest;                  // generation that some member had been told of
        std::map<Part, std::size_t> commits;  // where they are in its list, from `first` on
        std::string group;
    };
    struct History {
        std::vector<Commit> commits;
    };
    struct Group {
        std::int32_t newest = -1;  // generation
        std::int32_t judged_from = 0;
        std::map<std::pair<std::int32_t, Part>, BrokerId> owners;
        std::map<Part, History> histories;
    };
    struct Question {
        std::uint64_t asked;
        Lead lead;
    };

    void judge(Group& group, const facts::GroupOffsetsReturned& fact, std::uint64_t asked,
               Instant now, BrokerId node);

    Findings& findings_;
    std::map<std::string, Group> groups_;
    std::map<Operation, Open> open_;
    std::map<Operation, Question> questions_;
    std::uint64_t clock_ = 0;
    std::uint64_t passed_over_ = 0;
};

}  // namespace klamm::sim

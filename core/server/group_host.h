#pragma once
// The coordinators of a shard: one for each partition of __consumer_offsets whose replica is here.
// It follows the replica's role: a new leadership loads the log in slices, a lost one answers
// whoever waits; records are appended as the partition's leader does, and what the high watermark
// passes is answered.
//
// Loading reads what is committed, and a coordinator leads when that is all there is. Two epochs of
// one leader are two leaderships: what was not committed in the first may yet be cut.

#include <map>
#include <set>
#include <string>

#include "core/group/coordinator.h"
#include "core/server/context.h"
#include "core/server/partitions.h"

namespace klamm::server {

class GroupHost {
  public:
    GroupHost(Context& context, Partitions& hosts) : context_(context), hosts_(hosts) {}

    void on(const GroupCommand& command);
    /// A slice of a log that is being loaded.
    void on(const ReadOutcome& outcome);
    void on(const LoadNext& next);
    [[nodiscard]] static bool reads(const ReplyTo& reply) {
        return (reply.pending & read_mark) != 0;
    }

    /// A newer image: offsets of topics that are gone are forgotten.
    void follow_image();
    /// After the partitions' tick: roles and watermarks that moved, and timers.
    void tick();
    [[nodiscard]] Instant deadline_min() const;
    /// Of the coordinator of a partition; nullptr when it has none here. For tests and tools.
    [[nodiscard]] const group::Coordinator* find(const TopicPartition& partition) const;

  private:
    // Of a reply: it is for a coordinator that loads, and which of its reads it is.
    static constexpr std::uint64_t read_mark = std::uint64_t{1} << 63;

    struct Row {
        explicit Row(const group::Settings& settings) : coordinator(settings) {}
        group::Coordinator coordinator;
        Instant deadline = instant_never;  // in deadlines_
        std::uint64_t reading = 0;         // the read under way
        bool corrupt = false;              // its log cannot be loaded
    };
    using Rows = std::map<TopicPartition, Row>;

    [[nodiscard]] group::Settings settings() const;
    /// To look at, not to change.
    [[nodiscard]] const ReplicaHost* look(const TopicPartition& partition) const;
    void follow_role(const TopicPartition& partition);
    void begin(const TopicPartition& partition, Row& row, const ReplicaHost& host);
    void read(const TopicPartition& partition, Row& row);
    [[nodiscard]] Status load(Row& row, ByteView batches);
    /// Carries out what the coordinator wants, until it wants nothing.
    void settle(const TopicPartition& partition, Row& row);
    void append(Row& row, ReplicaHost& host);
    void give_answers(Row& row);

    Context& context_;
    Partitions& hosts_;
    Rows rows_;
    std::map<std::uint64_t, TopicPartition> reads_;
    std::uint64_t reads_made_ = 0;
    std::set<std::pair<Instant, TopicPartition>> deadlines_;
    std::set<std::string> topics_;  // of the last image, by name
};

}  // namespace klamm::server

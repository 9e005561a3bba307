#pragma once
// A member of a consumer group of a real cluster (core/client/group_consumer.h), that is told what
// to do. A poll reads all that it owns at once, and is over when there are records, or news of the
// group. News that something is revoked waits for go_on(): until then it may be committed. As in
// live_consumer.h at most one answer a partition is read ahead; what is committed without being
// named is what was handed out.

#include "bindings/live/hosted.h"
#include "core/config/options.h"

namespace klamm::live {

class LiveGroup {
  public:
    /// Joins the group that `options` name.
    LiveGroup(const config::ConsumerOptions& options, std::set<std::string> topics);

    std::uint64_t poll(Duration patience, std::size_t records_max);
    std::uint64_t go_on();
    /// Commits these offsets; nothing: what was handed out of all that it owns. `outcome` and
    /// `error` of what comes of it.
    std::uint64_t commit(std::optional<std::map<TopicAt, Offset>> offsets, Duration patience);
    /// What the group has committed, as `positions`.
    std::uint64_t ask_committed(std::set<TopicAt> of, Duration patience);
    /// Where each partition stands that it owns.
    std::uint64_t ask_positions();
    /// Over when its next poll reads from there; of a partition that it owns.
    std::uint64_t seek(TopicAt at, Offset to);
    /// Leaves the group in order; with enable.auto.commit what was handed out is committed before.
    std::uint64_t leave();
    Mailbox& mailbox() { return hosted_.mailbox(); }

  private:
    Hosted hosted_;
};

}  // namespace klamm::live

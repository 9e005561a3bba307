#pragma once
// A consumer of assigned partitions of a real cluster (core/client/consumer.h). A poll reads all of
// them at once and is over when some have records. What the others answer later is kept for the
// next poll: at most one answer a partition is read ahead, and positions count what was handed out.

#include <variant>

#include "bindings/live/hosted.h"
#include "core/config/options.h"

namespace klamm::live {

class LiveConsumer {
  public:
    /// Partitions begin at `begin`, or where they are told to.
    LiveConsumer(const config::ConsumerOptions& options, std::vector<TopicAt> assigned,
                 config::OffsetReset begin);

    /// Over with up to `records_max` records; with none when `patience` ends, and then with the
    /// last error if there was nothing but errors. A position that is void is an error at once
    /// unless auto.offset.reset says where to go on.
    std::uint64_t poll(Duration patience, std::size_t records_max);
    /// Over when the next poll reads from there.
    std::uint64_t seek(TopicAt at, std::variant<Offset, config::OffsetReset> to);
    /// Where a log ends (-1), begins (-2) or stood at a time: `offset` of what comes of it.
    std::uint64_t ask_offset(TopicAt at, Timestamp time);
    /// Where each partition stands, of those that know it.
    std::uint64_t ask_positions();
    Mailbox& mailbox() { return hosted_.mailbox(); }

  private:
    Hosted hosted_;
};

}  // namespace klamm::live

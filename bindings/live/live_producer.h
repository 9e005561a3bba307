#pragma once
// A producer of a real cluster (core/client/producer.h) that sends what it is told to. A record
// that finds the buffer full waits for room, at most max_block, in order.

#include "bindings/live/hosted.h"
#include "core/config/options.h"

namespace klamm::live {

class LiveProducer {
  public:
    explicit LiveProducer(const config::ProducerOptions& options, Duration max_block = seconds(60));

    /// The number by which to ask what came of it. `partition` is not checked: what the cluster
    /// does not have fails when the delivery's time is up.
    std::uint64_t send(TopicAt at, std::optional<Bytes> key, Bytes value);
    /// Over when all that was sent before is over.
    std::uint64_t flush();
    Mailbox& mailbox() { return hosted_.mailbox(); }

  private:
    Hosted hosted_;
};

}  // namespace klamm::live

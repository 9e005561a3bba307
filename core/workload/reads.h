#pragma once
// The reads of a consuming node: states PollInvoked, PollReturned, LatestInvoked, LatestReturned
// around what a client::Consumer does, and counts them.

#include <string>

#include "core/client/consumer.h"
#include "core/workload/options.h"

namespace klamm::workload {

/// States what a poll came to.
void state_polled(env::Env& env, const client::Polled& polled);

class Reads {
  public:
    Reads(client::Consumer& consumer, const std::string& topic)
        : consumer_(consumer), topic_(topic) {}

    /// Whether a poll of this partition can begin.
    [[nodiscard]] bool can_poll(std::int32_t partition) const {
        return consumer_.position(topic_, partition).has_value() &&
               !consumer_.polling(topic_, partition);
    }
    void poll(env::Env& env, std::uint64_t operation, std::int32_t partition);
    void ask_latest(env::Env& env, std::uint64_t operation, std::int32_t partition);
    /// Begins anew at an end of the log, as a poll that is told of a reset; needs can_poll().
    void restart(env::Env& env, std::uint64_t operation, std::int32_t partition,
                 config::OffsetReset end);
    /// The same at an offset that the caller names.
    void restart(env::Env& env, std::uint64_t operation, std::int32_t partition, Offset offset);
    /// States and counts what came back. A consumer without a reset policy goes on at the log's
    /// start where its position is void, and is told so.
    void returned(env::Env& env, client::Consumer::Results& results);

    [[nodiscard]] const Counts& counts() const { return counts_; }
    [[nodiscard]] Counts& counts() { return counts_; }
    [[nodiscard]] std::uint64_t records() const { return records_; }
    [[nodiscard]] std::uint64_t resets() const { return resets_; }

  private:
    void state_restart(env::Env& env, std::uint64_t operation, std::int32_t partition);

    client::Consumer& consumer_;
    std::string topic_;
    Counts counts_;
    std::uint64_t records_ = 0;
    std::uint64_t resets_ = 0;
};

}  // namespace klamm::workload

#pragma once
// The rules of a partition's leader (core/replica/leader.h), from Python: the real LeaderState,
// with the metadata it looks at. What it decides comes back as JSON: {"moved": [from, to] or null,
// "propose": {"isr": [...], "joining": id or null} or null}.
//
// Brokers and their clock stand still but for what is said here. Throws Trouble (trouble.h).

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace klamm::python {

struct LeaderSetup {
    std::vector<std::int32_t> replicas;  // ascending; the first one leads
    std::vector<std::int32_t> isr;
    std::int32_t min_isr = 1;
    std::int64_t log_end = 0;
    std::int64_t high_watermark = 0;
    bool flush_each = false;
    std::int64_t lag_max_ns = 0;
    std::string plant;
};

class LeaderRules {
  public:
    explicit LeaderRules(const LeaderSetup& setup);
    ~LeaderRules();

    /// So many records more in its log; with flush_each they count once they are flushed.
    std::string append(std::int64_t count);
    std::string flush();
    /// A follower's fetch from this offset, by which it claims to hold what is below; adds "error".
    std::string fetch(std::int32_t replica, std::int64_t offset);
    /// Time passes, and it looks who lags behind.
    std::string wait(std::int64_t nanoseconds);
    /// The controller's answer to the proposal in flight: it commits it, or refuses with this error
    /// code of Kafka's.
    std::string answer(bool commit, std::int16_t error);
    /// A broker's session ends, or begins again.
    std::string fence(std::int32_t broker, bool fenced);
    /// What acks=all is told for an append that ends at `required`: "" while it waits.
    [[nodiscard]] std::string acks_all(std::int64_t required) const;
    /// What an append with these acks is told before it is made.
    [[nodiscard]] std::string admit(std::int16_t acks) const;
    [[nodiscard]] std::string state() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace klamm::python

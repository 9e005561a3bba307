#pragma once
// Judges what services promise besides their logs, in one sweep over the same histories: idempotent
// order of sends, consumer groups, metadata, that sends end in time, that resources are given back.
//
//   unordered-sends   two sends of a client to a partition were written against their order, though
//                     the client was promised that order (idempotence, KIP-98)
//   late-send         a send ended, or had not ended, after the time within which it should
//                     (delivery.timeout.ms, KIP-91)
//   two-owners        two members own a partition in one generation of a group
//   stale-commit      a commit of an older generation succeeded, though a member was told before
//                     that it owns the partition in a newer one
//   lost-commit       a committed offset was answered although a later commit was complete before
//   ghost-commit      a committed offset was answered that nobody has committed
//   skipped-record    an offset was committed past an acknowledged record that no member was shown
//   two-leaders       two nodes lead a partition in one epoch
//   leak              at the end more of a resource is held than when it was told first
//
// Committed offsets are a register for each group and partition, but one whose writes may be equal;
// each answer is asked alone whether some order of the commits explains it.
//
// Not here: log partitions, compaction among them (log_checker.h); transactions
// (transaction_checker.h, kafka_checker.h).

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "checkers/history.h"

namespace klamm::checkers {

struct ServiceViolation {
    const char* name = "";
    std::string sentence;
    std::int64_t time = 0;
    std::vector<Event> events;  // that prove it, without their records
};

class ServiceChecker {
  public:
    ServiceChecker();
    ~ServiceChecker();
    ServiceChecker(ServiceChecker&&) noexcept;
    ServiceChecker& operator=(ServiceChecker&&) noexcept;

    /// Takes the next event; times never decrease. What contradicts itself is passed over: the log
    /// checker names it.
    void feed(const Event& event);
    /// Judges what only the end can show; `time` is how long somebody watched. Call once.
    void finish(std::int64_t time);

    [[nodiscard]] const std::vector<ServiceViolation>& violations() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

/// Every name that a ServiceChecker can report, sorted.
std::vector<std::string> service_violation_names();

}  // namespace klamm::checkers

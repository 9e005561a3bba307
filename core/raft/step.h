#pragma once
// One command of the quorum from its beginning to its end: what it was told, and the effects so
// far. Shared by the files that make up Raft; nobody else includes it.

#include "core/raft/raft.h"

namespace klamm::raft {

struct Raft::Step {
    const Turn& turn;
    const LogView& log;
    Effects out = {};

    [[nodiscard]] Instant now() const { return turn.now; }
    void answer(Ticket ticket, Response body) { out.answers.push_back({ticket, std::move(body)}); }
    /// The first fault stays: the others follow from it.
    void fault(std::string text) {
        if (out.fault.empty()) out.fault = std::move(text);
    }
};

template <class Fn>
Effects Raft::command(const Turn& turn, const LogView& log, Fn&& fn) {
    KLAMM_ASSERT(!log_pending_);
    KLAMM_ASSERT(log.epochs != nullptr);
    KLAMM_ASSERT(log.start <= log.end);
    KLAMM_ASSERT(log.flushed <= log.end);
    Step step{turn, log};
    const auto leader_before = std::pair(election_.epoch, election_.leader);
    const bool led_before = is_leader();
    fn(step);
    drive(step);
    step.out.leader_changed =
        leader_before != std::pair(election_.epoch, election_.leader) || led_before != is_leader();
    persist(step);
    return std::move(step.out);
}

}  // namespace klamm::raft

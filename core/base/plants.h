#pragma once
// Plants: historical mistakes that can be made on purpose, by name, so that the harness can be
// measured. Where such a mistake could be made the code asks turn.planted(Bug::name) and makes it:
// one branch, marked unlikely, counted. The set is empty in the real world; built with
// KLAMM_PLANTS=0 the question is a constant.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace klamm {

enum class Bug : std::uint8_t {
    acks_all_like_one,            // R1: acks=all is answered after the local append
    truncate_to_hw,               // R2: a new follower cuts its log at its own high watermark
    isr_join_below_epoch_start,   // R4: a replica may join the ISR below the leader's epoch start
    diverging_fetch_advances_hw,  // R7: a diverging fetch still records the follower's offset
    ack_before_flush,             // S1: an offset counts before the sync that covers it
    recovery_trusts_length,       // S7: recovery accepts a batch whose magic and length look sane
    truncate_under_file_range,  // F1: a log is truncated below the end of a file range not yet sent
    vote_not_durable,           // C1: a vote is spoken of before it is durable
    raft_ack_unflushed,         // C4: a voter counts, or fetches beyond, what it has not flushed
    commit_old_term_by_count,   // C5: a majority's copies commit records of older epochs
    controller_replies_before_commit,  // C7: the controller answers when it has appended
    zombie_commit_accepted,     // G1: whoever commits offsets of a group is taken for a member
    offset_commit_acked_early,  // G2: a commit of offsets is answered after the local append
    elects_outside_isr,         // C10: without a candidate the first live replica leads
    latest_offset_regresses,    // V1: LATEST is answered before the epoch's start is below the mark
    count_,
};
constexpr std::size_t bug_count = static_cast<std::size_t>(Bug::count_);

struct BugEntry {
    Bug bug;
    std::string_view code;      // "R1"
    std::string_view name;      // "acks-all-like-one"
    std::string_view rule;      // the right rule, one sentence
    std::string_view violates;  // what is seen when it is broken
    // Whether the simulated cluster runs the code it lies in. Those of groups are found by
    // tests/group.
    bool in_cluster = true;
};

/// The catalogue, in the order of Bug.
const std::array<BugEntry, bug_count>& bug_catalogue();

/// The bug with this code ("R2") or name ("truncate-to-hw").
std::optional<Bug> bug_from_name(std::string_view name);

/// The planted set of one world, and how often each wrong branch was taken.
class Plants {
  public:
    void plant(Bug bug) { mask_ |= bit(bug); }
    [[nodiscard]] bool any() const { return mask_ != 0; }
    [[nodiscard]] std::uint64_t taken(Bug bug) const {
        return taken_[static_cast<std::size_t>(bug)];
    }
    /// Whether `bug` is planted here; a true answer is counted as one wrong branch taken.
    bool ask(Bug bug) {
        if ((mask_ & bit(bug)) == 0) [[likely]]
            return false;
        ++taken_[static_cast<std::size_t>(bug)];
        return true;
    }

  private:
    static constexpr std::uint64_t bit(Bug bug) {
        return std::uint64_t{1} << static_cast<unsigned>(bug);
    }
    std::uint64_t mask_ = 0;
    std::array<std::uint64_t, bug_count> taken_{};
};

}  // namespace klamm

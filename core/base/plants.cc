#include "core/base/plants.h"

namespace klamm {

const std::array<BugEntry, bug_count>& bug_catalogue() {
    static constexpr std::array<BugEntry, bug_count> catalogue = {{
        {Bug::acks_all_like_one, "R1", "acks-all-like-one",
         "Answer acks=all only when the high watermark has passed the last offset of the batch.",
         "LOST"},
        {Bug::truncate_to_hw, "R2", "truncate-to-hw",
         "A follower cuts where its leader epochs diverge from the leader's, never at its own high "
         "watermark.",
         "LOST, DIVERGE"},
        {Bug::isr_join_below_epoch_start, "R4", "isr-join-below-epoch-start",
         "A replica joins the ISR only at or past the high watermark and the leader's epoch start.",
         "LOST"},
        {Bug::diverging_fetch_advances_hw, "R7", "diverging-fetch-advances-hw",
         "A fetch that is answered with a divergence does not record the follower's offset.",
         "LOST, DIVERGE"},
        {Bug::ack_before_flush, "S1", "ack-before-flush",
         "With flush.messages=1 an offset counts for the high watermark only after the sync that "
         "covers it.",
         "LOST"},
        {Bug::recovery_trusts_length, "S7", "recovery-trusts-length",
         "After an unclean stop every batch from the recovery point on is held against its "
         "checksum.",
         "DIVERGE, LOST"},
        {Bug::truncate_under_file_range, "F1", "truncate-under-file-range",
         "Before a segment is truncated below a pinned end, the connections that pin it are "
         "closed.",
         "INCONS"},
        {Bug::vote_not_durable, "C1", "vote-not-durable",
         "Epoch and vote are synced before the vote's answer leaves, and before campaigning.",
         "SPLIT, META"},
        {Bug::raft_ack_unflushed, "C4", "raft-ack-unflushed",
         "A voter's fetch offset and the leader's own contribution never exceed the flushed "
         "offset.",
         "LOST, META"},
        {Bug::commit_old_term_by_count, "C5", "commit-old-term-by-count",
         "The quorum's high watermark moves only past a record of the leader's own epoch.",
         "LOST, META"},
        {Bug::controller_replies_before_commit, "C7", "controller-replies-before-commit",
         "Replies and visible effects wait until the record is committed.", "LOST"},
        {Bug::zombie_commit_accepted, "G1", "zombie-commit-accepted",
         "A commit of offsets comes from a current member, in the group's generation.",
         "OFFREG, DUP"},
        {Bug::offset_commit_acked_early, "G2", "offset-commit-acked-early",
         "A commit of offsets is answered when its record is below the high watermark.", "OFFREG"},
        {Bug::elects_outside_isr, "C10", "elects-outside-isr",
         "Without permission for an unclean election a leader comes from the ISR, from the ELR "
         "when "
         "that is empty, or is the last known one when both are.",
         "LOST"},
        {Bug::latest_offset_regresses, "V1", "latest-offset-regresses",
         "A new leader answers LATEST once its high watermark has reached its epoch's start.",
         "REGRESS"},
    }};
    return catalogue;
}

std::optional<Bug> bug_from_name(std::string_view name) {
    for (const BugEntry& entry : bug_catalogue())
        if (entry.code == name || entry.name == name) return entry.bug;
    return std::nullopt;
}

}  // namespace klamm

// Facts in words.

#include <fmt/format.h>

#include "sim/run/listener.h"

namespace klamm::sim {

namespace {

std::string list(const std::vector<BrokerId>& ids) {
    std::string text = "{";
    for (const BrokerId id : ids) {
        if (text.size() > 1) text += ",";
        text += std::to_string(id.value);
    }
    return text + "}";
}

std::string list(const std::vector<facts::GroupOffset>& offsets) {
    std::string text = "{";
    for (const facts::GroupOffset& one : offsets) {
        if (text.size() > 1) text += ", ";
        text += fmt::format("{}-{}", one.topic, one.partition);
        if (one.offset != no_offset) text += fmt::format(" at {}", one.offset.value);
    }
    return text + "}";
}

const char* name(facts::TruncateReason reason) {
    switch (reason) {
        case facts::TruncateReason::divergence: return "divergence";
        case facts::TruncateReason::recovery: return "recovery";
        case facts::TruncateReason::out_of_range: return "out of range";
        case facts::TruncateReason::reset: return "reset";
        case facts::TruncateReason::failed_write: return "a write that failed";
    }
    return "?";
}

const char* name(facts::PartitionChangeCause cause) {
    using Cause = facts::PartitionChangeCause;
    switch (cause) {
        case Cause::created: return "created";
        case Cause::isr_changed: return "ISR changed";
        case Cause::broker_fenced: return "broker fenced";
        case Cause::broker_unfenced: return "broker unfenced";
        case Cause::broker_registered: return "broker registered";
        case Cause::controlled_shutdown: return "controlled shutdown";
        case Cause::elected: return "elected";
        case Cause::elected_last_known: return "elected, last known leader";
        case Cause::elected_unclean: return "elected, unclean";
        case Cause::elected_by_administrator: return "elected by an administrator";
        case Cause::preferred: return "moved";
        case Cause::configuration: return "configuration";
    }
    return "?";
}

struct Describe {
    std::string operator()(const facts::LogTruncated& f) const {
        return fmt::format("truncates to {} ({})", f.end.value, name(f.reason));
    }
    std::string operator()(const facts::LogOpened& f) const {
        return fmt::format("opens its log [{}, {}), recovery point {}{}", f.start.value,
                           f.end.value, f.recovery_point.value,
                           f.created ? ", new" : (f.clean ? ", clean" : ", recovered"));
    }
    std::string operator()(const facts::LogOffline& f) const {
        return fmt::format("log offline: {} at {}, offset {}", f.file, f.position, f.offset.value);
    }
    std::string operator()(const facts::Leading& f) const {
        return fmt::format("leads epoch {} from {}", f.epoch.value, f.start.value);
    }
    std::string operator()(const facts::Following& f) const {
        return fmt::format("follows {} in epoch {}", f.leader.value, f.epoch.value);
    }
    std::string operator()(const facts::IsrProposed& f) const {
        return fmt::format("proposes ISR {} in epoch {} (joining {} at {}, high watermark {})",
                           list(f.isr), f.epoch.value, f.joining.value, f.joining_log_end.value,
                           f.high_watermark.value);
    }
    std::string operator()(const facts::PartitionCommitted& f) const {
        return fmt::format("partition {}: leader {} epoch {} ISR {} ELR {} last known {} ({})",
                           f.partition.partition.value, f.leader.value, f.leader_epoch.value,
                           list(f.isr), list(f.elr), list(f.last_known_elr), name(f.cause));
    }
    std::string operator()(const facts::BrokerRegistered& f) const {
        return fmt::format("broker {} registered, epoch {}, {}", f.broker.value, f.epoch.value,
                           f.proven ? "proven clean" : "unproven");
    }
    std::string operator()(const facts::BrokerFencing& f) const {
        return fmt::format("broker {} {}", f.broker.value, f.fenced ? "fenced" : "unfenced");
    }
    std::string operator()(const facts::CorruptReceived& f) const {
        return fmt::format("received bytes at offset {} from {} that are no batch", f.offset.value,
                           f.from.value);
    }
    std::string operator()(const facts::FollowerFetched& f) const {
        return fmt::format("is asked by {} for offset {} in epoch {}{}", f.replica.value,
                           f.offset.value, f.epoch.value, f.diverging ? ", which diverges" : "");
    }
    std::string operator()(const facts::QuorumStarted& f) const {
        return fmt::format("begins in the quorum: epoch {}, voted for {}, leader {}", f.epoch.value,
                           f.voted.value, f.leader.value);
    }
    std::string operator()(const facts::QuorumVoted& f) const {
        return fmt::format("votes for {} in epoch {} of the quorum", f.candidate.value,
                           f.epoch.value);
    }
    std::string operator()(const facts::QuorumLeading& f) const {
        return fmt::format("leads epoch {} of the quorum from {}", f.epoch.value, f.start.value);
    }
    std::string operator()(const facts::QuorumCommitted& f) const {
        return fmt::format("knows metadata [{}, {}) committed, in epoch {} of the quorum{}",
                           f.from.value, f.to.value, f.epoch.value, f.leads ? ", as leader" : "");
    }
    std::string operator()(const facts::MetadataDecided& f) const {
        return fmt::format("decides offset {} in epoch {} of the quorum: {}", f.offset.value,
                           f.epoch.value,
                           std::visit([this](const auto& what) { return (*this)(what); }, f.what));
    }
    std::string operator()(const facts::BatchAppended& f) const {
        return fmt::format("appends [{}, {}] epoch {}{}", f.base_offset.value, f.last_offset.value,
                           f.epoch.value, f.as_leader ? " as leader" : "");
    }
    std::string operator()(const facts::HighWatermarkMoved& f) const {
        return fmt::format("high watermark {} -> {} in epoch {}", f.from.value, f.to.value,
                           f.epoch.value);
    }
    std::string operator()(const facts::LogFlushed& f) const {
        return fmt::format("flushed to {}", f.end.value);
    }
    std::string operator()(const facts::ProduceAnswered& f) const {
        return fmt::format("answers produce [{}, {}] acks {} error {}", f.base_offset.value,
                           f.last_offset.value, f.acks, f.error);
    }
    std::string operator()(const facts::ConsumerServed& f) const {
        return fmt::format("serves [{}, {}) of epoch {}, high watermark {}", f.from.value,
                           f.to.value, f.epoch.value, f.high_watermark.value);
    }
    std::string operator()(const facts::PollInvoked& f) const {
        return fmt::format("polls partition {} from {} (operation {})", f.partition, f.offset.value,
                           f.operation);
    }
    std::string operator()(const facts::PollReturned& f) const {
        return fmt::format(
            "poll {} of partition {} returned {} records, error {}, high watermark {}{}",
            f.operation, f.partition, f.records.size(), f.error, f.high_watermark.value,
            f.reset ? ", told of a reset" : "");
    }
    std::string operator()(const facts::GroupAssigned& f) const {
        return fmt::format("is {} of generation {} of {} and owns {}", f.member, f.generation,
                           f.group, list(f.owned));
    }
    std::string operator()(const facts::GroupRevoked& f) const {
        return fmt::format("{} {} of generation {} of {}", f.lost ? "has lost" : "gives up",
                           list(f.given_up), f.generation, f.group);
    }
    std::string operator()(const facts::GroupCommitInvoked& f) const {
        return fmt::format("commits {} in generation {} of {} (operation {})", list(f.offsets),
                           f.generation, f.group, f.operation & 0xffff'ffff);
    }
    std::string operator()(const facts::GroupCommitReturned& f) const {
        return fmt::format("commit {} returned, error {}{}", f.operation & 0xffff'ffff, f.error,
                           f.doubtful ? ", in doubt" : "");
    }
    std::string operator()(const facts::GroupOffsetsReturned& f) const {
        return fmt::format("is told by {} that {} of {} are committed, error {}", f.from.value,
                           list(f.offsets), f.group, f.error);
    }
    template <class Other>
    std::string operator()(const Other&) const {
        return "states a fact";
    }
};

}  // namespace

std::string describe(const facts::Fact& fact) { return std::visit(Describe{}, fact); }

}  // namespace klamm::sim

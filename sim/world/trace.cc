#include "sim/world/trace.h"

#include <fmt/format.h>

#include "sim/world/observer.h"

namespace klamm::sim {

void Trace::finish(EventRecord& record) {
    record.number = ++events_;
    record.hash = hash_;
    if (events_ % checkpoint_events_ == 0) checkpoints_.push_back({events_, hash_});
    if (turns_kept_ > 0) {
        if (ring_.size() < turns_kept_) {
            ring_.push_back(record);
        } else {
            ring_[ring_next_] = record;
            if (++ring_next_ == turns_kept_) ring_next_ = 0;
        }
    }
    if (sink_) [[unlikely]]
        sink_(record);
}

std::vector<EventRecord> Trace::last_turns() const {
    std::vector<EventRecord> result;
    for (std::size_t i = 0; i < ring_.size(); ++i)
        result.push_back(ring_[(ring_next_ + i) % ring_.size()]);
    return result;
}

std::string to_string(const EventRecord& record) {
    const auto time = record.time.nanoseconds;
    const std::string where = record.node == no_node
                                  ? std::string("world")
                                  : fmt::format("node {}.{}", record.node.value, record.shard);
    return fmt::format("#{} {}.{:09} {} {} {} D{} E{} {:016x}", record.number, time / 1'000'000'000,
                       time % 1'000'000'000, where, record.kind, record.id, record.disk_calls,
                       record.effects, record.hash);
}

const char* to_string(CrashKind kind) {
    switch (kind) {
        case CrashKind::kill: return "kill";
        case CrashKind::power: return "power loss";
        case CrashKind::wipe: return "wipe";
    }
    KLAMM_UNREACHABLE();
}

}  // namespace klamm::sim

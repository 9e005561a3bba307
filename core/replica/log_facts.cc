#include "core/replica/log_facts.h"

#include <algorithm>

namespace klamm::replica {

Offset follower_fetch_offset(const Turn& turn, Offset log_end, Offset flushed_end,
                             bool flush_each) {
    if (!flush_each || flushed_end >= log_end) return log_end;
    if (turn.planted(Bug::ack_before_flush)) [[unlikely]]
        return log_end;
    return flushed_end;
}

Offset own_contribution(const Turn& turn, const LogEnds& log, bool flush_each) {
    if (!flush_each || log.flushed >= log.end) return log.end;
    if (turn.planted(Bug::ack_before_flush)) [[unlikely]]
        return log.end;
    return log.flushed;
}

}  // namespace klamm::replica

#include "core/raft/connections.h"

#include <algorithm>

namespace klamm::raft {

bool Connections::ready(BrokerId node, Instant now) const {
    const auto row = rows_.find(node);
    return row == rows_.end() || now >= row->second.until;
}

bool Connections::backing_off(BrokerId node, Instant now) const {
    const auto row = rows_.find(node);
    return row != rows_.end() && row->second.in_flight == 0 && now < row->second.until;
}

bool Connections::timed_out(BrokerId node, Instant now) const {
    const auto row = rows_.find(node);
    return row != rows_.end() && row->second.in_flight != 0 && now >= row->second.until;
}

bool Connections::any_in_flight(Instant now) const {
    return std::any_of(rows_.begin(), rows_.end(), [&](const auto& row) {
        return row.second.in_flight != 0 && now < row.second.until;
    });
}

bool Connections::expected(BrokerId node, std::uint64_t request) const {
    const auto row = rows_.find(node);
    return row != rows_.end() && request != 0 && row->second.in_flight == request;
}

std::uint64_t Connections::sent(BrokerId node, Instant now) {
    KLAMM_ASSERT(ready(node, now));
    rows_[node] = {++requests_, now + request_timeout_};
    return requests_;
}

void Connections::answered(BrokerId node, std::uint64_t request, bool well, Instant now) {
    if (!expected(node, request)) return;
    if (well)
        rows_.erase(node);
    else
        rows_[node] = {0, now + retry_backoff_};
}

Instant Connections::deadline_min(Instant now) const {
    Instant least = instant_never;
    for (const auto& [node, row] : rows_)
        if (row.until > now) least = std::min(least, row.until);
    return least;
}

std::string Connections::print() const {
    std::string text;
    for (const auto& [node, row] : rows_)
        text += " " + std::to_string(node.value) + (row.in_flight != 0 ? "?" : "!");
    return text;
}

}  // namespace klamm::raft

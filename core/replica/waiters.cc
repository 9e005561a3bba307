#include "core/replica/waiters.h"

#include <limits>

namespace klamm::replica {

void ProduceWaiters::add(const ProduceRow& row) {
    by_required_.insert(row);
    by_deadline_.insert({row.deadline, row});
}

void ProduceWaiters::remove(const ProduceRow& row) {
    by_deadline_.erase({row.deadline, row});
    by_required_.erase(row);
}

std::vector<ProduceSettled> ProduceWaiters::settle(const Turn& turn, const LeaderState& leader) {
    std::vector<ProduceSettled> settled;
    while (!by_required_.empty()) {
        const ProduceRow row = *by_required_.begin();
        std::optional<ErrorCode> answer;
        // What was appended in an older epoch may have been cut since, whoever leads now.
        if (row.epoch != leader.epoch())
            answer = ErrorCode::not_leader_or_follower;
        else
            answer = leader.acks_all_answer(turn, row.required);
        if (!answer) break;
        settled.push_back({row.token, *answer});
        remove(row);
    }
    return settled;
}

std::vector<ProduceSettled> ProduceWaiters::expire(Instant now) {
    std::vector<ProduceSettled> settled;
    while (!by_deadline_.empty() && by_deadline_.begin()->first <= now) {
        const ProduceRow row = by_deadline_.begin()->second;
        settled.push_back({row.token, ErrorCode::request_timed_out});
        remove(row);
    }
    return settled;
}

std::vector<ProduceSettled> ProduceWaiters::fail_all() {
    std::vector<ProduceSettled> settled;
    for (const ProduceRow& row : by_required_)
        settled.push_back({row.token, ErrorCode::not_leader_or_follower});
    by_required_.clear();
    by_deadline_.clear();
    return settled;
}

Instant ProduceWaiters::deadline_min() const {
    return by_deadline_.empty() ? instant_never : by_deadline_.begin()->first;
}

void FetchWaiters::add(const FetchRow& row) {
    by_seen_.insert(row);
    by_deadline_.insert({row.deadline, row});
}

std::vector<ReplyToken> FetchWaiters::take_ready(Offset high_watermark, Offset log_end,
                                                 Offset last_stable) {
    std::vector<ReplyToken> ready;
    const std::pair<FetchBound, Offset> bounds[] = {{FetchBound::high_watermark, high_watermark},
                                                    {FetchBound::log_end, log_end},
                                                    {FetchBound::last_stable, last_stable}};
    for (const auto& [bound, now_at] : bounds) {
        // Rows of one bound lie together, the least seen first.
        auto row = by_seen_.lower_bound(
            FetchRow{0, bound, Offset(std::numeric_limits<std::int64_t>::min()), Instant{}});
        while (row != by_seen_.end() && row->bound == bound && row->seen < now_at) {
            ready.push_back(row->token);
            by_deadline_.erase({row->deadline, *row});
            row = by_seen_.erase(row);
        }
    }
    return ready;
}

std::vector<ReplyToken> FetchWaiters::take_expired(Instant now) {
    std::vector<ReplyToken> expired;
    while (!by_deadline_.empty() && by_deadline_.begin()->first <= now) {
        const FetchRow row = by_deadline_.begin()->second;
        expired.push_back(row.token);
        by_deadline_.erase(by_deadline_.begin());
        by_seen_.erase(row);
    }
    return expired;
}

std::vector<ReplyToken> FetchWaiters::take_all() {
    std::vector<ReplyToken> all;
    for (const FetchRow& row : by_seen_) all.push_back(row.token);
    by_seen_.clear();
    by_deadline_.clear();
    return all;
}

bool FetchWaiters::remove(ReplyToken token) {
    for (const FetchRow& row : by_seen_) {
        if (row.token != token) continue;
        by_deadline_.erase({row.deadline, row});
        by_seen_.erase(row);
        return true;
    }
    return false;
}

Instant FetchWaiters::deadline_min() const {
    return by_deadline_.empty() ? instant_never : by_deadline_.begin()->first;
}

}  // namespace klamm::replica

#pragma once
// Rows that wait at one partition: produce requests with acks=all for the high watermark, fetches
// for more to read. A row is bound to the leader epoch in which it was made; when that epoch is no
// longer led here, every row is given back with not_leader_or_follower, never completed by another
// leader's progress. Rows come out in the order (epoch, offset, token) or by deadline.
//
// A token is the node's name for the reply (a part of one, where a request spans partitions).

#include <compare>
#include <cstdint>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "core/base/time.h"
#include "core/replica/leader.h"

namespace klamm::replica {

using ReplyToken = std::uint64_t;

struct ProduceRow {
    ReplyToken token = 0;
    Offset required;  // one past the last offset appended
    LeaderEpoch epoch;
    Instant deadline;
    friend auto operator<=>(const ProduceRow& a, const ProduceRow& b) {
        return std::tie(a.epoch, a.required, a.token, a.deadline) <=>
               std::tie(b.epoch, b.required, b.token, b.deadline);
    }
    friend bool operator==(const ProduceRow&, const ProduceRow&) = default;
};

struct ProduceSettled {
    ReplyToken token = 0;
    ErrorCode error = ErrorCode::none;
    friend bool operator==(const ProduceSettled&, const ProduceSettled&) = default;
};

class ProduceWaiters {
  public:
    void add(const ProduceRow& row);
    /// Those that can be answered now; call it after each step of the leader.
    std::vector<ProduceSettled> settle(const Turn& turn, const LeaderState& leader);
    /// Those whose time is over: request_timed_out.
    std::vector<ProduceSettled> expire(Instant now);
    /// All of them: not_leader_or_follower.
    std::vector<ProduceSettled> fail_all();

    /// The earliest deadline, or instant_never.
    [[nodiscard]] Instant deadline_min() const;
    [[nodiscard]] std::size_t size() const { return by_required_.size(); }
    friend bool operator==(const ProduceWaiters&, const ProduceWaiters&) = default;

  private:
    void remove(const ProduceRow& row);

    std::set<ProduceRow> by_required_;  // older epochs first
    std::set<std::pair<Instant, ProduceRow>> by_deadline_;
};

/// What bounds a reader: consumers the high watermark, or the last stable offset if they read what
/// is committed only; followers the log's end.
enum class FetchBound : std::uint8_t { high_watermark, log_end, last_stable };

struct FetchRow {
    ReplyToken token = 0;
    FetchBound bound = FetchBound::high_watermark;
    Offset seen;  // the bound when the fetch was tried: it is tried again when that is passed
    Instant deadline;
    friend auto operator<=>(const FetchRow& a, const FetchRow& b) {
        return std::tie(a.bound, a.seen, a.token, a.deadline) <=>
               std::tie(b.bound, b.seen, b.token, b.deadline);
    }
    friend bool operator==(const FetchRow&, const FetchRow&) = default;
};

class FetchWaiters {
  public:
    void add(const FetchRow& row);
    /// Takes out those for whom there is more than they have seen. Whether it is fetch.min.bytes is
    /// for the reader to find out; if not, it comes back with add().
    std::vector<ReplyToken> take_ready(Offset high_watermark, Offset log_end, Offset last_stable);
    /// Takes out those whose time is over: they are answered with what there is.
    std::vector<ReplyToken> take_expired(Instant now);
    std::vector<ReplyToken> take_all();
    /// Forgets one that was answered for another reason; false when it is not here.
    bool remove(ReplyToken token);

    [[nodiscard]] Instant deadline_min() const;
    [[nodiscard]] std::size_t size() const { return by_seen_.size(); }
    friend bool operator==(const FetchWaiters&, const FetchWaiters&) = default;

  private:
    std::set<FetchRow> by_seen_;
    std::set<std::pair<Instant, FetchRow>> by_deadline_;
};

}  // namespace klamm::replica

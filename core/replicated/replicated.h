#pragma once
// Decide → record → apply → reply, once, for every coordinator that keeps its state in a log.
//
//   following ── begin_loading ──► loading ── load… lead ──► leading
//       ▲──────────────────────── resign ─────────────────────┘
//
// A leader applies records when they are appended, so that the next command decides on the latest
// state; queries are answered from the committed state; a reply is a row, which is released when
// what it waits for is committed, or when its time is over, or by resign(). Always: the committed
// state is what the log's records below the high watermark make of an empty state, and the latest
// state is what the records after them make of that.
//
// It knows no log and no clock: who owns it appends, watches the high watermark, and tells it. A
// follower keeps nothing; what it would know is in its log, and is loaded when it leads.

#include <cstdint>
#include <deque>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

#include "core/base/assert.h"
#include "core/base/ids.h"
#include "core/base/timer_queue.h"

namespace klamm::replicated {

enum class Phase : std::uint8_t { following, loading, leading };

/// `State` is a value with `State::Record` and `apply(const Record&)`, which alone changes it.
/// `Row` is what waits: a reply, or what is to be done next, as a value.
template <class State, class Row>
class Replicated {
  public:
    using Record = typename State::Record;

    [[nodiscard]] Phase phase() const { return phase_; }
    [[nodiscard]] bool leading() const { return phase_ == Phase::leading; }
    /// Of the partition's leader, while this is not following.
    [[nodiscard]] LeaderEpoch epoch() const { return epoch_; }
    /// What is below the high watermark: for queries.
    [[nodiscard]] const State& committed() const { return committed_; }
    /// With what is appended: for decisions.
    [[nodiscard]] const State& latest() const { return latest_; }
    /// After the last record applied; while loading, after the last one loaded.
    [[nodiscard]] Offset end() const { return end_; }
    [[nodiscard]] std::size_t waiting() const { return rows_.size(); }
    /// Whether records are appended that are not committed yet.
    [[nodiscard]] bool pending() const { return !pending_.empty(); }

    /// This replica leads from `epoch` on; its log is to be loaded from `start`.
    void begin_loading(LeaderEpoch epoch, Offset start) {
        KLAMM_ASSERT(phase_ == Phase::following);
        phase_ = Phase::loading;
        epoch_ = epoch;
        end_ = start;
    }
    /// A committed record of the log, each once and in their order.
    void load(const Record& record) {
        KLAMM_ASSERT(phase_ == Phase::loading);
        committed_.apply(record);
    }
    /// Everything below `end` has been loaded.
    void loaded_to(Offset end) {
        KLAMM_ASSERT(phase_ == Phase::loading);
        KLAMM_ASSERT(end >= end_);
        end_ = end;
    }
    /// The log is loaded to its end, and all of it is committed.
    void lead() {
        KLAMM_ASSERT(phase_ == Phase::loading);
        phase_ = Phase::leading;
        latest_ = committed_;
    }

    /// The records of one decision were appended; the last of them lies at `last`.
    void appended(std::vector<Record> records, Offset last) {
        KLAMM_ASSERT(phase_ == Phase::leading);
        KLAMM_ASSERT(last >= end_);
        for (const Record& record : records) latest_.apply(record);
        end_ = last + 1;
        pending_.push_back({end_, std::move(records)});
    }
    /// A row that waits until all is committed that is applied now, at most to `deadline`. Whether
    /// that is so already is seen by the next commit().
    void await(Row row, Instant deadline) {
        KLAMM_ASSERT(phase_ == Phase::leading);
        const std::uint64_t id = ++rows_made_;
        const TimerId timer = timers_.add(deadline, id);
        rows_.emplace(id, Waiting{end_, timer, std::move(row)});
    }

    /// The high watermark is `high_watermark`, or nothing is known to be above it. Gives the rows
    /// that are released, in the order in which they began to wait.
    [[nodiscard]] std::vector<Row> commit(Offset high_watermark) {
        KLAMM_ASSERT(phase_ == Phase::leading);
        while (!pending_.empty() && pending_.front().end <= high_watermark) {
            for (const Record& record : pending_.front().records) committed_.apply(record);
            pending_.pop_front();
        }
        std::vector<Row> released;
        while (!rows_.empty() && rows_.begin()->second.needs <= high_watermark) {
            auto row = rows_.extract(rows_.begin());
            timers_.cancel(row.mapped().timer);
            released.push_back(std::move(row.mapped().row));
        }
        return released;
    }
    /// Rows whose time is over. What they wait for may still be committed later.
    [[nodiscard]] std::vector<Row> expire(Instant now) {
        std::vector<Row> expired;
        while (const auto id = timers_.pop_due(now))
            expired.push_back(std::move(rows_.extract(*id).mapped().row));
        return expired;
    }
    [[nodiscard]] Instant deadline_min() const { return timers_.deadline_min(); }

    /// This replica leads no more, or not in this epoch: nothing that was not committed counts, and
    /// the rows are given back to be answered so.
    [[nodiscard]] std::vector<Row> resign() {
        std::vector<Row> rows;
        for (auto& [id, waiting] : rows_) rows.push_back(std::move(waiting.row));
        const std::uint64_t made = rows_made_;
        *this = Replicated();
        rows_made_ = made;
        return rows;
    }

  private:
    struct Appended {
        Offset end;
        std::vector<Record> records;
    };
    struct Waiting {
        Offset needs;  // the high watermark
        TimerId timer;
        Row row;
    };

    Phase phase_ = Phase::following;
    LeaderEpoch epoch_ = no_leader_epoch;
    Offset end_{0};
    State committed_;
    State latest_;
    std::deque<Appended> pending_;           // appended, not committed
    std::map<std::uint64_t, Waiting> rows_;  // `needs` never falls along them
    TimerQueue<std::uint64_t> timers_;
    std::uint64_t rows_made_ = 0;
};

}  // namespace klamm::replicated

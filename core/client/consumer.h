#pragma once
// A consumer of assigned partitions, without a group. poll() makes one attempt to read a partition
// from its position and comes back as one Polled: with records (maybe none), with an error, or with
// the news that the position was void (`reset`). Positions are known by leader epochs (KIP-320):
// after a change of leader the position is validated by OffsetForLeaderEpoch before the next fetch,
// and a fetch carries the epoch last read, so that the leader can tell where the logs part
// (diverging epoch). OFFSET_OUT_OF_RANGE and truncation follow auto.offset.reset, the latter going
// back to where the logs part, as in Kafka.
//
// What always holds: a partition has at most one request under way and nothing is read ahead, so
// that what a poll returns was asked for after it began; every poll and query comes back once, at
// the latest after request.timeout.ms twice.

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/client/cluster.h"
#include "core/client/fetched.h"

namespace klamm::client {

struct Polled {
    std::uint64_t id = 0;
    std::int32_t partition = 0;
    protocol::ErrorCode error = protocol::ErrorCode::none;
    bool reset = false;  // what was read before may be gone; the position is another one now
    Offset log_start = no_offset;       // when told
    Offset high_watermark = no_offset;  // when told
    std::vector<ConsumedRecord> records = {};
};

struct Listed {
    std::uint64_t id = 0;
    std::int32_t partition = 0;
    protocol::ErrorCode error = protocol::ErrorCode::none;
    Offset offset = no_offset;
    LeaderEpoch epoch = no_leader_epoch;
};

/// What ListOffsets takes for a time.
constexpr Timestamp latest_timestamp{-1};
constexpr Timestamp earliest_timestamp{-2};

class Consumer {
  public:
    struct Results {
        std::vector<Polled> polled;
        std::vector<Listed> listed;
    };

    /// `entity` names this consumer in draws.
    Consumer(config::ConsumerOptions options, std::uint64_t entity);

    /// Puts the position of a partition at an end of its log, to be looked up by the next
    /// advance(); a poll of it must not be under way.
    void seek_to(const std::string& topic, std::int32_t partition, config::OffsetReset end);
    /// Puts the position at `offset`; `epoch` is that of the record before it, to validate it by.
    void seek(const std::string& topic, std::int32_t partition, Offset offset,
              LeaderEpoch epoch = no_leader_epoch);
    /// Ends a poll of the partition that is under way with `error`; its answer is not looked at.
    void cancel(const std::string& topic, std::int32_t partition, protocol::ErrorCode error,
                Results& results);
    /// Keeps nothing of the partition; no poll of it may be under way.
    void forget(const std::string& topic, std::int32_t partition);
    /// Where the next poll reads; nothing until it has been looked up.
    [[nodiscard]] std::optional<Offset> position(const std::string& topic,
                                                 std::int32_t partition) const;
    /// Of the record before the position, when that is known.
    [[nodiscard]] LeaderEpoch position_epoch(const std::string& topic,
                                             std::int32_t partition) const;
    [[nodiscard]] bool polling(const std::string& topic, std::int32_t partition) const;

    /// Begins a poll; the position must be known and no poll of the partition be under way.
    void poll(env::Env& env, std::uint64_t id, const std::string& topic, std::int32_t partition);
    /// Asks where the log ends (latest_timestamp), begins (earliest_timestamp), or stood at a time.
    void list(env::Env& env, std::uint64_t id, const std::string& topic, std::int32_t partition,
              Timestamp time);

    /// Takes an event in if it is about this consumer's connections.
    bool handle(env::Env& env, const env::Event& event, Results& results);
    /// To be called once at the end of every turn.
    void advance(env::Env& env, Results& results);
    /// When advance() must next be called, or instant_never.
    [[nodiscard]] Instant deadline() const { return std::min(wake_, cluster_.deadline()); }

    [[nodiscard]] const Cluster& cluster() const { return cluster_; }

  private:
    using Key = std::pair<std::string, std::int32_t>;
    enum class Asked : std::uint8_t { nothing, fetch, validation, reset };
    struct Poll {
        std::uint64_t id;
        std::int32_t partition;
        Instant deadline;
    };
    struct Partition {
        std::optional<config::OffsetReset> lookup;  // the position is to be looked up
        Offset position = no_offset;
        LeaderEpoch position_epoch = no_leader_epoch;   // of the record before the position
        LeaderEpoch validated_epoch = no_leader_epoch;  // the leader's under which it holds
        std::optional<Poll> poll;
        Asked asked = Asked::nothing;
        std::uint64_t tag = 0;  // of the request under way
        LeaderEpoch asked_epoch = no_leader_epoch;
        Instant retry_at;
        std::uint64_t failures = 0;
    };
    struct Query {
        std::uint64_t id;
        Key key;
        Timestamp time;
        Instant deadline;
        std::uint64_t tag = 0;  // 0: not sent yet
    };

    void take(env::Env& env, const Reply& reply, Results& results);
    void take_fetch(env::Env& env, const Key& key, Partition& partition, const Reply& reply,
                    Results& results);
    void take_validation(env::Env& env, const Key& key, Partition& partition, const Reply& reply,
                         Results& results);
    void take_reset(env::Env& env, const Key& key, Partition& partition, const Reply& reply,
                    Results& results);
    void take_query(const Query& query, const Reply& reply, Results& results);
    [[nodiscard]] Listed read_listed(const Key& key, const Reply& reply) const;

    void step(env::Env& env, const Key& key, Partition& partition, Results& results);
    void step_query(env::Env& env, Query& query);
    void send_fetch(env::Env& env, BrokerId broker, const Key& key, Partition& partition);
    void send_validation(env::Env& env, BrokerId broker, const Key& key, Partition& partition);
    /// False when the broker does not serve it.
    bool send_list(env::Env& env, BrokerId broker, const Key& key, Timestamp time,
                   std::uint64_t tag);

    /// The attempt failed: ends the poll if there is one, and waits before the next.
    void failed(env::Env& env, const Key& key, Partition& partition, protocol::ErrorCode error,
                Results& results);
    /// The position is void; `kept` is where the logs part, if that is known.
    void voided(Partition& partition, std::optional<std::pair<Offset, LeaderEpoch>> kept,
                Results& results);
    static void end_poll(Partition& partition, Polled polled, Results& results);
    void wake(Instant when) { wake_ = std::min(wake_, when); }

    config::ConsumerOptions options_;
    Cluster cluster_;
    record::Decompressor decompressor_;
    std::map<Key, Partition> partitions_;
    std::vector<Query> queries_;
    std::uint64_t tag_ = 0;
    Instant wake_ = instant_never;
};

}  // namespace klamm::client

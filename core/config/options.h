#pragma once
// What a node, a topic and a client can be told, as plain values.
// Each member is one row of the configuration table (table.h), which holds its Kafka name, type,
// default, range, hostile range and meaning; a default-constructed struct holds exactly the
// defaults of Kafka 4.1. Values that came through `set` lie in their ranges; relations between
// several of them are what `check` says. Nothing here reads files or the environment: callers bring
// the text.

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/draws.h"
#include "core/base/result.h"

namespace klamm::config {

/// Kafka's "never" for intervals and counts, Long.MAX_VALUE.
constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

enum class TimestampType : std::uint8_t { create_time, log_append_time };

/// compression.type of a topic. `producer` keeps what the producer sent.
enum class TopicCompression : std::uint8_t { producer, uncompressed, gzip, snappy, lz4, zstd };

/// compression.type of a producer; the values are the codec numbers of the record batch.
enum class Compression : std::uint8_t { none = 0, gzip = 1, snappy = 2, lz4 = 3, zstd = 4 };

enum class Isolation : std::uint8_t { read_uncommitted = 0, read_committed = 1 };  // as on the wire

enum class OffsetReset : std::uint8_t { latest, earliest, none };

/// cleanup.policy; which of its two words stands first means nothing.
enum class CleanupPolicy : std::uint8_t { delete_old, compact, compact_and_delete };

/// A number from 0 to 1, in millionths: decisions know no floating point.
struct Ratio {
    std::int32_t millionths = 0;
    friend bool operator==(const Ratio&, const Ratio&) = default;
};

/// One topic. A broker holds one as the default of all topics, by the broker's names of these keys.
struct TopicOptions {
    std::int32_t min_insync_replicas = 1;
    bool unclean_leader_election_enable = false;
    std::int64_t flush_messages = never;
    std::int64_t flush_ms = never;
    std::int32_t segment_bytes = 1'073'741'824;
    std::int32_t internal_segment_bytes = 0;  // 0: unset; else it overrides segment_bytes
    std::int32_t segment_index_bytes = 10'485'760;
    std::int32_t index_interval_bytes = 4'096;
    std::int32_t max_message_bytes = 1'048'588;
    TimestampType message_timestamp_type = TimestampType::create_time;
    std::int64_t message_timestamp_before_max_ms = never;
    std::int64_t message_timestamp_after_max_ms = 3'600'000;
    TopicCompression compression_type = TopicCompression::producer;
    CleanupPolicy cleanup_policy = CleanupPolicy::delete_old;
    std::int64_t retention_ms = 604'800'000;  // -1: for ever
    std::int64_t retention_bytes = -1;        // of a partition; -1: any size
    std::int64_t segment_ms = 604'800'000;
    std::int64_t segment_jitter_ms = 0;
    std::int64_t file_delete_delay_ms = 60'000;
    std::int64_t delete_retention_ms = 86'400'000;
    std::int64_t min_compaction_lag_ms = 0;
    std::int64_t max_compaction_lag_ms = never;
    Ratio min_cleanable_dirty_ratio = {500'000};

    [[nodiscard]] bool deletes() const { return cleanup_policy != CleanupPolicy::compact; }
    [[nodiscard]] bool compacts() const { return cleanup_policy != CleanupPolicy::delete_old; }
    /// The size at which a segment is full, whichever key says it.
    [[nodiscard]] std::int32_t effective_segment_bytes() const {
        return internal_segment_bytes > 0 ? internal_segment_bytes : segment_bytes;
    }
    friend bool operator==(const TopicOptions&, const TopicOptions&) = default;
};

/// One node. `topic` holds the defaults of topics that say nothing themselves.
struct BrokerOptions {
    std::int32_t node_id = 1;
    std::vector<std::string> listeners = {"PLAINTEXT://:9092"};
    std::vector<std::string> log_dirs = {"/tmp/kafka-logs"};
    std::int32_t shards = 1;                 // klamm.shards
    std::vector<std::string> process_roles;  // empty: whoever starts the node says what it is
    std::vector<std::string> controller_listener_names;
    std::vector<std::string> controller_quorum_voters;  // id@host:port
    std::vector<std::string> advertised_listeners;      // empty: as listeners
    std::string broker_rack;
    std::int32_t num_partitions = 1;
    std::int32_t default_replication_factor = 1;
    bool auto_create_topics_enable = true;
    bool delete_topic_enable = true;
    std::int64_t unclean_leader_election_interval_ms = 300'000;
    std::int64_t replica_lag_time_max_ms = 30'000;
    std::int32_t replica_fetch_wait_max_ms = 500;
    std::int32_t replica_fetch_min_bytes = 1;
    std::int32_t replica_fetch_max_bytes = 1'048'576;
    std::int32_t replica_fetch_response_max_bytes = 10'485'760;
    std::int32_t replica_fetch_backoff_ms = 1'000;
    std::int32_t replica_socket_timeout_ms = 30'000;  // at least replica_fetch_wait_max_ms
    std::int64_t replica_high_watermark_checkpoint_interval_ms = 5'000;
    std::int32_t log_flush_offset_checkpoint_interval_ms = 60'000;
    std::int32_t log_flush_start_offset_checkpoint_interval_ms = 60'000;
    std::int64_t log_retention_check_interval_ms = 300'000;
    std::int32_t log_retention_hours = 168;  // counts when neither minutes nor ms are set
    std::int32_t log_retention_minutes = 0;  // 0: not set; -1: for ever
    std::int32_t log_roll_hours = 168;       // counts when log.roll.ms is not set
    bool log_cleaner_enable = true;
    std::int64_t log_cleaner_backoff_ms = 15'000;
    std::int64_t log_cleaner_dedupe_buffer_size = 134'217'728;
    std::int32_t broker_session_timeout_ms = 9'000;
    std::int32_t broker_heartbeat_interval_ms = 2'000;
    std::int32_t request_timeout_ms = 30'000;    // of the node's own requests
    std::int64_t queued_max_request_bytes = -1;  // -1: no limit
    std::int32_t socket_request_max_bytes = 104'857'600;
    std::int64_t connections_max_idle_ms = 600'000;  // negative: never
    std::int32_t fetch_max_bytes = 57'671'680;
    std::int32_t max_incremental_fetch_session_cache_slots = 1'000;
    std::int32_t producer_id_expiration_ms = 86'400'000;
    std::int32_t offsets_topic_num_partitions = 50;  // of __consumer_offsets
    std::int32_t offsets_topic_replication_factor = 3;
    std::int32_t offsets_topic_segment_bytes = 104'857'600;
    std::int32_t offset_metadata_max_bytes = 4'096;
    std::int32_t offsets_retention_minutes = 10'080;
    std::int64_t offsets_retention_check_interval_ms = 600'000;
    std::int32_t offsets_commit_timeout_ms = 5'000;
    std::int32_t group_min_session_timeout_ms = 6'000;
    std::int32_t group_max_session_timeout_ms = 1'800'000;
    std::int32_t group_initial_rebalance_delay_ms = 3'000;
    std::int32_t group_max_size = std::numeric_limits<std::int32_t>::max();
    std::int32_t transactional_id_expiration_ms = 604'800'000;
    std::int32_t transaction_max_timeout_ms = 900'000;
    std::int32_t transaction_abort_timed_out_cleanup_interval_ms = 10'000;
    std::int32_t transaction_remove_expired_cleanup_interval_ms = 3'600'000;
    bool transaction_partition_verification_enable = true;
    std::int32_t transaction_state_log_num_partitions = 50;  // of __transaction_state
    std::int32_t transaction_state_log_replication_factor = 3;
    std::int32_t transaction_state_log_min_isr = 2;
    std::int32_t transaction_state_log_segment_bytes = 104'857'600;
    TopicOptions topic;

    /// `topic` with what the coarser spellings of retention and rolling say, where the finer ones
    /// are at their defaults.
    [[nodiscard]] TopicOptions topic_defaults() const;

    friend bool operator==(const BrokerOptions&, const BrokerOptions&) = default;
};

/// Feature levels: finalised for the whole cluster in its metadata, not in one node's file.
struct FeatureOptions {
    std::int16_t eligible_leader_replicas_version = 1;  // 1: KIP-966 keeps an ELR; 0: off

    [[nodiscard]] bool eligible_leader_replicas() const {
        return eligible_leader_replicas_version > 0;
    }
    friend bool operator==(const FeatureOptions&, const FeatureOptions&) = default;
};

/// What producers and consumers have in common.
struct ClientOptions {
    std::string client_id;
    std::vector<std::string> bootstrap_servers;
    std::int32_t request_timeout_ms = 30'000;
    std::int64_t retry_backoff_ms = 100;
    std::int64_t retry_backoff_max_ms = 1'000;
    std::int64_t reconnect_backoff_ms = 50;
    std::int64_t metadata_max_age_ms = 300'000;

    friend bool operator==(const ClientOptions&, const ClientOptions&) = default;
};

struct ProducerOptions {
    ClientOptions client;
    std::int16_t acks = -1;  // -1 is all, as on the wire
    bool enable_idempotence = true;
    std::int32_t retries = std::numeric_limits<std::int32_t>::max();
    std::int32_t delivery_timeout_ms = 120'000;
    std::int64_t linger_ms = 5;
    std::int32_t batch_size = 16'384;
    std::int32_t max_in_flight_requests_per_connection = 5;
    Compression compression_type = Compression::none;

    friend bool operator==(const ProducerOptions&, const ProducerOptions&) = default;
};

struct ConsumerOptions {
    ClientOptions client;
    std::int32_t fetch_min_bytes = 1;
    std::int32_t fetch_max_wait_ms = 500;
    std::int32_t fetch_max_bytes = 52'428'800;
    std::int32_t max_partition_fetch_bytes = 1'048'576;
    Isolation isolation_level = Isolation::read_uncommitted;
    OffsetReset auto_offset_reset = OffsetReset::latest;
    std::string group_id;
    std::string group_instance_id;  // empty: a dynamic member
    std::vector<std::string> partition_assignment_strategy = {"range", "cooperative-sticky"};
    std::int32_t session_timeout_ms = 45'000;
    std::int32_t heartbeat_interval_ms = 3'000;
    std::int32_t max_poll_interval_ms = 300'000;
    bool enable_auto_commit = true;
    std::int32_t auto_commit_interval_ms = 5'000;

    friend bool operator==(const ConsumerOptions&, const ConsumerOptions&) = default;
};

/// Sets the option that `key` names from its text, as a .properties file spells both. A broker
/// takes its own keys and the broker's names of topic keys ("log.segment.bytes"), a topic the
/// topic's names, a producer and a consumer also the keys of every client. On an error nothing has
/// changed: `not_found` when there is no such key here, `invalid` when the value is not of its type
/// or range; the text is one sentence that names the key, the value and what was expected.
Status set(BrokerOptions& options, std::string_view key, std::string_view value);
Status set(TopicOptions& options, std::string_view key, std::string_view value);
Status set(FeatureOptions& options, std::string_view key, std::string_view value);
Status set(ProducerOptions& options, std::string_view key, std::string_view value);
Status set(ConsumerOptions& options, std::string_view key, std::string_view value);

/// What Kafka demands between options of one owner; `invalid` with one sentence at the first rule
/// that does not hold.
Status check(const BrokerOptions& options);
Status check(const ProducerOptions& options);

struct KeyValue {
    std::string key;
    std::string value;

    friend bool operator==(const KeyValue&, const KeyValue&) = default;
};

/// "key=value" with spaces around both parts dropped; `invalid` without a `=` or with an empty key.
Result<KeyValue> parse_key_value(std::string_view text);

/// The lines of a .properties file in their order: blank lines and those that open with `#` or `!`
/// are skipped, a backslash at the end of a line joins the next, values keep their inner spaces.
/// A later line with the same key is kept too: whoever sets in order lets it win, as Kafka does.
Result<std::vector<KeyValue>> parse_properties(std::string_view text);

/// A whole world's options for the simulator.
struct HostileOptions {
    BrokerOptions broker;
    TopicOptions topic;
    FeatureOptions features;
    ProducerOptions producer;
    ConsumerOptions consumer;

    friend bool operator==(const HostileOptions&, const HostileOptions&) = default;
};

/// Lawful options that hurt: each row stays at its default or is drawn from its hostile range,
/// keyed by (row name, entity), so that a new row changes no other. The result passes every
/// `check`; with acks other than all, idempotence is off. Identity (node.id, listeners, log.dirs,
/// client.id) is left at its default: worlds give it out themselves.
HostileOptions draw_hostile(const Draws& draws, std::uint64_t entity);

}  // namespace klamm::config

// The rows. Names, types, defaults and ranges are those of Kafka 4.1 (ServerConfigs, KRaftConfigs,
// ReplicationConfigs, SocketServerConfigs, LogConfig, ProducerConfig, ConsumerConfig); names under
// "klamm." are our own. Hostile ranges are chosen so that ten virtual minutes meet what a year
// meets.

#include "core/config/table.h"

#include <type_traits>

#include "core/base/assert.h"

namespace klamm::config {
namespace {

constexpr std::int64_t int16_max = std::numeric_limits<std::int16_t>::max();
constexpr std::int64_t int32_max = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t mebibyte = 1'048'576;

template <class T>
struct MemberOf;
template <class Owner_, class Field_>
struct MemberOf<Field_ Owner_::*> {
    using Owner = Owner_;
    using Field = Field_;
};

template <class Owner>
Owner& owner_in(const Owners& owners) {
    Owner* found = nullptr;
    if constexpr (std::is_same_v<Owner, BrokerOptions>) found = owners.broker;
    if constexpr (std::is_same_v<Owner, TopicOptions>) found = owners.topic;
    if constexpr (std::is_same_v<Owner, FeatureOptions>) found = owners.features;
    if constexpr (std::is_same_v<Owner, ClientOptions>) found = owners.client;
    if constexpr (std::is_same_v<Owner, ProducerOptions>) found = owners.producer;
    if constexpr (std::is_same_v<Owner, ConsumerOptions>) found = owners.consumer;
    KLAMM_ASSERT(found != nullptr);
    return *found;
}

template <class Owner>
constexpr Scope scope_of() {
    if constexpr (std::is_same_v<Owner, BrokerOptions>) return Scope::broker;
    if constexpr (std::is_same_v<Owner, TopicOptions>) return Scope::topic;
    if constexpr (std::is_same_v<Owner, FeatureOptions>) return Scope::feature;
    if constexpr (std::is_same_v<Owner, ClientOptions>) return Scope::client;
    if constexpr (std::is_same_v<Owner, ProducerOptions>) return Scope::producer;
    if constexpr (std::is_same_v<Owner, ConsumerOptions>) return Scope::consumer;
}

/// Items between commas, spaces around them dropped.
std::vector<std::string> split(std::string_view text) {
    std::vector<std::string> items;
    while (!text.empty()) {
        const std::size_t comma = text.find(',');
        std::string_view item = text.substr(0, comma);
        text = comma == std::string_view::npos ? "" : text.substr(comma + 1);
        while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
        while (!item.empty() && item.back() == ' ') item.remove_suffix(1);
        if (!item.empty()) items.emplace_back(item);
    }
    return items;
}

template <auto Member>
void store(const Owners& owners, const Value& value) {
    using Field = typename MemberOf<decltype(Member)>::Field;
    auto& field = owner_in<typename MemberOf<decltype(Member)>::Owner>(owners).*Member;
    if constexpr (std::is_same_v<Field, std::string>)
        field = value.text;
    else if constexpr (std::is_same_v<Field, std::vector<std::string>>)
        field = split(value.text);
    else if constexpr (std::is_same_v<Field, Ratio>)
        field.millionths = static_cast<std::int32_t>(value.number);
    else
        field = static_cast<Field>(value.number);
}

template <auto Member>
Value load(const Owners& owners) {
    using Field = typename MemberOf<decltype(Member)>::Field;
    const auto& field = owner_in<typename MemberOf<decltype(Member)>::Owner>(owners).*Member;
    Value value;
    if constexpr (std::is_same_v<Field, std::string>) {
        value.text = field;
    } else if constexpr (std::is_same_v<Field, std::vector<std::string>>) {
        for (const std::string& item : field) value.text += (value.text.empty() ? "" : ",") + item;
    } else if constexpr (std::is_same_v<Field, Ratio>) {
        value.number = field.millionths;
    } else {
        value.number = static_cast<std::int64_t>(field);
    }
    return value;
}

template <class Field>
constexpr Type type_of() {
    if constexpr (std::is_same_v<Field, bool>) return Type::boolean;
    if constexpr (std::is_same_v<Field, std::int16_t>) return Type::int16;
    if constexpr (std::is_same_v<Field, std::int32_t>) return Type::int32;
    if constexpr (std::is_same_v<Field, std::int64_t>) return Type::int64;
    if constexpr (std::is_enum_v<Field>) return Type::choice;
    if constexpr (std::is_same_v<Field, Ratio>) return Type::ratio;
    if constexpr (std::is_same_v<Field, std::string>) return Type::text;
    if constexpr (std::is_same_v<Field, std::vector<std::string>>) return Type::list;
}

using Hostile = RowList<std::int64_t>;
using Choices = RowList<Choice>;

template <auto Member>
constexpr Row make(std::string_view name, std::string_view broker_spelling,
                   std::string_view default_text, Range range, Choices choices, Hostile hostile,
                   std::string_view sentence) {
    using Info = MemberOf<decltype(Member)>;
    const Type type = choices.size > 0 ? Type::choice : type_of<typename Info::Field>();
    return {name,          broker_spelling, scope_of<typename Info::Owner>(),
            type,          default_text,    range,
            choices,       hostile,         sentence,
            store<Member>, load<Member>};
}

/// An integer from `low` up to what its type or `high` holds.
template <auto Member>
constexpr Row number(std::string_view name, std::string_view default_text, std::int64_t low,
                     Hostile hostile, std::string_view sentence,
                     std::string_view broker_spelling = {}, std::int64_t high = never) {
    const Type type = type_of<typename MemberOf<decltype(Member)>::Field>();
    const std::int64_t type_max = type == Type::int16   ? int16_max
                                  : type == Type::int32 ? int32_max
                                                        : never;
    const Range range{low, high < type_max ? high : type_max};
    return make<Member>(name, broker_spelling, default_text, range, {}, hostile, sentence);
}

template <auto Member>
constexpr Row boolean(std::string_view name, std::string_view default_text, Hostile hostile,
                      std::string_view sentence, std::string_view broker_spelling = {}) {
    return make<Member>(name, broker_spelling, default_text, {0, 1}, {}, hostile, sentence);
}

template <auto Member>
constexpr Row choice(std::string_view name, std::string_view default_text, Choices choices,
                     Hostile hostile, std::string_view sentence,
                     std::string_view broker_spelling = {}) {
    return make<Member>(name, broker_spelling, default_text, {}, choices, hostile, sentence);
}

template <auto Member>
constexpr Row ratio(std::string_view name, std::string_view default_text, std::string_view sentence,
                    std::string_view broker_spelling) {
    return make<Member>(name, broker_spelling, default_text, {0, 1'000'000}, {}, {}, sentence);
}

template <auto Member>
constexpr Row text(std::string_view name, std::string_view default_text, std::string_view sentence,
                   std::string_view broker_spelling = {}) {
    return make<Member>(name, broker_spelling, default_text, {}, {}, {}, sentence);
}

template <auto Member>
constexpr Row list(std::string_view name, std::string_view sentence) {
    return text<Member>(name, "", sentence);
}

template <class Enum>
constexpr Choice named(std::string_view name, Enum value) {
    return {name, static_cast<std::int64_t>(value)};
}

using B = BrokerOptions;
using T = TopicOptions;
using F = FeatureOptions;
using C = ClientOptions;
using P = ProducerOptions;
using K = ConsumerOptions;

constexpr std::string_view int64_max_text = "9223372036854775807";

// clang-format off
constexpr Row rows[] = {
    number<&B::node_id>("node.id", "1", 0, {},
        "The id of this node, unique in the cluster.", "broker.id"),
    text<&B::listeners>("listeners", "PLAINTEXT://:9092",
        "Where the node listens: name://host:port, separated by commas."),
    text<&B::log_dirs>("log.dirs", "/tmp/kafka-logs",
        "The directories that hold the logs, separated by commas.", "log.dir"),
    number<&B::shards>("klamm.shards", "1", 1, {1, 2, 3},
        "How many shards, each with its own loop, share the node's partitions and connections.", {},
        64),
    list<&B::process_roles>("process.roles",
        "What the node is: broker, controller, or both; empty: whoever starts it says."),
    list<&B::controller_listener_names>("controller.listener.names",
        "The names among listeners where the node serves as a controller."),
    list<&B::controller_quorum_voters>("controller.quorum.voters",
        "The controllers of the quorum: id@host:port, separated by commas."),
    list<&B::advertised_listeners>("advertised.listeners",
        "Where clients are told to find the node; empty: as listeners."),
    text<&B::broker_rack>("broker.rack", "",
        "The rack of this broker: replicas of a partition are spread over racks."),
    number<&B::num_partitions>("num.partitions", "1", 1, {},
        "The partitions of topics that are created without a number of them."),
    number<&B::default_replication_factor>("default.replication.factor", "1", 1, {},
        "The replication factor of topics that are created without one.", {}, int16_max),
    boolean<&B::auto_create_topics_enable>("auto.create.topics.enable", "true", {},
        "Whether a topic that a client asks for by name is created if it is not there."),
    boolean<&B::delete_topic_enable>("delete.topic.enable", "true", {},
        "Whether topics may be deleted."),
    number<&B::unclean_leader_election_interval_ms>("unclean.leader.election.interval.ms", "300000",
        1, {}, "How often a controller looks for partitions that wait for an unclean election."),
    number<&B::replica_lag_time_max_ms>("replica.lag.time.max.ms", "30000", 1,
        {500, 1'000, 5'000, 30'000},
        "A follower that has not reached the leader's log end for this long leaves the ISR."),
    number<&B::replica_fetch_wait_max_ms>("replica.fetch.wait.max.ms", "500", 0, {10, 100, 500},
        "The longest that a leader parks a follower's fetch; at most replica.lag.time.max.ms."),
    number<&B::replica_fetch_min_bytes>("replica.fetch.min.bytes", "1", 0, {1, 1, 200, 4'096},
        "A follower's fetch is parked until this many bytes are there."),
    number<&B::replica_fetch_max_bytes>("replica.fetch.max.bytes", "1048576", 0,
        {0, 500, 10'000, mebibyte},
        "The most a follower asks of one partition; the first batch comes whole whatever its size."),
    number<&B::replica_fetch_response_max_bytes>("replica.fetch.response.max.bytes", "10485760", 0,
        {0, 1'000, 100'000, 10 * mebibyte},
        "The most a follower asks of one fetch; the first batch comes whole whatever its size."),
    number<&B::replica_fetch_backoff_ms>("replica.fetch.backoff.ms", "1000", 0, {1, 50, 1'000},
        "How long a follower waits before it fetches again after an error."),
    number<&B::replica_socket_timeout_ms>("replica.socket.timeout.ms", "30000", 0, {10'000, 30'000},
        "How long a follower waits for the answer to a fetch before it connects anew."),
    number<&B::replica_high_watermark_checkpoint_interval_ms>(
        "replica.high.watermark.checkpoint.interval.ms", "5000", 1, {50, 500, 5'000},
        "How often high watermarks are written to replication-offset-checkpoint."),
    number<&B::log_flush_offset_checkpoint_interval_ms>("log.flush.offset.checkpoint.interval.ms",
        "60000", 0, {100, 2'000, 60'000},
        "How often recovery points are written to recovery-point-offset-checkpoint."),
    number<&B::log_flush_start_offset_checkpoint_interval_ms>(
        "log.flush.start.offset.checkpoint.interval.ms", "60000", 0, {},
        "How often log starts are written to log-start-offset-checkpoint."),
    number<&B::log_retention_check_interval_ms>("log.retention.check.interval.ms", "300000", 1, {},
        "How often the logs are looked through for segments that need not be kept."),
    number<&B::log_retention_hours>("log.retention.hours", "168", -1, {},
        "retention.ms of topics that have none, in hours; log.retention.minutes and .ms outrank it."),
    number<&B::log_retention_minutes>("log.retention.minutes", "0", -1, {},
        "The same in minutes; 0 leaves it unset."),
    number<&B::log_roll_hours>("log.roll.hours", "168", 1, {},
        "segment.ms of topics that have none, in hours; log.roll.ms outranks it."),
    boolean<&B::log_cleaner_enable>("log.cleaner.enable", "true", {},
        "Whether compacted topics are cleaned."),
    number<&B::log_cleaner_backoff_ms>("log.cleaner.backoff.ms", "15000", 0, {},
        "How long the cleaner rests when it finds no log to clean."),
    number<&B::log_cleaner_dedupe_buffer_size>("log.cleaner.dedupe.buffer.size", "134217728",
        mebibyte, {}, "The most memory that the keys of one cleaning take."),
    number<&B::broker_session_timeout_ms>("broker.session.timeout.ms", "9000", 1,
        {1'000, 3'000, 9'000},
        "A broker that has sent no heartbeat for this long is fenced."),
    number<&B::broker_heartbeat_interval_ms>("broker.heartbeat.interval.ms", "2000", 1,
        {100, 500, 2'000},
        "How often a broker sends a heartbeat to the controller."),
    number<&B::request_timeout_ms>("request.timeout.ms", "30000", 1, {1'000, 5'000, 30'000},
        "How long the node waits for the answer to a request of its own."),
    number<&B::queued_max_request_bytes>("queued.max.request.bytes", "-1", -1,
        {-1, 2 * mebibyte, 16 * mebibyte},
        "At this many bytes of unanswered requests, reading pauses on client listeners; -1: never."),
    number<&B::socket_request_max_bytes>("socket.request.max.bytes", "104857600", 1,
        {mebibyte, 2 * mebibyte, 100 * mebibyte},
        "A connection that announces a larger request is closed."),
    number<&B::connections_max_idle_ms>("connections.max.idle.ms", "600000",
        std::numeric_limits<std::int64_t>::min(), {2'000, 20'000, 600'000},
        "A connection without a request for this long is closed; negative: never."),
    number<&B::fetch_max_bytes>("fetch.max.bytes", "57671680", 1'024, {1'024, 20'000, 57'671'680},
        "The most that one fetch answer carries; the first batch comes whole whatever its size."),
    number<&B::max_incremental_fetch_session_cache_slots>(
        "max.incremental.fetch.session.cache.slots", "1000", 0, {0, 1, 2, 1'000},
        "How many fetch sessions are kept; a fetcher that finds no slot sends full requests."),
    number<&B::producer_id_expiration_ms>("producer.id.expiration.ms", "86400000", 1,
        {3'600'000, 86'400'000},
        "A producer that has appended nothing for this long is forgotten by its partitions."),
    number<&B::offsets_topic_num_partitions>("offsets.topic.num.partitions", "50", 1, {},
        "The partitions of __consumer_offsets, which groups are spread over; fixed once it is there."),
    number<&B::offsets_topic_replication_factor>("offsets.topic.replication.factor", "3", 1, {},
        "The replication factor of __consumer_offsets.", {}, int16_max),
    number<&B::offsets_topic_segment_bytes>("offsets.topic.segment.bytes", "104857600", 1, {},
        "segment.bytes of __consumer_offsets: smaller ones are compacted and loaded sooner."),
    number<&B::offset_metadata_max_bytes>("offset.metadata.max.bytes", "4096", 0, {},
        "The longest text that a commit may put beside an offset."),
    number<&B::offsets_retention_minutes>("offsets.retention.minutes", "10080", 1, {},
        "Offsets of a group without members are kept for this long after its last member left."),
    number<&B::offsets_retention_check_interval_ms>("offsets.retention.check.interval.ms", "600000",
        1, {}, "How often offsets are looked through for those that need not be kept."),
    number<&B::offsets_commit_timeout_ms>("offsets.commit.timeout.ms", "5000", 1, {},
        "A group's record that is not committed for this long is answered as failed."),
    number<&B::group_min_session_timeout_ms>("group.min.session.timeout.ms", "6000", 0, {},
        "The shortest session that a member of a group may ask for."),
    number<&B::group_max_session_timeout_ms>("group.max.session.timeout.ms", "1800000", 0, {},
        "The longest session that a member of a group may ask for."),
    number<&B::group_initial_rebalance_delay_ms>("group.initial.rebalance.delay.ms", "3000", 0, {},
        "How long a new group waits for more members before its first rebalance."),
    number<&B::group_max_size>("group.max.size", "2147483647", 1, {},
        "The most members that a group may have."),
    number<&B::transactional_id_expiration_ms>("transactional.id.expiration.ms", "604800000", 1, {},
        "A transactional id without a transaction for this long is forgotten."),
    number<&B::transaction_max_timeout_ms>("transaction.max.timeout.ms", "900000", 1, {},
        "The longest transaction.timeout.ms that a producer may ask for."),
    number<&B::transaction_abort_timed_out_cleanup_interval_ms>(
        "transaction.abort.timed.out.transaction.cleanup.interval.ms", "10000", 1, {},
        "How often transactions are looked through for those that have lasted too long."),
    number<&B::transaction_remove_expired_cleanup_interval_ms>(
        "transaction.remove.expired.transaction.cleanup.interval.ms", "3600000", 1, {},
        "How often transactional ids are looked through for those that need not be kept."),
    boolean<&B::transaction_partition_verification_enable>(
        "transaction.partition.verification.enable", "true", {},
        "Whether a batch that begins a transaction at a partition is held against its coordinator."),
    number<&B::transaction_state_log_num_partitions>("transaction.state.log.num.partitions", "50",
        1, {},
        "The partitions of __transaction_state, which ids are spread over; fixed once it is there."),
    number<&B::transaction_state_log_replication_factor>(
        "transaction.state.log.replication.factor", "3", 1, {},
        "The replication factor of __transaction_state.", {}, int16_max),
    number<&B::transaction_state_log_min_isr>("transaction.state.log.min.isr", "2", 1, {},
        "min.insync.replicas of __transaction_state."),
    number<&B::transaction_state_log_segment_bytes>("transaction.state.log.segment.bytes",
        "104857600", 1, {},
        "segment.bytes of __transaction_state: smaller ones are compacted and loaded sooner."),

    number<&T::min_insync_replicas>("min.insync.replicas", "1", 1, {1, 2, 2, 3},
        "The smallest ISR with which acks=all is accepted and the high watermark moves.",
        "min.insync.replicas"),
    boolean<&T::unclean_leader_election_enable>("unclean.leader.election.enable", "false",
        {0, 0, 1},
        "Whether a replica outside the ISR and ELR may lead when nobody else can.",
        "unclean.leader.election.enable"),
    number<&T::flush_messages>("flush.messages", int64_max_text, 1, {1, 1, 2, 10, never},
        "The log is synced when this many records are unsynced; with 1, before any of them counts.",
        "log.flush.interval.messages"),
    number<&T::flush_ms>("flush.ms", int64_max_text, 0, {20, 200, 2'000, never},
        "The log is synced when a record has been unsynced for this long.",
        "log.flush.interval.ms"),
    number<&T::segment_bytes>("segment.bytes", "1073741824", mebibyte, {mebibyte, 1'073'741'824},
        "A segment that would grow past this is closed and a new one begun.", "log.segment.bytes"),
    number<&T::internal_segment_bytes>("internal.segment.bytes", "0", 0,
        {0, 1'024, 4'096, 50'000},
        "For tests: overrides segment.bytes without its lower bound; 0 leaves it unset."),
    number<&T::segment_index_bytes>("segment.index.bytes", "10485760", 4,
        {48, 240, 4'096, 10 * mebibyte},
        "The size at which an index is full, which closes its segment.", "log.index.size.max.bytes"),
    number<&T::index_interval_bytes>("index.interval.bytes", "4096", 0, {0, 1, 300, 4'096},
        "An index entry is made after this many bytes of batches.", "log.index.interval.bytes"),
    number<&T::max_message_bytes>("max.message.bytes", "1048588", 0, {20'000, 100'000, 1'048'588},
        "The largest batch that is accepted, after compression.", "message.max.bytes"),
    choice<&T::message_timestamp_type>("message.timestamp.type", "CreateTime",
        {named("CreateTime", TimestampType::create_time),
         named("LogAppendTime", TimestampType::log_append_time)},
        {0, 1}, "Whose time a record carries: its producer's or its append's.",
        "log.message.timestamp.type"),
    number<&T::message_timestamp_before_max_ms>("message.timestamp.before.max.ms", int64_max_text, 0,
        {86'400'000, never},
        "A producer's timestamp may lie this far behind the broker's clock.",
        "log.message.timestamp.before.max.ms"),
    number<&T::message_timestamp_after_max_ms>("message.timestamp.after.max.ms", "3600000", 0,
        {3'600'000, never}, "A producer's timestamp may lie this far ahead of the broker's clock.",
        "log.message.timestamp.after.max.ms"),
    choice<&T::compression_type>("compression.type", "producer",
        {named("producer", TopicCompression::producer),
         named("uncompressed", TopicCompression::uncompressed),
         named("gzip", TopicCompression::gzip), named("snappy", TopicCompression::snappy),
         named("lz4", TopicCompression::lz4), named("zstd", TopicCompression::zstd)},
        {0, 0, 1, 2, 3, 4, 5}, "How batches are stored; producer keeps them as they were sent.",
        "compression.type"),
    choice<&T::cleanup_policy>("cleanup.policy", "delete",
        {named("delete", CleanupPolicy::delete_old), named("compact", CleanupPolicy::compact),
         named("compact,delete", CleanupPolicy::compact_and_delete),
         named("delete,compact", CleanupPolicy::compact_and_delete)},
        {}, "Whether old segments are deleted, keys compacted, or both.", "log.cleanup.policy"),
    number<&T::retention_ms>("retention.ms", "604800000", -1, {},
        "A segment whose newest record is older than this is deleted; -1: never.",
        "log.retention.ms"),
    number<&T::retention_bytes>("retention.bytes", "-1", -1, {},
        "The oldest segments are deleted while the partition is larger than this; -1: never.",
        "log.retention.bytes"),
    number<&T::segment_ms>("segment.ms", "604800000", 1, {},
        "A segment is closed when a record comes that is so much newer than its first.",
        "log.roll.ms"),
    number<&T::segment_jitter_ms>("segment.jitter.ms", "0", 0, {},
        "Known, and taken for 0: segments are closed at segment.ms exactly.", "log.roll.jitter.ms"),
    number<&T::file_delete_delay_ms>("file.delete.delay.ms", "60000", 0, {},
        "How long the files of a deleted segment or log stay under their other name.", "log.segment.delete.delay.ms"),
    number<&T::delete_retention_ms>("delete.retention.ms", "86400000", 0, {},
        "How long a compacted topic keeps a tombstone once it has been cleaned.",
        "log.cleaner.delete.retention.ms"),
    number<&T::min_compaction_lag_ms>("min.compaction.lag.ms", "0", 0, {},
        "A record is not compacted away before it is this old.", "log.cleaner.min.compaction.lag.ms"),
    number<&T::max_compaction_lag_ms>("max.compaction.lag.ms", int64_max_text, 1, {},
        "A log is cleaned when a record has waited this long, however little of it is dirty.",
        "log.cleaner.max.compaction.lag.ms"),
    ratio<&T::min_cleanable_dirty_ratio>("min.cleanable.dirty.ratio", "0.5",
        "The part of a log that must be uncleaned before it is cleaned.",
        "log.cleaner.min.cleanable.ratio"),

    number<&F::eligible_leader_replicas_version>("eligible.leader.replicas.version", "1", 0, {0, 1},
        "1 keeps the replicas that left a too small ISR electable (KIP-966); 0 does not.", {}, 1),

    text<&C::client_id>("client.id", "", "The name that the client gives itself in requests."),
    text<&C::bootstrap_servers>("bootstrap.servers", "",
        "host:port of nodes to ask first, separated by commas."),
    number<&C::request_timeout_ms>("request.timeout.ms", "30000", 0, {300, 2'000, 30'000},
        "How long a client waits for an answer before it breaks the connection and tries anew."),
    number<&C::retry_backoff_ms>("retry.backoff.ms", "100", 0, {1, 20, 100},
        "How long a client waits before the first retry; it doubles with each."),
    number<&C::retry_backoff_max_ms>("retry.backoff.max.ms", "1000", 0, {20, 200, 1'000},
        "The longest wait before a retry."),
    number<&C::reconnect_backoff_ms>("reconnect.backoff.ms", "50", 0, {1, 10, 50},
        "How long a client waits before it connects to the same node again."),
    number<&C::metadata_max_age_ms>("metadata.max.age.ms", "300000", 0, {500, 5'000, 300'000},
        "Metadata older than this is fetched again though nothing is wrong."),

    choice<&P::acks>("acks", "all", {{"all", -1}, {"-1", -1}, {"0", 0}, {"1", 1}},
        {-1, -1, -1, 0, 1},
        "What a producer waits for: nothing, the leader's append, or the whole ISR."),
    boolean<&P::enable_idempotence>("enable.idempotence", "true", {0, 1, 1},
        "Whether records carry producer id and sequence, so that retries are not appended twice."),
    number<&P::retries>("retries", "2147483647", 0, {0, 1, 5, int32_max},
        "How often a failed request is sent again, within delivery.timeout.ms."),
    number<&P::delivery_timeout_ms>("delivery.timeout.ms", "120000", 0, {3'000, 20'000, 120'000},
        "A record that is not acknowledged within this time has failed."),
    number<&P::linger_ms>("linger.ms", "5", 0, {0, 1, 5, 100},
        "How long a batch that is not full waits for more records."),
    number<&P::batch_size>("batch.size", "16384", 0, {0, 200, 1'000, 16'384},
        "The size at which a batch is sent at once; 0: a record a batch."),
    number<&P::max_in_flight_requests_per_connection>("max.in.flight.requests.per.connection", "5",
        1, {1, 2, 5},
        "How many unanswered requests a connection carries; with idempotence at most 5."),
    choice<&P::compression_type>("compression.type", "none",
        {named("none", Compression::none), named("gzip", Compression::gzip),
         named("snappy", Compression::snappy), named("lz4", Compression::lz4),
         named("zstd", Compression::zstd)},
        {0, 1, 2, 3, 4}, "The codec of the batches that a producer makes."),

    number<&K::fetch_min_bytes>("fetch.min.bytes", "1", 0, {1, 1, 200, 4'096},
        "A fetch is parked until this many bytes are there."),
    number<&K::fetch_max_wait_ms>("fetch.max.wait.ms", "500", 0, {1, 50, 500},
        "The longest that a fetch is parked."),
    number<&K::fetch_max_bytes>("fetch.max.bytes", "52428800", 0, {0, 1'000, 52'428'800},
        "The most asked of one fetch; the first batch comes whole whatever its size."),
    number<&K::max_partition_fetch_bytes>("max.partition.fetch.bytes", "1048576", 0,
        {0, 500, mebibyte},
        "The most asked of one partition; the first batch comes whole whatever its size."),
    choice<&K::isolation_level>("isolation.level", "read_uncommitted",
        {named("read_uncommitted", Isolation::read_uncommitted),
         named("read_committed", Isolation::read_committed)},
        {0, 1}, "Whether undecided and aborted transactions are read."),
    choice<&K::auto_offset_reset>("auto.offset.reset", "latest",
        {named("latest", OffsetReset::latest), named("earliest", OffsetReset::earliest),
         named("none", OffsetReset::none)},
        {1}, "Where a consumer goes when its offset is gone: latest, earliest, or an error."),
    text<&K::group_id>("group.id", "", "The group that a consumer belongs to."),
    text<&K::group_instance_id>("group.instance.id", "",
        "The name of a static member: it keeps its partitions while it is gone for a session."),
    text<&K::partition_assignment_strategy>("partition.assignment.strategy",
        "range,cooperative-sticky",
        "What a member can assign by, in its order of preference: range, roundrobin, "
        "cooperative-sticky, or Kafka's class names of these."),
    number<&K::session_timeout_ms>("session.timeout.ms", "45000", 1, {},
        "A member that is not heard of for this long is out of its group."),
    number<&K::heartbeat_interval_ms>("heartbeat.interval.ms", "3000", 1, {},
        "How often a member tells its coordinator that it lives."),
    number<&K::max_poll_interval_ms>("max.poll.interval.ms", "300000", 1, {},
        "A member that does not poll for this long leaves; so long it may take to join again."),
    boolean<&K::enable_auto_commit>("enable.auto.commit", "true", {},
        "Whether a member commits what it has read by itself."),
    number<&K::auto_commit_interval_ms>("auto.commit.interval.ms", "5000", 0, {},
        "How often it does."),
};
// clang-format on

}  // namespace

std::span<const Row> table() { return rows; }

}  // namespace klamm::config

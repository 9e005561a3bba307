#include "core/transaction/records.h"

#include "core/protocol/messages/transaction_records.h"

namespace klamm::transaction {

namespace {

constexpr std::int16_t transaction_key = 0;  // the first two bytes of a key
constexpr std::int8_t state_max = 7;
constexpr const char* state_names[] = {"Empty",        "Ongoing",          "PrepareCommit",
                                       "PrepareAbort", "CompleteCommit",   "CompleteAbort",
                                       "Dead",         "PrepareEpochFence"};

template <class Message>
Bytes with_version(const Message& message, std::int16_t version) {
    Bytes bytes(2);
    store_big_endian(bytes.data(), version);
    const Bytes body = protocol::encode(message, version).bytes;
    bytes.insert(bytes.end(), body.begin(), body.end());
    return bytes;
}

}  // namespace

const char* to_string(State state) { return state_names[static_cast<std::size_t>(state)]; }

std::optional<State> state_of(std::string_view name) {
    for (std::int8_t i = 0; i <= state_max; ++i)
        if (name == state_names[i]) return static_cast<State>(i);
    return std::nullopt;
}

KeyAndValue encode(const TransactionRecord& record, std::int16_t version) {
    protocol::TransactionLogKey key;
    key.transactional_id = record.id;
    KeyAndValue encoded{with_version(key, transaction_key), std::nullopt};
    if (!record.value) return encoded;
    const Transaction& from = *record.value;
    protocol::TransactionLogValue value;
    value.producer_id = from.producer;
    if (version >= 1) {
        value.previous_producer_id = from.previous_producer;
        value.next_producer_id = from.next_producer;
        value.client_transaction_version = from.client_version;
    }
    value.producer_epoch = from.epoch;
    value.transaction_timeout_ms = from.timeout_ms;
    value.transaction_status = static_cast<std::int8_t>(from.state);
    value.transaction_last_update_timestamp_ms = from.updated_at;
    value.transaction_start_timestamp_ms = from.started_at;
    value.transaction_partitions = std::nullopt;
    if (from.state != State::empty) {
        auto& topics = value.transaction_partitions.emplace();
        for (const auto& [topic, partition] : from.partitions) {
            if (topics.empty() || topics.back().topic != topic)
                topics.push_back({.topic = topic, .partition_ids = {}});
            topics.back().partition_ids.push_back(partition);
        }
    }
    encoded.value = with_version(value, version >= 1 ? std::int16_t{1} : std::int16_t{0});
    return encoded;
}

Result<std::optional<TransactionRecord>> decode(ByteView key_bytes,
                                                std::optional<ByteView> value_bytes) {
    if (key_bytes.size() < 2) return Error{Failure::truncated, "a key without its kind"};
    if (load_big_endian<std::int16_t>(key_bytes.data()) != transaction_key)
        return std::optional<TransactionRecord>();
    const auto key = protocol::decode<protocol::TransactionLogKey>(key_bytes.subspan(2), 0);
    if (!key.ok()) return key.error();
    TransactionRecord record{std::string(key->transactional_id), std::nullopt};
    if (!value_bytes) return std::optional(std::move(record));
    if (value_bytes->size() < 2) return Error{Failure::truncated, "a value without its version"};
    const auto value = protocol::decode<protocol::TransactionLogValue>(
        value_bytes->subspan(2), load_big_endian<std::int16_t>(value_bytes->data()));
    if (!value.ok()) return value.error();
    if (value->transaction_status < 0 || value->transaction_status > state_max)
        return Error{Failure::invalid, "a transaction in a state that nobody knows"};
    Transaction& to = record.value.emplace();
    to.producer = value->producer_id;
    to.previous_producer = value->previous_producer_id;
    to.next_producer = value->next_producer_id;
    to.epoch = value->producer_epoch;
    to.timeout_ms = value->transaction_timeout_ms;
    to.state = static_cast<State>(value->transaction_status);
    to.updated_at = value->transaction_last_update_timestamp_ms;
    to.started_at = value->transaction_start_timestamp_ms;
    to.client_version = value->client_transaction_version;
    if (value->transaction_partitions)
        for (const auto& topic : *value->transaction_partitions)
            for (const PartitionIndex partition : topic.partition_ids)
                to.partitions.emplace(std::string(topic.topic), partition);
    return std::optional(std::move(record));
}

void TransactionLog::apply(const TransactionRecord& record) {
    if (record.value)
        transactions_[record.id] = *record.value;
    else
        transactions_.erase(record.id);
}

const Transaction* TransactionLog::find(const std::string& id) const {
    const auto at = transactions_.find(id);
    return at == transactions_.end() ? nullptr : &at->second;
}

}  // namespace klamm::transaction

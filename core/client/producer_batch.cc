#include "core/client/producer_batch.h"

namespace klamm::client {

namespace {
// Where the fields lie in a batch of magic 2 (core/record/FORMAT.md).
constexpr std::size_t crc_at = 17;
constexpr std::size_t producer_id_at = 43;
constexpr std::size_t producer_epoch_at = 51;
constexpr std::size_t base_sequence_at = 53;
}  // namespace

void ProducerBatch::set_producer(ProducerIdentity identity, std::int32_t base_sequence) {
    KLAMM_ASSERT(bytes.size() >= record::batch_header_bytes);
    producer = identity;
    sequence = base_sequence;
    store_big_endian(bytes.data() + producer_id_at, identity.id.value);
    store_big_endian(bytes.data() + producer_epoch_at, identity.epoch.value);
    store_big_endian(bytes.data() + base_sequence_at, base_sequence);
    store_big_endian(bytes.data() + crc_at,
                     crc32c(ByteView(bytes).subspan(record::batch_crc_from)));
}

bool certainly_not_written(protocol::ErrorCode error) {
    using protocol::ErrorCode;
    switch (error) {
        case ErrorCode::corrupt_message:
        case ErrorCode::message_too_large:
        case ErrorCode::invalid_topic_exception:
        case ErrorCode::record_list_too_large:
        case ErrorCode::not_enough_replicas:
        case ErrorCode::invalid_required_acks:
        case ErrorCode::topic_authorization_failed:
        case ErrorCode::cluster_authorization_failed:
        case ErrorCode::invalid_timestamp:
        case ErrorCode::unsupported_version:
        case ErrorCode::invalid_request:
        case ErrorCode::unsupported_for_message_format:
        case ErrorCode::policy_violation:
        case ErrorCode::out_of_order_sequence_number:
        case ErrorCode::invalid_producer_epoch:
        case ErrorCode::unknown_producer_id:
        case ErrorCode::unsupported_compression_type:
        case ErrorCode::invalid_record: return true;
        default: return false;
    }
}

}  // namespace klamm::client

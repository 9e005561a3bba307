#include "core/record/control.h"

#include "core/record/builder.h"

namespace klamm::record {

namespace {

constexpr std::int16_t control_version = 0;

bool ends_transaction(ControlType type) {
    return type == ControlType::abort || type == ControlType::commit;
}

}  // namespace

std::array<std::uint8_t, control_key_bytes> encode_control_key(ControlType type) {
    KLAMM_ASSERT(type != ControlType::unknown);
    std::array<std::uint8_t, control_key_bytes> key{};
    store_big_endian(key.data(), control_version);
    store_big_endian(key.data() + 2, static_cast<std::int16_t>(type));
    return key;
}

Result<ControlType> decode_control_key(ByteView key) {
    if (key.size() < control_key_bytes)
        return Error{Failure::invalid, "the key of a control record is too short"};
    if (load_big_endian<std::int16_t>(key.data()) < 0)
        return Error{Failure::invalid, "the key of a control record has a negative version"};
    const auto type = load_big_endian<std::int16_t>(key.data() + 2);
    if (type < 0 || type > static_cast<std::int16_t>(ControlType::kraft_voters))
        return ControlType::unknown;
    return static_cast<ControlType>(type);
}

std::array<std::uint8_t, end_transaction_value_bytes> encode_end_transaction(
    const EndTransactionMarker& marker) {
    KLAMM_ASSERT(ends_transaction(marker.type));
    std::array<std::uint8_t, end_transaction_value_bytes> value{};
    store_big_endian(value.data(), control_version);
    store_big_endian(value.data() + 2, marker.coordinator_epoch);
    return value;
}

Result<EndTransactionMarker> decode_end_transaction(ControlType type, ByteView value) {
    if (!ends_transaction(type))
        return Error{Failure::invalid, "this control record does not end a transaction"};
    if (value.size() < end_transaction_value_bytes)
        return Error{Failure::invalid, "the end of a transaction is too short"};
    if (load_big_endian<std::int16_t>(value.data()) < 0)
        return Error{Failure::invalid, "the end of a transaction has a negative version"};
    return EndTransactionMarker{type, load_big_endian<std::int32_t>(value.data() + 2)};
}

Bytes end_transaction_batch(Offset offset, LeaderEpoch leader_epoch, Timestamp timestamp,
                            ProducerId producer_id, ProducerEpoch producer_epoch,
                            const EndTransactionMarker& marker) {
    BatchOptions options;
    options.base_offset = offset;
    options.leader_epoch = leader_epoch;
    options.producer_id = producer_id;
    options.producer_epoch = producer_epoch;
    options.transactional = true;
    options.control = true;
    BatchBuilder builder(options);
    const auto key = encode_control_key(marker.type);
    const auto value = encode_end_transaction(marker);
    builder.append(timestamp, key, value);
    return builder.build();
}

Bytes control_batch(Offset offset, LeaderEpoch leader_epoch, Timestamp timestamp, ControlType type,
                    ByteView value) {
    BatchOptions options;
    options.base_offset = offset;
    options.leader_epoch = leader_epoch;
    options.control = true;
    BatchBuilder builder(options);
    const auto key = encode_control_key(type);
    builder.append(timestamp, key, value);
    return builder.build();
}

}  // namespace klamm::record

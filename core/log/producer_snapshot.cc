// The file `<offset>.snapshot`, version 1, as Kafka 4.1 writes it:
//
//     version      int16   1
//     crc          uint32  CRC-32C of everything after it
//     entries      int32   how many follow
//     each entry   producer id int64, epoch int16, last sequence int32, last offset int64,
//                  offset delta int32, timestamp int64, coordinator epoch int32,
//                  first offset of the open transaction int64 (-1: none)

#include "core/base/checksum.h"
#include "core/log/producer_state.h"

namespace klamm::log {

namespace {

constexpr std::size_t crc_at = 2;
constexpr std::size_t entries_at = 6;
constexpr std::size_t snapshot_entry_bytes = 46;
constexpr std::int16_t snapshot_version = 1;

template <class T>
void put(Bytes& out, T value) {
    const std::size_t at = out.size();
    out.resize(at + sizeof value);
    store_big_endian(out.data() + at, value);
}

template <class T>
T take(ByteView& in) {
    const T value = load_big_endian<T>(in.data());
    in = in.subspan(sizeof value);
    return value;
}

}  // namespace

Bytes ProducerStateTable::to_snapshot() const {
    Bytes out;
    out.reserve(entries_at + 4 + entries_.size() * snapshot_entry_bytes);
    put(out, snapshot_version);
    put(out, std::uint32_t{0});
    put(out, static_cast<std::int32_t>(entries_.size()));
    for (const auto& [id, entry] : entries_) {
        const ProducerBatch last =
            entry.batch_count == 0 ? ProducerBatch{} : entry.batches[entry.batch_count - 1U];
        put(out, id.value);
        put(out, entry.epoch.value);
        put(out, last.last_sequence);
        put(out, last.last_offset.value);
        put(out, last.offset_delta);
        put(out, entry.last_timestamp.value);
        put(out, entry.coordinator_epoch);
        put(out, entry.transaction_start.value);
    }
    store_big_endian(out.data() + crc_at, crc32c(ByteView(out).subspan(entries_at)));
    return out;
}

Result<ProducerStateTable> ProducerStateTable::from_snapshot(ByteView bytes, Offset end) {
    if (bytes.size() < entries_at + 4) return Failure::truncated;
    if (load_big_endian<std::int16_t>(bytes.data()) != snapshot_version)
        return Failure::unsupported;
    ByteView rest = bytes.subspan(entries_at);
    if (crc32c(rest) != load_big_endian<std::uint32_t>(bytes.data() + crc_at)) {
        return Error{Failure::corrupt, "the producer snapshot's checksum does not hold"};
    }
    const auto count = take<std::int32_t>(rest);
    if (count < 0 || rest.size() != static_cast<std::size_t>(count) * snapshot_entry_bytes) {
        return Failure::invalid;
    }
    ProducerStateTable table;
    table.end_ = end;
    for (std::int32_t i = 0; i < count; ++i) {
        const ProducerId id(take<std::int64_t>(rest));
        ProducerEntry entry;
        ProducerBatch last;
        entry.epoch = ProducerEpoch(take<std::int16_t>(rest));
        last.last_sequence = take<std::int32_t>(rest);
        last.last_offset = Offset(take<std::int64_t>(rest));
        last.offset_delta = take<std::int32_t>(rest);
        last.timestamp = Timestamp(take<std::int64_t>(rest));
        entry.last_timestamp = last.timestamp;
        entry.coordinator_epoch = take<std::int32_t>(rest);
        entry.transaction_start = Offset(take<std::int64_t>(rest));
        if (entry.transaction_start.value < 0) entry.transaction_start = no_offset;
        if (last.last_offset.value >= 0) {
            if (last.last_offset >= end || last.offset_delta < 0) return Failure::invalid;
            entry.batches[entry.batch_count++] = last;
        }
        if (!table.entries_.emplace(id, entry).second) return Failure::invalid;
        if (entry.coordinator_epoch >= 0) table.decided_from_ = end;
        if (entry.transaction_start != no_offset) table.open_.emplace(entry.transaction_start, id);
    }
    return table;
}

}  // namespace klamm::log

#pragma once
// One record batch of magic 2, as it lies on the wire and on the disk: a view of its header, and
// the few header fields that a broker rewrites. FORMAT.md draws the bytes.
//
// The base offset, the length and the partition leader epoch lie outside the CRC, so an append
// rewrites them in a copy of the header and leaves the rest of the batch where it is. Nothing here
// checks what the header says: validate.h does that for clients, peek_batch for the disk.

#include <cstdint>

#include "core/base/bytes.h"
#include "core/base/checksum.h"
#include "core/base/ids.h"

namespace klamm::record {

/// Of timestamps, which clients choose: as Java has it, no overflow is undefined.
constexpr std::int64_t wrapping_difference(std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}

/// From the base offset to the first record.
constexpr std::size_t batch_header_bytes = 61;
/// Base offset and length: what the length field does not count.
constexpr std::size_t log_overhead_bytes = 12;
/// Base offset, length, leader epoch and magic: enough to tell what follows.
constexpr std::size_t batch_prefix_bytes = 17;
/// Everything from the attributes on is covered by the CRC.
constexpr std::size_t batch_crc_from = 21;
constexpr std::int8_t batch_magic = 2;
constexpr std::int32_t no_sequence = -1;

/// The lowest three bits of the attributes; 5 to 7 name nothing.
enum class Compression : std::uint8_t { none, gzip, snappy, lz4, zstd };
constexpr std::uint8_t compression_count = 5;

namespace attribute {
constexpr std::int16_t compression_mask = 0x07;
constexpr std::int16_t log_append_time = 0x08;
constexpr std::int16_t transactional = 0x10;
constexpr std::int16_t control = 0x20;
constexpr std::int16_t delete_horizon = 0x40;
constexpr std::int16_t known = 0x7f;
}  // namespace attribute

/// Sequence numbers wrap from 2^31-1 to 0. `increment` is not negative.
constexpr std::int32_t increment_sequence(std::int32_t sequence, std::int32_t increment) {
    return static_cast<std::int32_t>(
        (static_cast<std::uint32_t>(sequence) + static_cast<std::uint32_t>(increment)) &
        0x7fffffffU);
}

/// `offset` + `distance` for numbers that a peer or a disk may have made up: it wraps.
constexpr Offset wrapping_offset(Offset offset, std::int64_t distance) {
    return Offset(static_cast<std::int64_t>(static_cast<std::uint64_t>(offset.value) +
                                            static_cast<std::uint64_t>(distance)));
}

/// A batch of magic 2. Construction needs the whole header (61 bytes); records() and crc_holds()
/// need the whole batch. Owns nothing.
class BatchView {
  public:
    explicit BatchView(ByteView bytes) : bytes_(bytes) {
        KLAMM_ASSERT(bytes.size() >= batch_header_bytes);
    }

    [[nodiscard]] Offset base_offset() const { return Offset(at<std::int64_t>(0)); }
    [[nodiscard]] std::int32_t length() const { return at<std::int32_t>(8); }
    /// Of the whole batch, by its length field.
    [[nodiscard]] std::size_t size_bytes() const {
        return log_overhead_bytes + static_cast<std::size_t>(length());
    }
    [[nodiscard]] LeaderEpoch leader_epoch() const { return LeaderEpoch(at<std::int32_t>(12)); }
    [[nodiscard]] std::int8_t magic() const { return at<std::int8_t>(16); }
    [[nodiscard]] std::uint32_t crc() const { return at<std::uint32_t>(17); }
    [[nodiscard]] std::int16_t attributes() const { return at<std::int16_t>(21); }
    [[nodiscard]] std::uint8_t compression_id() const {
        return static_cast<std::uint8_t>(attributes() & attribute::compression_mask);
    }
    /// Meaningful only when compression_id() < compression_count.
    [[nodiscard]] Compression compression() const {
        return static_cast<Compression>(compression_id());
    }
    [[nodiscard]] bool is_log_append_time() const { return has(attribute::log_append_time); }
    [[nodiscard]] bool is_transactional() const { return has(attribute::transactional); }
    [[nodiscard]] bool is_control() const { return has(attribute::control); }
    /// The base timestamp is then the time from which the cleaner may drop tombstones (KIP-534).
    [[nodiscard]] bool has_delete_horizon() const { return has(attribute::delete_horizon); }
    [[nodiscard]] std::int32_t last_offset_delta() const { return at<std::int32_t>(23); }
    [[nodiscard]] Offset last_offset() const {
        return wrapping_offset(base_offset(), last_offset_delta());
    }
    [[nodiscard]] Offset next_offset() const { return wrapping_offset(last_offset(), 1); }
    [[nodiscard]] Timestamp base_timestamp() const { return Timestamp(at<std::int64_t>(27)); }
    [[nodiscard]] Timestamp max_timestamp() const { return Timestamp(at<std::int64_t>(35)); }
    [[nodiscard]] ProducerId producer_id() const { return ProducerId(at<std::int64_t>(43)); }
    [[nodiscard]] ProducerEpoch producer_epoch() const {
        return ProducerEpoch(at<std::int16_t>(51));
    }
    [[nodiscard]] bool has_producer_id() const { return producer_id() > no_producer_id; }
    [[nodiscard]] std::int32_t base_sequence() const { return at<std::int32_t>(53); }
    /// no_sequence when there is no base sequence; wraps after 2^31-1.
    [[nodiscard]] std::int32_t last_sequence() const {
        if (base_sequence() == no_sequence) return no_sequence;
        return increment_sequence(base_sequence(), last_offset_delta());
    }
    /// May differ from last_offset_delta() + 1 after compaction, or be anything before validation.
    [[nodiscard]] std::int32_t record_count() const { return at<std::int32_t>(57); }

    /// Everything after the header, compressed as compression() says.
    [[nodiscard]] ByteView records() const { return bytes().subspan(batch_header_bytes); }
    /// The whole batch and nothing behind it.
    [[nodiscard]] ByteView bytes() const {
        KLAMM_ASSERT(size_bytes() >= batch_header_bytes);
        KLAMM_ASSERT(size_bytes() <= bytes_.size());
        return bytes_.first(size_bytes());
    }
    [[nodiscard]] std::uint32_t computed_crc() const {
        return crc32c(bytes().subspan(batch_crc_from));
    }
    [[nodiscard]] bool crc_holds() const { return computed_crc() == crc(); }

  private:
    template <class T>
    [[nodiscard]] T at(std::size_t position) const {
        return load_big_endian<T>(bytes_.data() + position);
    }
    [[nodiscard]] bool has(std::int16_t bit) const { return (attributes() & bit) != 0; }

    ByteView bytes_;
};

enum class Peek : std::uint8_t {
    ok,          // a whole batch of `size` bytes stands at the front
    incomplete,  // at least `size` bytes in all are needed to say more
    bad,         // no batch of magic 2 can start here
};

/// Looks at the front of `bytes` for a whole batch; only its length (at least the rest of the
/// header) and its magic are checked, not the CRC. After `ok` a BatchView may be made of the first
/// `size` bytes.
inline Peek peek_batch(ByteView bytes, std::size_t& size) {
    size = batch_prefix_bytes;
    if (bytes.size() < log_overhead_bytes) return Peek::incomplete;
    const auto length = load_big_endian<std::int32_t>(bytes.data() + 8);
    if (length < static_cast<std::int32_t>(batch_header_bytes - log_overhead_bytes))
        return Peek::bad;
    if (bytes.size() < batch_prefix_bytes) return Peek::incomplete;
    if (static_cast<std::int8_t>(bytes[16]) != batch_magic) return Peek::bad;
    size = log_overhead_bytes + static_cast<std::size_t>(length);
    return bytes.size() < size ? Peek::incomplete : Peek::ok;
}

/// Takes the first whole batch off `rest` and puts its bytes into `batch`; at anything but `ok`
/// both are left as they are.
inline Peek next_batch(ByteView& rest, ByteView& batch) {
    std::size_t size = 0;
    const Peek peek = peek_batch(rest, size);
    if (peek != Peek::ok) return peek;
    batch = rest.first(size);
    rest = rest.subspan(size);
    return Peek::ok;
}

/// Rewrites what lies outside the CRC, for an append. `header` is at least the first 16 bytes of
/// a batch: the batch itself, or a copy of its header that is written before the rest of it.
inline void write_base_offset_and_epoch(MutableByteView header, Offset base_offset,
                                        LeaderEpoch leader_epoch) {
    KLAMM_ASSERT(header.size() >= 16);
    store_big_endian(header.data(), base_offset.value);
    store_big_endian(header.data() + 12, leader_epoch.value);
}

/// Rewrites the timestamp type and the greatest timestamp in `header`, a copy of the header of a
/// batch whose records are `records`, and its CRC with them; attributes that mean nothing are
/// cleared then, as in Kafka. Nothing changes, not even the CRC, when the header says so already.
/// With log append time, every record of the batch has `max_timestamp` as its time.
void write_max_timestamp(MutableByteView header, ByteView records, bool log_append_time,
                         Timestamp max_timestamp);

}  // namespace klamm::record

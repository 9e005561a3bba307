#include "core/record/builder.h"

#include <algorithm>

#include "core/base/varint.h"

namespace klamm::record {

namespace {

std::size_t varint_size(std::int32_t n) { return unsigned_varint_size(zigzag_encode32(n)); }
std::size_t varint_size(std::int64_t n) { return unsigned_varint_size(zigzag_encode64(n)); }

std::size_t nullable_size(std::optional<ByteView> bytes) {
    if (!bytes) return 1;
    return varint_size(static_cast<std::int32_t>(bytes->size())) + bytes->size();
}

std::size_t headers_size(std::span<const Header> headers) {
    std::size_t size = varint_size(static_cast<std::int32_t>(headers.size()));
    for (const Header& header : headers)
        size += nullable_size(header.key) + nullable_size(header.value);
    return size;
}

/// Writes where the caller has made room for exactly what is written.
struct Writer {
    std::uint8_t* at;

    void byte(std::uint8_t value) { *at++ = value; }
    void varint(std::int32_t n) { at += store_unsigned_varint(at, zigzag_encode32(n)); }
    void varint(std::int64_t n) { at += store_unsigned_varint(at, zigzag_encode64(n)); }
    void raw(ByteView bytes) { at = std::copy(bytes.begin(), bytes.end(), at); }
    void nullable(std::optional<ByteView> bytes) {
        if (!bytes) return varint(std::int32_t{-1});
        varint(static_cast<std::int32_t>(bytes->size()));
        raw(*bytes);
    }
    void header(const Header& header) {
        nullable(header.key);
        nullable(header.value);
    }
};

/// Length, attributes, timestamp delta and offset delta at their longest.
constexpr std::size_t record_overhead_bytes_max =
    varint_bytes_max + 1 + varlong_bytes_max + varint_bytes_max;

}  // namespace

BatchBuilder::BatchBuilder(BatchOptions options)
    : options_(options), bytes_(batch_header_bytes), last_offset_(options.base_offset - 1) {}

std::size_t BatchBuilder::record_bytes_max(std::optional<ByteView> key,
                                           std::optional<ByteView> value,
                                           std::span<const Header> headers) {
    return record_overhead_bytes_max + nullable_size(key) + nullable_size(value) +
           headers_size(headers);
}

void BatchBuilder::append(Timestamp timestamp, std::optional<ByteView> key,
                          std::optional<ByteView> value, std::span<const Header> headers) {
    append_at(last_offset_ + 1, timestamp, key, value, headers);
}

void BatchBuilder::append_at(Offset offset, Timestamp timestamp, std::optional<ByteView> key,
                             std::optional<ByteView> value, std::span<const Header> headers) {
    append_record(offset, timestamp, key, value, headers_size(headers), [&](Writer& writer) {
        writer.varint(static_cast<std::int32_t>(headers.size()));
        for (const Header& header : headers) writer.header(header);
    });
}

void BatchBuilder::append_at(Offset offset, Timestamp timestamp, const Record& record) {
    std::size_t size = varint_size(record.headers.count());
    Header header;
    for (HeadersView headers = record.headers; headers.next(header);)
        size += nullable_size(header.key) + nullable_size(header.value);
    append_record(offset, timestamp, record.key, record.value, size, [&](Writer& writer) {
        writer.varint(record.headers.count());
        Header each;
        for (HeadersView headers = record.headers; headers.next(each);) writer.header(each);
    });
}

template <class WriteHeaders>
void BatchBuilder::append_record(Offset offset, Timestamp timestamp, std::optional<ByteView> key,
                                 std::optional<ByteView> value, std::size_t headers_bytes,
                                 WriteHeaders&& write_headers) {
    KLAMM_ASSERT(bytes_.size() >= batch_header_bytes);  // not spent
    KLAMM_ASSERT(offset > last_offset_);
    const std::int64_t distance = offset - options_.base_offset;
    KLAMM_ASSERT(distance <= INT32_MAX);
    const auto offset_delta = static_cast<std::int32_t>(distance);
    if (record_count_ == 0) base_timestamp_ = options_.delete_horizon.value_or(timestamp);
    const std::int64_t timestamp_delta =
        wrapping_difference(timestamp.value, base_timestamp_.value);
    const std::size_t body = 1 + varint_size(timestamp_delta) + varint_size(offset_delta) +
                             nullable_size(key) + nullable_size(value) + headers_bytes;
    const auto length = static_cast<std::int32_t>(body);

    const std::size_t from = bytes_.size();
    bytes_.resize(from + varint_size(length) + body);
    Writer writer{bytes_.data() + from};
    writer.varint(length);
    writer.byte(0);
    writer.varint(timestamp_delta);
    writer.varint(offset_delta);
    writer.nullable(key);
    writer.nullable(value);
    write_headers(writer);
    KLAMM_ASSERT(writer.at == bytes_.data() + bytes_.size());

    ++record_count_;
    last_offset_ = offset;
    max_timestamp_ = std::max(max_timestamp_, timestamp);
}

void BatchBuilder::set_producer(ProducerId id, ProducerEpoch epoch, std::int32_t base_sequence,
                                bool transactional) {
    options_.producer_id = id;
    options_.producer_epoch = epoch;
    options_.base_sequence = base_sequence;
    options_.transactional = transactional;
}

void BatchBuilder::set_last_offset(Offset offset) {
    KLAMM_ASSERT(offset >= last_offset_);
    last_offset_ = offset;
}

void BatchBuilder::write_header(std::size_t size) {
    const int attributes = static_cast<int>(options_.compression) |
                           (options_.log_append_time ? attribute::log_append_time : 0) |
                           (options_.transactional ? attribute::transactional : 0) |
                           (options_.control ? attribute::control : 0) |
                           (options_.delete_horizon ? attribute::delete_horizon : 0);
    const Timestamp max_timestamp = options_.log_append_time.value_or(max_timestamp_);
    std::uint8_t* to = bytes_.data();
    store_big_endian(to, options_.base_offset.value);
    store_big_endian(to + 8, static_cast<std::int32_t>(size - log_overhead_bytes));
    store_big_endian(to + 12, options_.leader_epoch.value);
    to[16] = static_cast<std::uint8_t>(batch_magic);
    store_big_endian(to + 21, static_cast<std::int16_t>(attributes));
    store_big_endian(to + 23, static_cast<std::int32_t>(last_offset_ - options_.base_offset));
    store_big_endian(to + 27, base_timestamp_.value);
    store_big_endian(to + 35, max_timestamp.value);
    store_big_endian(to + 43, options_.producer_id.value);
    store_big_endian(to + 51, options_.producer_epoch.value);
    store_big_endian(to + 53, options_.base_sequence);
    store_big_endian(to + 57, record_count_);
    store_big_endian(to + 17, crc32c(ByteView(bytes_).subspan(batch_crc_from)));
}

Bytes BatchBuilder::build() {
    KLAMM_ASSERT(record_count_ > 0);
    if (options_.compression != Compression::none) {
        const auto packed = compress(options_.compression,
                                     ByteView(bytes_).subspan(batch_header_bytes), options_.level);
        KLAMM_ASSERT(packed.ok());
        bytes_.resize(batch_header_bytes);
        bytes_.insert(bytes_.end(), packed->begin(), packed->end());
    }
    KLAMM_ASSERT(bytes_.size() <= INT32_MAX);
    write_header(bytes_.size());
    record_count_ = 0;
    return std::move(bytes_);
}

Bytes empty_batch(const BatchView& batch) {
    constexpr int kept = attribute::log_append_time | attribute::transactional | attribute::control;
    const ByteView header = batch.bytes().first(batch_header_bytes);
    Bytes bytes(header.begin(), header.end());
    std::uint8_t* to = bytes.data();
    store_big_endian(to + 8, static_cast<std::int32_t>(batch_header_bytes - log_overhead_bytes));
    store_big_endian(to + 21, static_cast<std::int16_t>(batch.attributes() & kept));
    store_big_endian(to + 27, no_timestamp.value);
    store_big_endian(to + 57, std::int32_t{0});
    store_big_endian(to + 17, crc32c(ByteView(bytes).subspan(batch_crc_from)));
    return bytes;
}

}  // namespace klamm::record

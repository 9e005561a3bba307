#include "core/record/record.h"

#include "core/base/varint.h"

namespace klamm::record {

namespace {

/// Reads from the front of `rest`; once something does not fit, `good` stays false.
struct Reader {
    ByteView rest;
    bool good = true;

    std::uint64_t varint(int bits) {
        if (!rest.empty() && rest[0] < 0x80) [[likely]] {
            const std::uint64_t value = rest[0];
            rest = rest.subspan(1);
            return value;
        }
        std::uint64_t value = 0;
        const std::size_t size = load_unsigned_varint(rest, bits, value);
        if (size == 0) good = false;
        rest = rest.subspan(size);
        return good ? value : 0;
    }
    std::int32_t varint32() { return zigzag_decode32(static_cast<std::uint32_t>(varint(32))); }
    std::int64_t varint64() { return zigzag_decode64(varint(64)); }

    ByteView take(std::size_t size) {
        if (size > rest.size()) {
            good = false;
            return {};
        }
        const ByteView taken = rest.first(size);
        rest = rest.subspan(size);
        return taken;
    }
    /// A length and as many bytes; a negative length stands for null.
    std::optional<ByteView> nullable_bytes() {
        const std::int32_t size = varint32();
        if (!good || size < 0) return std::nullopt;
        return take(static_cast<std::size_t>(size));
    }
};

bool read_header(Reader& reader, Header& out) {
    const auto key = reader.nullable_bytes();
    if (!key) return false;
    out.key = *key;
    out.value = reader.nullable_bytes();
    return reader.good;
}

/// Parses the body of a record, which must end where its last field does.
bool read_body(Reader reader, Record& out) {
    const ByteView attributes = reader.take(1);
    if (!reader.good) return false;
    out.attributes = static_cast<std::int8_t>(attributes[0]);
    out.timestamp_delta = reader.varint64();
    out.offset_delta = reader.varint32();
    out.key = reader.nullable_bytes();
    out.value = reader.nullable_bytes();
    const std::int32_t header_count = reader.varint32();
    if (!reader.good || header_count < 0) return false;
    out.headers = HeadersView(reader.rest, header_count);
    // A header takes two bytes at least, so a count beyond the rest ends this loop early.
    Header header;
    for (std::int32_t i = 0; i < header_count; ++i)
        if (!read_header(reader, header)) return false;
    return reader.rest.empty();
}

}  // namespace

bool HeadersView::next(Header& out) {
    if (left_ <= 0) return false;
    Reader reader{rest_};
    const bool good = read_header(reader, out);
    KLAMM_ASSERT(good);
    rest_ = reader.rest;
    --left_;
    return true;
}

bool RecordIterator::next(Record& out) {
    if (rest_.empty() || failed_) return false;
    Reader reader{rest_};
    const std::int32_t size = reader.varint32();
    if (reader.good && size >= 0) {
        const ByteView body = reader.take(static_cast<std::size_t>(size));
        if (reader.good && read_body(Reader{body}, out)) {
            rest_ = reader.rest;
            return true;
        }
    }
    failed_ = true;
    return false;
}

}  // namespace klamm::record

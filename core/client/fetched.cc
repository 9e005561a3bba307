#include "core/client/fetched.h"

#include "core/record/batch.h"
#include "core/record/compression.h"
#include "core/record/record.h"

namespace klamm::client {

namespace {

constexpr std::size_t decompressed_bytes_max = 256 * 1024 * 1024;

bool read_batch(const Buffer& frame, ByteView bytes, record::Decompressor& decompressor,
                FetchedRecords& out) {
    const record::BatchView batch(bytes);
    if (!batch.crc_holds()) return false;
    if (!batch.is_control()) {
        auto plain = record::plain_records(batch, decompressed_bytes_max, &decompressor);
        if (!plain.ok()) return false;
        const bool in_frame = plain->owned.empty();
        const ByteView records = plain->records;
        const Buffer owner = in_frame ? frame : Buffer::from(std::move(plain->owned));
        const ByteView view = in_frame ? records : owner.view();
        const bool whole = record::for_each_record(view, [&](const record::Record& one) {
            const Offset offset = record::record_offset(batch, one);
            if (offset < out.next) return;
            ConsumedRecord record{offset, record::record_timestamp(batch, one), false, {}, {}};
            record.has_key = one.key.has_value();
            if (one.key.has_value()) record.key = owner.slice_of(*one.key);
            if (one.value.has_value()) record.value = owner.slice_of(*one.value);
            out.records.push_back(std::move(record));
        });
        if (!whole) return false;
    }
    out.next = std::max(out.next, batch.next_offset());
    out.epoch = batch.leader_epoch();
    return true;
}

}  // namespace

FetchedRecords read_fetched(const Buffer& frame, ByteView bytes, Offset position,
                            record::Decompressor& decompressor) {
    FetchedRecords out;
    out.next = position;
    ByteView rest = bytes;
    ByteView batch;
    record::Peek peek = record::next_batch(rest, batch);
    for (; peek == record::Peek::ok; peek = record::next_batch(rest, batch)) {
        if (read_batch(frame, batch, decompressor, out)) continue;
        out.corrupt = true;
        return out;
    }
    out.corrupt = peek == record::Peek::bad;
    return out;
}

}  // namespace klamm::client

// Any bytes as a produced batch. The first byte chooses what is put right before (length, magic,
// CRC), so that mutations reach the records; what validation accepts must then hold together.
#include <algorithm>

#include "core/record/compression.h"
#include "core/record/control.h"
#include "core/record/record.h"
#include "core/record/validate.h"

using namespace klamm;
using namespace klamm::record;

namespace {

/// Walks everything that the bytes claim to hold, and returns how many records that was.
std::int32_t walk(const BatchView& batch) {
    const auto plain = plain_records(batch, 1 << 20);
    if (!plain.ok()) return -1;
    std::int32_t count = 0;
    std::size_t bytes = 0;
    for_each_record(plain->records, [&](const Record& record) {
        ++count;
        if (record.key) bytes += record.key->size();
        if (record.value) bytes += record.value->size();
        if (record.key) {
            const auto type = decode_control_key(*record.key);
            if (type.ok() && record.value) (void)decode_end_transaction(*type, *record.value).ok();
        }
        Header header;
        for (HeadersView headers = record.headers; headers.next(header);)
            bytes += header.key.size();
    });
    KLAMM_ASSERT(bytes <= plain->records.size());
    return count;
}

void check_accepted(ByteView produced, const Validation& outcome) {
    const BatchView batch(produced.first(outcome.batch_bytes));
    KLAMM_ASSERT(batch.crc_holds());
    KLAMM_ASSERT(outcome.record_count == batch.record_count());
    KLAMM_ASSERT(walk(batch) == outcome.record_count);
    RebuildOptions options;
    options.records_bytes_max = 1 << 20;
    const auto rebuilt = rebuild(batch, options);
    if (rebuilt.ok()) KLAMM_ASSERT(BatchView(*rebuilt).record_count() == outcome.record_count);
    if (outcome.must_rebuild) return;
    const BatchHeader header = append_header(batch, outcome, Offset(17), LeaderEpoch(4));
    Bytes appended(batch.bytes().begin(), batch.bytes().end());
    std::copy(header.begin(), header.end(), appended.begin());
    KLAMM_ASSERT(BatchView(appended).crc_holds());
    KLAMM_ASSERT(BatchView(appended).base_offset() == Offset(17));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::uint8_t choice = data[0];
    Bytes bytes(data + 1, data + size);
    if (bytes.size() >= batch_header_bytes && (choice & 1) != 0) {
        store_big_endian(bytes.data() + 8,
                         static_cast<std::int32_t>(bytes.size() - log_overhead_bytes));
        bytes[16] = batch_magic;
        if ((choice & 2) != 0) store_big_endian(bytes.data(), std::int64_t{0});
        store_big_endian(bytes.data() + 17, crc32c(ByteView(bytes).subspan(batch_crc_from)));
    }
    ValidateOptions options;
    options.now = Timestamp(1'700'000'000'000);
    options.origin = (choice & 4) != 0 ? Origin::internal : Origin::client;
    options.compacted = (choice & 8) != 0;
    options.log_append_time = (choice & 16) != 0;
    options.records_bytes_max = 1 << 20;
    if ((choice & 32) != 0) options.compression = Compression::none;
    const Validation outcome = validate(bytes, options);
    if (outcome.ok()) check_accepted(bytes, outcome);

    ByteView rest = bytes;
    ByteView one;
    while (next_batch(rest, one) == Peek::ok) {
        const BatchView batch(one);
        (void)batch.next_offset();
        (void)batch.last_sequence();
        (void)walk(batch);
    }
    return 0;
}

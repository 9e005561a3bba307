#include "core/record/batch.h"

namespace klamm::record {

void write_max_timestamp(MutableByteView header, ByteView records, bool log_append_time,
                         Timestamp max_timestamp) {
    KLAMM_ASSERT(header.size() >= batch_header_bytes);
    const BatchView before(header);
    if (before.is_log_append_time() == log_append_time && before.max_timestamp() == max_timestamp)
        return;
    // Kafka makes the attributes anew from the ones it knows.
    const int attributes = (before.attributes() & attribute::known & ~attribute::log_append_time) |
                           (log_append_time ? attribute::log_append_time : 0);
    store_big_endian(header.data() + 21, static_cast<std::int16_t>(attributes));
    store_big_endian(header.data() + 35, max_timestamp.value);
    const ByteView covered = header.subspan(batch_crc_from, batch_header_bytes - batch_crc_from);
    store_big_endian(header.data() + 17, crc32c(records, crc32c(covered)));
}

}  // namespace klamm::record

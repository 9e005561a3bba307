#pragma once
// The batches that Kafka made (tests/golden/record), and the records that MakeBatches.java puts
// into them, told a second time.

#include <array>
#include <fstream>
#include <string>

#include "core/record/builder.h"

namespace golden {

using namespace klamm;

constexpr std::int64_t time_ms = 1'700'000'000'000;

inline int nibble(char digit) { return digit <= '9' ? digit - '0' : digit - 'a' + 10; }

/// The bytes of tests/golden/record/NAME.hex; empty when there is no such file.
inline Bytes read(const std::string& name) {
    std::ifstream file(std::string(KLAMM_SOURCE_DIR "/tests/golden/record/") + name + ".hex");
    Bytes bytes;
    for (char high = 0, low = 0; file >> high >> low;)
        bytes.push_back(static_cast<std::uint8_t>(nibble(high) * 16 + nibble(low)));
    return bytes;
}

inline void append_mixed(record::BatchBuilder& builder) {
    const auto at = [](std::int64_t distance) { return Timestamp(time_ms + distance); };
    builder.append(at(0), as_bytes("key"), as_bytes("value"));
    builder.append(at(5), std::nullopt, as_bytes("no key"));
    builder.append(at(-300), as_bytes("tombstone"), std::nullopt);
    builder.append(at(70'000), std::nullopt, std::nullopt);
    const std::array<record::Header, 4> headers = {{{as_bytes("trace"), as_bytes("abc")},
                                                    {as_bytes("none"), std::nullopt},
                                                    {as_bytes(""), as_bytes("")},
                                                    {as_bytes("trace"), as_bytes("again")}}};
    builder.append(at(1), as_bytes(""), as_bytes(""), headers);
}

inline void append_large(record::BatchBuilder& builder) {
    for (int i = 0; i < 80; ++i) {
        std::string value(1000, ' ');
        for (int j = 0; j < 1000; ++j)
            value[static_cast<std::size_t>(j)] = static_cast<char>('a' + (i + j / 100) % 26);
        const std::string key = "key-" + std::to_string(i);
        builder.append(Timestamp(time_ms + i), as_bytes(key), as_bytes(value));
    }
}

/// A batch of the mixed records.
inline Bytes mixed(const record::BatchOptions& options = {}) {
    record::BatchBuilder builder(options);
    append_mixed(builder);
    return builder.build();
}

/// Makes the CRC hold again after a change to `batch`.
inline void repair_crc(Bytes& batch) {
    store_big_endian(batch.data() + 17, crc32c(ByteView(batch).subspan(record::batch_crc_from)));
}

/// Every record of a batch as a line of text.
inline std::string text_of(ByteView records) {
    const auto text = [](std::optional<ByteView> bytes) {
        return bytes ? "'" + std::string(as_text(*bytes)) + "'" : std::string("null");
    };
    std::string lines;
    const bool whole = record::for_each_record(records, [&](const record::Record& each) {
        lines += std::to_string(each.offset_delta) + " " + std::to_string(each.timestamp_delta) +
                 " " + text(each.key) + " " + text(each.value);
        record::Header header;
        for (record::HeadersView headers = each.headers; headers.next(header);)
            lines += " " + std::string(as_text(header.key)) + "=" + text(header.value);
        lines += "\n";
    });
    return whole ? lines : lines + "broken";
}

}  // namespace golden

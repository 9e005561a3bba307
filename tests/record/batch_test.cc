// Batches as bytes: finding them, damaging them, rewriting their headers.
#include <rapidcheck/catch.h>
#include <catch2/catch.hpp>

#include "core/record/validate.h"
#include "tests/record/golden.h"

using namespace klamm;
using namespace klamm::record;

TEST_CASE("peek: every prefix of a batch is incomplete and says what it needs") {
    const Bytes batch = golden::mixed();
    for (std::size_t size = 0; size < batch.size(); ++size) {
        std::size_t needed = 0;
        REQUIRE(peek_batch(ByteView(batch).first(size), needed) == Peek::incomplete);
        REQUIRE(needed > size);
        REQUIRE(needed == (size < batch_prefix_bytes ? batch_prefix_bytes : batch.size()));
    }
    std::size_t size = 0;
    CHECK(peek_batch(batch, size) == Peek::ok);
    CHECK(size == batch.size());
}

TEST_CASE("peek: a length below the header and another magic are bad") {
    Bytes batch = golden::mixed();
    std::size_t size = 0;
    store_big_endian(batch.data() + 8, std::int32_t{48});
    CHECK(peek_batch(batch, size) == Peek::bad);
    CHECK(peek_batch(ByteView(batch).first(12), size) == Peek::bad);
    store_big_endian(batch.data() + 8, std::int32_t{-1});
    CHECK(peek_batch(batch, size) == Peek::bad);
    store_big_endian(batch.data() + 8, std::int32_t{49});
    CHECK(peek_batch(batch, size) == Peek::ok);
    for (const int magic : {0, 1, 3, 255}) {
        batch[16] = static_cast<std::uint8_t>(magic);
        CHECK(peek_batch(batch, size) == Peek::bad);
    }
}

TEST_CASE("next_batch: takes batches one by one and stops before what is not whole") {
    const Bytes first = golden::mixed();
    const Bytes second = golden::read("large-lz4");
    Bytes log = first;
    log.insert(log.end(), second.begin(), second.end());
    log.insert(log.end(), first.begin(), first.end() - 1);
    ByteView rest = log;
    ByteView batch;
    REQUIRE(next_batch(rest, batch) == Peek::ok);
    CHECK(batch.size() == first.size());
    REQUIRE(next_batch(rest, batch) == Peek::ok);
    CHECK(as_text(batch) == as_text(second));
    CHECK(next_batch(rest, batch) == Peek::incomplete);
    CHECK(rest.size() == first.size() - 1);
}

TEST_CASE("damage: every single bit flip from the attributes on breaks the CRC") {
    const Bytes sound = golden::mixed();
    REQUIRE(BatchView(sound).crc_holds());
    for (std::size_t bit = 8 * 17; bit < 8 * sound.size(); ++bit) {
        Bytes damaged = sound;
        damaged[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
        REQUIRE_FALSE(BatchView(damaged).crc_holds());
    }
}

TEST_CASE("damage: a single bit flip anywhere but the leader epoch is refused from a client") {
    ValidateOptions options;
    options.now = Timestamp(golden::time_ms);
    for (const char* name : {"mixed-none", "mixed-lz4"}) {
        const Bytes sound = golden::read(name);
        REQUIRE(validate(sound, options).ok());
        for (std::size_t bit = 0; bit < 8 * sound.size(); ++bit) {
            Bytes damaged = sound;
            damaged[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
            const bool in_leader_epoch = bit / 8 >= 12 && bit / 8 < 16;
            REQUIRE(validate(damaged, options).ok() == in_leader_epoch);
        }
    }
}

TEST_CASE("damage: a batch cut anywhere is refused from a client") {
    ValidateOptions options;
    options.now = Timestamp(golden::time_ms);
    for (const char* name :
         {"mixed-none", "mixed-gzip", "mixed-snappy", "mixed-lz4", "mixed-zstd"}) {
        const Bytes sound = golden::read(name);
        for (std::size_t size = 0; size < sound.size(); ++size)
            REQUIRE_FALSE(validate(ByteView(sound).first(size), options).ok());
        // Cut inside the records, with a length and a CRC that hold again.
        for (std::size_t size = batch_header_bytes; size < sound.size(); ++size) {
            Bytes cut(sound.begin(), sound.begin() + static_cast<std::ptrdiff_t>(size));
            store_big_endian(cut.data() + 8, static_cast<std::int32_t>(size - log_overhead_bytes));
            golden::repair_crc(cut);
            REQUIRE_FALSE(validate(cut, options).ok());
        }
    }
}

TEST_CASE("header: base offset and leader epoch change no CRC") {
    rc::prop("any offset and epoch", [](std::int64_t offset, std::int32_t epoch) {
        Bytes batch = golden::mixed();
        write_base_offset_and_epoch(batch, Offset(offset), LeaderEpoch(epoch));
        const BatchView view(batch);
        RC_ASSERT(view.base_offset() == Offset(offset));
        RC_ASSERT(view.leader_epoch() == LeaderEpoch(epoch));
        RC_ASSERT(view.crc_holds());
    });
}

TEST_CASE("header: log append time makes the batch that Kafka makes") {
    BatchOptions options;
    options.base_offset = Offset(7);
    options.leader_epoch = LeaderEpoch(2);
    const Bytes create_time = golden::mixed(options);
    Bytes stamped = create_time;
    write_max_timestamp(MutableByteView(stamped).first(batch_header_bytes),
                        BatchView(create_time).records(), true, Timestamp(golden::time_ms + 77));
    CHECK(stamped == golden::read("log-append-time"));
}

TEST_CASE("header: a true greatest timestamp is left alone, even with unknown attributes") {
    Bytes batch = golden::mixed();
    batch[21] = 0x80;
    batch[22] |= 0x80;
    golden::repair_crc(batch);
    const Bytes before = batch;
    const Bytes records(batch.begin() + batch_header_bytes, batch.end());
    write_max_timestamp(batch, records, false, BatchView(batch).max_timestamp());
    CHECK(batch == before);
    write_max_timestamp(MutableByteView(batch).first(batch_header_bytes), records, false,
                        Timestamp(9));
    CHECK(BatchView(batch).max_timestamp() == Timestamp(9));
    CHECK(BatchView(batch).attributes() == 0);
    CHECK(BatchView(batch).crc_holds());
}

TEST_CASE("sequences: wrap from the greatest to 0") {
    CHECK(increment_sequence(0, 0) == 0);
    CHECK(increment_sequence(INT32_MAX, 0) == INT32_MAX);
    CHECK(increment_sequence(INT32_MAX, 1) == 0);
    CHECK(increment_sequence(INT32_MAX, INT32_MAX) == INT32_MAX - 1);
    CHECK(increment_sequence(5, 7) == 12);
}

// The codecs: round trips, bounds, foreign framings, broken input.
#include <lz4frame.h>
#include <rapidcheck/catch.h>
#include <snappy.h>
#include <zstd.h>
#include <catch2/catch.hpp>

#include "core/base/draws.h"
#include "tests/record/golden.h"

using namespace klamm;
using namespace klamm::record;

namespace {

const std::vector<Compression> packing = {Compression::gzip, Compression::snappy, Compression::lz4,
                                          Compression::zstd};

Bytes noise(std::size_t size) {
    Bytes bytes(size);
    const Draws draws(11);
    for (std::size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<std::uint8_t>(draws.word(draw_domain("test.noise"), 0, i));
    return bytes;
}

}  // namespace

TEST_CASE("compression: round trips of any bytes, with exactly enough room") {
    rc::prop("round trip", [](const Bytes& bytes) {
        for (int i = 0; i < compression_count; ++i) {
            const auto codec = static_cast<Compression>(i);
            const auto packed = compress(codec, bytes);
            RC_ASSERT(packed.ok());
            const auto back = decompress(codec, *packed, bytes.size());
            RC_ASSERT(back.ok());
            RC_ASSERT(*back == bytes);
        }
    });
}

TEST_CASE("compression: large inputs, of one byte and of noise, at every size around a block") {
    for (const std::size_t size : {0, 1, 32767, 32768, 32769, 65535, 65536, 65537, 1'000'000}) {
        for (const Bytes& bytes : {Bytes(size, 'x'), noise(size)}) {
            for (const Compression codec : packing) {
                INFO(to_string(codec) << " " << size);
                const auto packed = compress(codec, bytes);
                REQUIRE(packed.ok());
                const auto back = decompress(codec, *packed, size);
                REQUIRE(back.ok());
                CHECK((*back == bytes));
                if (size == 0) continue;
                const auto refused = decompress(codec, *packed, size - 1);
                REQUIRE_FALSE(refused.ok());
                CHECK(refused.failure() == Failure::limit);
            }
        }
    }
}

TEST_CASE("compression: levels are taken in their range and refused outside") {
    const Bytes bytes(5000, 'y');
    const std::vector<std::tuple<Compression, int, int>> ranges = {
        {Compression::gzip, 1, 9}, {Compression::lz4, 1, 17}, {Compression::zstd, -131'072, 22}};
    for (const auto& [codec, low, high] : ranges) {
        INFO(to_string(codec));
        for (const int level : {low, high}) {
            const auto packed = compress(codec, bytes, level);
            REQUIRE(packed.ok());
            CHECK((*decompress(codec, *packed, 5000) == bytes));
        }
        CHECK(compress(codec, bytes, low - 1).failure() == Failure::invalid);
        CHECK(compress(codec, bytes, high + 1).failure() == Failure::invalid);
    }
}

TEST_CASE("compression: every cut of a stream is refused or gives a prefix of whole blocks") {
    const Bytes bytes = noise(100'000);
    for (const Compression codec : packing) {
        INFO(to_string(codec));
        const Bytes packed = compress(codec, bytes).value();
        std::size_t accepted = 0;
        for (std::size_t size = 0; size < packed.size(); size += size < 100 ? 1 : 997) {
            const auto back = decompress(codec, ByteView(packed).first(size), bytes.size());
            if (!back.ok()) continue;
            ++accepted;
            // Only snappy-java's stream has no end mark: a cut between blocks cannot be seen.
            CHECK(codec == Compression::snappy);
            CHECK(std::equal(back->begin(), back->end(), bytes.begin()));
        }
        CHECK(accepted <= 2);
    }
}

TEST_CASE("compression: bytes after the end are refused, further gzip and zstd members are read") {
    const Bytes bytes = noise(1000);
    for (const Compression codec : packing) {
        INFO(to_string(codec));
        const Bytes packed = compress(codec, bytes).value();
        Bytes longer = packed;
        longer.insert(longer.end(), 40, 0xab);
        CHECK_FALSE(decompress(codec, longer, 10'000).ok());
        Bytes twice = packed;
        twice.insert(twice.end(), packed.begin(), packed.end());
        const auto both = decompress(codec, twice, 10'000);
        // Kafka's reader of lz4 stops after one frame.
        CHECK(both.ok() == (codec != Compression::lz4));
        if (both.ok()) CHECK(both->size() == 2 * bytes.size());
    }
}

TEST_CASE("compression: a raw snappy block is read, as librdkafka sends it") {
    const Bytes bytes = noise(50'000);
    std::string raw;
    snappy::Compress(reinterpret_cast<const char*>(bytes.data()), bytes.size(), &raw);
    const auto back = decompress(Compression::snappy, as_bytes(raw), bytes.size());
    REQUIRE(back.ok());
    CHECK((*back == bytes));
    CHECK(decompress(Compression::snappy, as_bytes(raw), bytes.size() - 1).failure() ==
          Failure::limit);
}

TEST_CASE("compression: what claims to be huge is refused before memory is taken") {
    // A snappy block of five bytes that claims 4 GiB - 1.
    CHECK(decompress(Compression::snappy, Bytes{0xff, 0xff, 0xff, 0xff, 0x0f}, std::size_t{1} << 40)
              .failure() == Failure::invalid);
    // Told from a bound that is merely too low: three bytes that claim 5000.
    CHECK(decompress(Compression::snappy, Bytes{0x88, 0x27, 0}, 100).failure() == Failure::invalid);
    // A zstd frame with a claimed size of 2^60 and a last empty raw block.
    const Bytes zstd = {0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x10, 1, 0, 0};
    CHECK(decompress(Compression::zstd, zstd, std::size_t{1} << 40).failure() == Failure::limit);
    CHECK_FALSE(decompress(Compression::zstd, zstd, std::size_t{1} << 61).ok());
}

TEST_CASE("compression: a bomb stops at the bound") {
    const Bytes zeros(64 << 20);
    for (const Compression codec : {Compression::gzip, Compression::lz4, Compression::zstd}) {
        const Bytes packed = compress(codec, zeros).value();
        CHECK(packed.size() < 400'000);
        CHECK(decompress(codec, packed, 1 << 20).failure() == Failure::limit);
    }
}

TEST_CASE("compression: lz4 frames that Kafka cannot read are refused") {
    const Bytes bytes(200'000, 'z');
    LZ4F_preferences_t preferences{};
    preferences.frameInfo.blockMode = LZ4F_blockLinked;
    preferences.frameInfo.blockSizeID = LZ4F_max64KB;
    Bytes linked(LZ4F_compressFrameBound(bytes.size(), &preferences));
    linked.resize(
        LZ4F_compressFrame(linked.data(), linked.size(), bytes.data(), bytes.size(), &preferences));
    CHECK(decompress(Compression::lz4, linked, bytes.size()).failure() == Failure::invalid);

    // Larger blocks, checksums and a content size are fine.
    preferences.frameInfo.blockMode = LZ4F_blockIndependent;
    preferences.frameInfo.blockSizeID = LZ4F_max4MB;
    preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
    preferences.frameInfo.blockChecksumFlag = LZ4F_blockChecksumEnabled;
    preferences.frameInfo.contentSize = bytes.size();
    Bytes rich(LZ4F_compressFrameBound(bytes.size(), &preferences));
    rich.resize(
        LZ4F_compressFrame(rich.data(), rich.size(), bytes.data(), bytes.size(), &preferences));
    const auto back = decompress(Compression::lz4, rich, bytes.size());
    REQUIRE(back.ok());
    CHECK((*back == bytes));
}

TEST_CASE("compression: a zstd stream that names no size, in several frames") {
    const Bytes bytes = noise(300'000);
    Bytes packed(2 * ZSTD_compressBound(bytes.size()));
    ZSTD_CCtx* context = ZSTD_createCCtx();
    std::size_t used = 0;
    for (const auto& part : {ByteView(bytes).first(1000), ByteView(bytes).subspan(1000)}) {
        ZSTD_inBuffer in{part.data(), part.size(), 0};
        ZSTD_outBuffer out{packed.data(), packed.size(), used};
        while (in.pos < in.size) ZSTD_compressStream2(context, &out, &in, ZSTD_e_continue);
        while (ZSTD_compressStream2(context, &out, &in, ZSTD_e_end) != 0) {
        }
        used = out.pos;
    }
    ZSTD_freeCCtx(context);
    packed.resize(used);
    REQUIRE(ZSTD_getFrameContentSize(packed.data(), packed.size()) == ZSTD_CONTENTSIZE_UNKNOWN);
    const auto back = decompress(Compression::zstd, packed, bytes.size());
    REQUIRE(back.ok());
    CHECK((*back == bytes));
    CHECK(decompress(Compression::zstd, packed, bytes.size() - 1).failure() == Failure::limit);
}

TEST_CASE("compression: a codec that does not exist has no records") {
    Bytes batch = golden::mixed();
    for (int id = compression_count; id < 8; ++id) {
        batch[22] = static_cast<std::uint8_t>(id);
        CHECK(plain_records(BatchView(batch), 1000).failure() == Failure::unsupported);
    }
}

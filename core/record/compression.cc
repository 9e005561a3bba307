#include "core/record/compression.h"

#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <array>
#include <memory>

namespace klamm::record {

namespace {

/// What a growing output starts with and grows by at least. Most batches are small, and room is
/// cleared first.
constexpr std::size_t output_bytes_min = 1 << 10;

Error invalid(const char* what) { return {Failure::invalid, what}; }
Error too_much() { return {Failure::limit, "more comes out than is allowed"}; }

/// An output that doubles while a decoder fills it, and never exceeds `bytes_max`.
class Output {
  public:
    Output(std::size_t input_bytes, std::size_t bytes_max) : bytes_max_(bytes_max) {
        const std::size_t guess = std::max(output_bytes_min, 4 * input_bytes);
        bytes_.resize(std::min(guess, bytes_max));
    }
    [[nodiscard]] std::uint8_t* at() { return bytes_.data() + used_; }
    [[nodiscard]] std::size_t room() const { return bytes_.size() - used_; }
    [[nodiscard]] std::size_t used() const { return used_; }
    void took(std::size_t size) { used_ += size; }
    /// False when the bound is reached.
    bool grow() {
        if (bytes_.size() == bytes_max_) return false;
        bytes_.resize(std::min(bytes_max_, 2 * bytes_.size() + output_bytes_min));
        return true;
    }
    /// Makes room for `size` more bytes at once.
    bool reserve(std::size_t size) {
        if (size > bytes_max_ - used_) return false;
        if (size > room()) bytes_.resize(std::min(bytes_max_, std::max(used_ + size, 2 * used_)));
        return true;
    }
    Bytes finish() && {
        bytes_.resize(used_);
        return std::move(bytes_);
    }

  private:
    Bytes bytes_;
    std::size_t used_ = 0;
    std::size_t bytes_max_;
};

// gzip

constexpr int gzip_window_bits = 15 + 16;  // 16: a gzip header instead of zlib's

Result<Bytes> gzip_compress(ByteView bytes, int level) {
    z_stream stream{};
    if (deflateInit2(&stream, level, Z_DEFLATED, gzip_window_bits, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return invalid("no gzip compressor");
    Bytes out(deflateBound(&stream, bytes.size()));
    stream.next_in = const_cast<Bytef*>(bytes.data());
    stream.avail_in = static_cast<uInt>(bytes.size());
    stream.next_out = out.data();
    stream.avail_out = static_cast<uInt>(out.size());
    const int done = deflate(&stream, Z_FINISH);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    if (done != Z_STREAM_END) return invalid("gzip did not finish");
    return out;
}

/// Inflates one member after another until the input ends.
Status gzip_inflate(z_stream& stream, Output& out) {
    while (true) {
        if (out.room() == 0 && !out.grow()) {
            // What has filled the bound may also be the end: one more byte tells.
            std::uint8_t beyond = 0;
            stream.next_out = &beyond;
            stream.avail_out = 1;
            const int done = inflate(&stream, Z_NO_FLUSH);
            if (stream.avail_out == 0) return too_much();
            if (done != Z_STREAM_END) return invalid("gzip data is broken or ends too early");
            if (stream.avail_in == 0) return {};
            if (inflateReset(&stream) != Z_OK) return invalid("gzip data is broken");
            continue;
        }
        const std::size_t room = std::min(out.room(), std::size_t{1} << 30);
        stream.next_out = out.at();
        stream.avail_out = static_cast<uInt>(room);
        const int done = inflate(&stream, Z_NO_FLUSH);
        out.took(room - stream.avail_out);
        if (done == Z_STREAM_END) {
            if (stream.avail_in == 0) return {};
            if (inflateReset(&stream) != Z_OK) return invalid("gzip data is broken");
        } else if (done != Z_OK || (stream.avail_in == 0 && stream.avail_out != 0)) {
            return invalid("gzip data is broken or ends too early");
        }
    }
}

Result<Bytes> gzip_decompress(ByteView bytes, std::size_t bytes_max) {
    z_stream stream{};
    if (inflateInit2(&stream, gzip_window_bits) != Z_OK) return invalid("no gzip decompressor");
    stream.next_in = const_cast<Bytef*>(bytes.data());
    stream.avail_in = static_cast<uInt>(bytes.size());
    Output out(bytes.size(), bytes_max);
    const Status done = gzip_inflate(stream, out);
    inflateEnd(&stream);
    if (!done.ok()) return done.error();
    return std::move(out).finish();
}

// snappy

constexpr std::array<std::uint8_t, 8> snappy_java_magic = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
constexpr std::size_t snappy_java_header_bytes = 16;  // magic, version, least compatible version
constexpr std::size_t snappy_java_block_bytes = 32 << 10;
constexpr std::int32_t snappy_java_version = 1;
/// A snappy copy gives at most 64 bytes for 3; anything that claims more is a lie.
constexpr std::size_t snappy_ratio_max = 22;

const char* chars(const std::uint8_t* bytes) { return reinterpret_cast<const char*>(bytes); }
char* chars(std::uint8_t* bytes) { return reinterpret_cast<char*>(bytes); }

Bytes snappy_compress(ByteView bytes) {
    Bytes out(snappy_java_header_bytes);
    std::copy(snappy_java_magic.begin(), snappy_java_magic.end(), out.begin());
    store_big_endian(out.data() + 8, snappy_java_version);
    store_big_endian(out.data() + 12, snappy_java_version);
    while (!bytes.empty()) {
        const ByteView block = bytes.first(std::min(bytes.size(), snappy_java_block_bytes));
        bytes = bytes.subspan(block.size());
        const std::size_t from = out.size();
        out.resize(from + 4 + snappy::MaxCompressedLength(block.size()));
        std::size_t size = 0;
        snappy::RawCompress(chars(block.data()), block.size(), chars(out.data() + from + 4), &size);
        store_big_endian(out.data() + from, static_cast<std::int32_t>(size));
        out.resize(from + 4 + size);
    }
    return out;
}

Status snappy_block(ByteView block, Output& out) {
    std::size_t size = 0;
    if (!snappy::GetUncompressedLength(chars(block.data()), block.size(), &size))
        return invalid("a snappy block without its length");
    if (size > snappy_ratio_max * block.size()) return invalid("a snappy block claims too much");
    if (!out.reserve(size)) return too_much();
    if (!snappy::RawUncompress(chars(block.data()), block.size(), chars(out.at())))
        return invalid("a snappy block is broken");
    out.took(size);
    return {};
}

bool starts_as_snappy_java(ByteView bytes) {
    return bytes.size() >= snappy_java_header_bytes &&
           std::equal(snappy_java_magic.begin(), snappy_java_magic.end(), bytes.begin());
}

Result<Bytes> snappy_decompress(ByteView bytes, std::size_t bytes_max) {
    Output out(0, bytes_max);
    if (!starts_as_snappy_java(bytes)) {
        KLAMM_TRY(snappy_block(bytes, out));
        return std::move(out).finish();
    }
    while (!bytes.empty()) {
        // Streams may be concatenated: then a header stands where a block could.
        if (starts_as_snappy_java(bytes)) {
            if (load_big_endian<std::int32_t>(bytes.data() + 8) < snappy_java_version)
                return invalid("a snappy stream of an unknown version");
            bytes = bytes.subspan(snappy_java_header_bytes);
            continue;
        }
        if (bytes.size() < 4) return invalid("a snappy stream ends too early");
        const auto size = load_big_endian<std::uint32_t>(bytes.data());
        if (size > bytes.size() - 4) return invalid("a snappy block ends too early");
        KLAMM_TRY(snappy_block(bytes.subspan(4, size), out));
        bytes = bytes.subspan(4 + std::size_t{size});
    }
    return std::move(out).finish();
}

// lz4

constexpr std::size_t lz4_descriptor_bytes = 6;  // magic, flags, block descriptor
constexpr std::uint32_t lz4_magic = 0x184d2204;  // little-endian on the wire

Result<Bytes> lz4_compress(ByteView bytes, int level) {
    LZ4F_preferences_t preferences{};
    preferences.frameInfo.blockSizeID = LZ4F_max64KB;
    preferences.frameInfo.blockMode = LZ4F_blockIndependent;
    preferences.compressionLevel = level;
    Bytes out(LZ4F_compressFrameBound(bytes.size(), &preferences));
    const std::size_t size =
        LZ4F_compressFrame(out.data(), out.size(), bytes.data(), bytes.size(), &preferences);
    if (LZ4F_isError(size) != 0) return invalid(LZ4F_getErrorName(size));
    out.resize(size);
    return out;
}

/// The frames that Kafka's own reader takes: version 1, blocks that do not depend on each other,
/// no dictionary.
bool is_kafka_lz4(ByteView bytes) {
    if (bytes.size() <= lz4_descriptor_bytes) return false;
    if (load_big_endian<std::uint32_t>(bytes.data()) != __builtin_bswap32(lz4_magic)) return false;
    const std::uint8_t flags = bytes[4];
    return (flags & 0xe3) == 0x60;
}

Status lz4_frame(LZ4F_dctx* context, ByteView bytes, Output& out) {
    while (true) {
        std::uint8_t beyond = 0;
        const bool full = out.room() == 0 && !out.grow();
        std::uint8_t* to = full ? &beyond : out.at();
        std::size_t written = full ? 1 : out.room();
        std::size_t read = bytes.size();
        const std::size_t left =
            LZ4F_decompress(context, to, &written, bytes.data(), &read, nullptr);
        if (LZ4F_isError(left) != 0) return invalid(LZ4F_getErrorName(left));
        if (full && written > 0) return too_much();
        if (!full) out.took(written);
        bytes = bytes.subspan(read);
        if (left == 0) return bytes.empty() ? Status{} : invalid("bytes after the lz4 frame");
        if (read == 0 && written == 0) return invalid("an lz4 frame ends too early");
    }
}

Result<Bytes> lz4_decompress(ByteView bytes, std::size_t bytes_max) {
    if (!is_kafka_lz4(bytes)) return invalid("no lz4 frame of independent blocks");
    LZ4F_dctx* context = nullptr;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)) != 0)
        return invalid("no lz4 decompressor");
    Output out(bytes.size(), bytes_max);
    const Status done = lz4_frame(context, bytes, out);
    LZ4F_freeDecompressionContext(context);
    if (!done.ok()) return done.error();
    return std::move(out).finish();
}

// zstd

Result<Bytes> zstd_compress(ByteView bytes, int level) {
    Bytes out(ZSTD_compressBound(bytes.size()));
    const std::size_t size =
        ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), level);
    if (ZSTD_isError(size) != 0) return invalid(ZSTD_getErrorName(size));
    out.resize(size);
    return out;
}

/// In one shot, so that no window is allocated on a frame's word; tried again with more room until
/// it fits. The size that a frame claims is only believed where it makes refusing quicker.
Result<Bytes> zstd_decompress(ByteView bytes, std::size_t bytes_max, ZSTD_DCtx* context) {
    if (bytes.empty()) return invalid("zstd data is empty");
    const auto claimed = ZSTD_getFrameContentSize(bytes.data(), bytes.size());
    if (claimed == ZSTD_CONTENTSIZE_ERROR) return invalid("no zstd frame");
    if (claimed != ZSTD_CONTENTSIZE_UNKNOWN && claimed > bytes_max) return too_much();
    Bytes out(std::min(bytes_max, std::max(output_bytes_min, 8 * bytes.size())));
    while (true) {
        const std::size_t size =
            ZSTD_decompressDCtx(context, out.data(), out.size(), bytes.data(), bytes.size());
        if (ZSTD_isError(size) == 0) {
            out.resize(size);
            return out;
        }
        if (ZSTD_getErrorCode(size) != ZSTD_error_dstSize_tooSmall)
            return invalid(ZSTD_getErrorName(size));
        if (out.size() == bytes_max) return too_much();
        out.resize(std::min(bytes_max, 4 * out.size()));
    }
}

struct LevelRange {
    int low;
    int high;
    int otherwise;
};

LevelRange levels_of(Compression compression) {
    switch (compression) {
        case Compression::gzip: return {1, 9, 6};
        case Compression::lz4: return {1, 17, 0};
        case Compression::zstd: return {-131'072, 22, 3};
        case Compression::none:
        case Compression::snappy: break;
    }
    return {0, 0, 0};
}

}  // namespace

const char* to_string(Compression compression) {
    switch (compression) {
        case Compression::none: return "none";
        case Compression::gzip: return "gzip";
        case Compression::snappy: return "snappy";
        case Compression::lz4: return "lz4";
        case Compression::zstd: return "zstd";
    }
    return "unknown";
}

bool level_in_range(Compression compression, std::optional<int> level) {
    const LevelRange range = levels_of(compression);
    return !level || (*level >= range.low && *level <= range.high);
}

Result<Bytes> compress(Compression compression, ByteView bytes, std::optional<int> level) {
    if (!level_in_range(compression, level)) return invalid("a compression level out of range");
    const int chosen = level.value_or(levels_of(compression).otherwise);
    switch (compression) {
        case Compression::none: return Bytes(bytes.begin(), bytes.end());
        case Compression::gzip: return gzip_compress(bytes, chosen);
        case Compression::snappy: return snappy_compress(bytes);
        case Compression::lz4: return lz4_compress(bytes, chosen);
        case Compression::zstd: return zstd_compress(bytes, chosen);
    }
    return Failure::unsupported;
}

struct Decompressor::Contexts {
    std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> zstd{ZSTD_createDCtx(), &ZSTD_freeDCtx};
};

Decompressor::Decompressor() = default;
Decompressor::~Decompressor() = default;
Decompressor::Decompressor(Decompressor&&) noexcept = default;
Decompressor& Decompressor::operator=(Decompressor&&) noexcept = default;

Decompressor::Contexts& Decompressor::contexts() {
    if (!contexts_) contexts_ = std::make_unique<Contexts>();
    return *contexts_;
}

Result<Bytes> decompress(Compression compression, ByteView bytes, std::size_t bytes_max,
                         Decompressor* with) {
    switch (compression) {
        case Compression::none:
            if (bytes.size() > bytes_max) return too_much();
            return Bytes(bytes.begin(), bytes.end());
        case Compression::gzip: return gzip_decompress(bytes, bytes_max);
        case Compression::snappy: return snappy_decompress(bytes, bytes_max);
        case Compression::lz4: return lz4_decompress(bytes, bytes_max);
        case Compression::zstd: {
            Decompressor own;
            return zstd_decompress(bytes, bytes_max,
                                   (with != nullptr ? *with : own).contexts().zstd.get());
        }
    }
    return Failure::unsupported;
}

Result<PlainRecords> plain_records(const BatchView& batch, std::size_t bytes_max,
                                   Decompressor* with) {
    if (batch.compression_id() >= compression_count)
        return Error{Failure::unsupported, "no such compression"};
    if (batch.compression() == Compression::none) return PlainRecords(batch.records());
    auto plain = decompress(batch.compression(), batch.records(), bytes_max, with);
    if (!plain.ok()) return plain.error();
    return PlainRecords(std::move(plain).value());
}

}  // namespace klamm::record

#pragma once
// The four codecs of record batches, each in the framing that Kafka's clients read and write:
//
//     gzip    RFC 1952, members may follow one another
//     snappy  written as snappy-java's stream (magic, versions, blocks of 32 KiB before
//     compression);
//             one raw snappy block is read too, as librdkafka sends it
//     lz4     the LZ4 frame format with independent blocks of 64 KiB and no checksum of the content
//     zstd    zstd frames
//
// The output of decompression is bounded by the caller: memory grows with what really comes out,
// never with what hostile input claims. Functions of values; a Decompressor keeps working memory
// between calls, and no result depends on it.

#include <memory>
#include <optional>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/record/batch.h"

namespace klamm::record {

/// "none", "gzip", "snappy", "lz4", "zstd", as in the configuration compression.type.
const char* to_string(Compression compression);

/// Whether compress() takes this level.
bool level_in_range(Compression compression, std::optional<int> level);

/// Compresses `bytes`. `level` follows the codec's own scale (gzip 1 to 9, lz4 1 to 17, zstd
/// -131072 to 22; snappy has none); without it, Kafka's default: gzip 6, lz4 fast, zstd 3.
/// Failure::invalid for a level out of range.
Result<Bytes> compress(Compression compression, ByteView bytes,
                       std::optional<int> level = std::nullopt);

/// The working memory of the codecs that are slow to make it anew (zstd asks the processor what it
/// can each time, which costs a guest of a hypervisor more than a small batch does). One for each
/// who decompresses often.
class Decompressor {
  public:
    Decompressor();
    ~Decompressor();
    Decompressor(Decompressor&&) noexcept;
    Decompressor& operator=(Decompressor&&) noexcept;

    struct Contexts;
    /// Made at the first call.
    Contexts& contexts();

  private:
    std::unique_ptr<Contexts> contexts_;
};

/// Decompresses `bytes` into at most `bytes_max`. Failure::limit when more would come out,
/// Failure::invalid when the input is not wholly in the codec's format.
Result<Bytes> decompress(Compression compression, ByteView bytes, std::size_t bytes_max,
                         Decompressor* with = nullptr);

/// The records of a batch, decompressed if they were compressed: `owned` holds what `records`
/// views then. Without compression, `records` views the batch itself. Moves, but does not copy.
struct PlainRecords {
    explicit PlainRecords(ByteView in_batch) : records(in_batch) {}
    explicit PlainRecords(Bytes decompressed) : owned(std::move(decompressed)), records(owned) {}
    PlainRecords(PlainRecords&&) = default;
    PlainRecords& operator=(PlainRecords&&) = default;

    Bytes owned;
    ByteView records;
};

/// Gives what RecordIterator reads, from any batch; failures are those of decompress, and
/// Failure::unsupported for a codec that does not exist.
Result<PlainRecords> plain_records(const BatchView& batch, std::size_t bytes_max,
                                   Decompressor* with = nullptr);

}  // namespace klamm::record

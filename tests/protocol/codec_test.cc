// What every message promises, whatever its fields: it comes back as it was, a part of it is never
// taken for the whole, and nothing in it makes the decoder read or allocate past the frame.
#include <rapidcheck/catch.h>
#include <catch2/catch.hpp>

#include "core/protocol/frame.h"
#include "core/protocol/messages/api_versions.h"
#include "core/protocol/messages/metadata.h"
#include "tests/protocol/allocations.h"
#include "tests/protocol/shape_bytes.h"
#include "tests/support/drawn_message.h"

using namespace klamm;
using namespace klamm::protocol;
using namespace klamm::protocol::test;

namespace {

/// Calls `check(info, version, bytes)` for every message, and every value of a control record, in
/// every version, of drawn values.
template <class Check>
void for_each_drawn(std::uint64_t seed, Check&& check) {
    for_each_message_info([&](const MessageInfo& info) {
        for (int v = info.version_min; v <= info.version_max; ++v)
            check(info, v, drawn_bytes(info, v, seed));
    });
}

/// What decoding allocates is so many times its frame at most: an element is larger in memory than
/// its fewest bytes on the wire, by so much at most.
constexpr std::size_t times_frame_max = 120;

}  // namespace

TEST_CASE("codec: every message of every version comes back as it was") {
    rc::prop("the same values, and the same bytes: no more, no fewer", [] {
        for_each_drawn(*rc::gen::arbitrary<std::uint64_t>(),
                       [](const MessageInfo& info, int version, const Bytes& bytes) {
                           const Result<Bytes> again = recode(info, bytes, version, version);
                           if (!again.ok() || *again != bytes)
                               RC_FAIL(std::string(info.name) + " " + std::to_string(version));
                       });
    });
}

TEST_CASE("codec: what one version says is what another says, where both can say it") {
    std::size_t both = 0;
    for (std::uint64_t seed = 1; seed <= 3; ++seed)
        for_each_drawn(seed, [&](const MessageInfo& info, int version, const Bytes& bytes) {
            const Result<Bytes> newest = recode(info, bytes, version, info.version_max);
            if (!newest.ok()) {
                CHECK(newest.failure() == Failure::unsupported);
                return;
            }
            const Result<Bytes> back = recode(info, *newest, info.version_max, version);
            INFO(info.name << " version " << version);
            REQUIRE(back.ok());
            // What the newest lacks is gone, so it is the newest's bytes that come back.
            const Result<Bytes> again = recode(info, *back, version, info.version_max);
            REQUIRE(again.ok());
            CHECK(*again == *newest);
            ++both;
        });
    CHECK(both > 300);
}

TEST_CASE("codec: a message that is cut anywhere is refused, and an answer with a byte too many") {
    for (std::uint64_t seed = 1; seed <= 3; ++seed)
        for_each_drawn(seed, [](const MessageInfo& info, int version, Bytes bytes) {
            bool refused = true;
            for (std::size_t size = 0; size < bytes.size(); ++size)
                refused =
                    refused && !recode(info, ByteView(bytes).first(size), version, version).ok();
            INFO(info.name << " version " << version);
            CHECK(refused);
            const Bytes whole = bytes;
            bytes.push_back(0);
            const Result<Bytes> longer = recode(info, bytes, version, version);
            if (info.kind == MessageKind::request)
                CHECK(longer.value() == whole);
            else
                CHECK(longer.failure() == Failure::invalid);
        });
}

TEST_CASE(
    "codec: whatever bytes are changed, what still decodes can be encoded and decoded again") {
    rc::prop("mutated messages", [] {
        const auto seed = *rc::gen::arbitrary<std::uint64_t>();
        const auto edits = *rc::gen::container<std::vector<std::pair<std::uint32_t, std::uint8_t>>>(
            3, rc::gen::arbitrary<std::pair<std::uint32_t, std::uint8_t>>());
        for_each_drawn(seed, [&](const MessageInfo& info, int version, Bytes bytes) {
            if (bytes.empty()) return;
            for (const auto& [where, value] : edits) bytes[where % bytes.size()] = value;
            const Result<Bytes> again = recode(info, bytes, version, version);
            if (!again.ok()) return;
            const Result<Bytes> twice = recode(info, *again, version, version);
            RC_ASSERT(twice.ok());
            RC_ASSERT(*twice == *again);
        });
    });
}

TEST_CASE("codec: no count or length makes the decoder allocate past the frame") {
    std::size_t most = 0;
    for (std::uint64_t seed = 1; seed <= 3; ++seed)
        for_each_drawn(seed, [&](const MessageInfo& info, int version, const Bytes& bytes) {
            for (std::size_t at = 0; at < bytes.size(); ++at) {
                for (const bool compact : {false, true}) {
                    Bytes hostile = bytes;
                    // 2^31-1 as a count of either kind, in whatever is there.
                    const Bytes count = compact ? Bytes{0xff, 0xff, 0xff, 0xff, 0x07}
                                                : Bytes{0x7f, 0xff, 0xff, 0xff};
                    std::copy_n(count.begin(), std::min(count.size(), bytes.size() - at),
                                hostile.begin() + static_cast<std::ptrdiff_t>(at));
                    Writer nowhere;
                    const std::size_t before = bytes_allocated();
                    const bool decodes = info.recode(hostile, version, version, nowhere).ok();
                    const std::size_t taken = bytes_allocated() - before;
                    // A message that decodes was encoded too, into a buffer that grows by doubling.
                    const std::size_t limit =
                        (times_frame_max + (decodes ? 4 : 0)) * (hostile.size() + 1) + 512;
                    if (taken > limit) FAIL(info.name << " version " << version << ": " << taken);
                    most = std::max(most, taken);
                }
            }
        });
    CHECK(most > 1000);  // it is counted at all
}

TEST_CASE("codec: a version that a message does not have is unsupported") {
    for_each_message_info([](const MessageInfo& info) {
        for (const int version : {-1, info.version_min - 1, info.version_max + 1})
            CHECK(recode(info, Bytes(100), version, info.version_max).failure() ==
                  Failure::unsupported);
    });
}

TEST_CASE("codec: an array's count beyond the frame is refused before anything is reserved") {
    // 2^31-1 topics of 16 bytes at least would be 32 GiB.
    const Bytes plain = {0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0};
    CHECK(decode<MetadataRequest>(plain, 1).failure() == Failure::truncated);
    const Bytes compact = {0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0};
    CHECK(decode<MetadataRequest>(compact, 12).failure() == Failure::truncated);
    const Bytes endless_varint(12, 0xff);
    CHECK(decode<MetadataRequest>(endless_varint, 12).failure() == Failure::invalid);
    // One element too many for the bytes that follow.
    const Bytes two_of_one = {0, 0, 0, 2, 0, 1, 'a', 0};
    CHECK_FALSE(decode<MetadataRequest>(two_of_one, 1).ok());
}

TEST_CASE("codec: null where the version allows none is refused") {
    const Bytes null_array = {0xff, 0xff, 0xff, 0xff};
    CHECK(decode<MetadataRequest>(null_array, 0).failure() == Failure::invalid);
    const auto all = decode<MetadataRequest>(null_array, 1);
    REQUIRE(all.ok());
    CHECK_FALSE(all->topics.has_value());
    const Bytes null_name = {0, 0, 0, 1, 0xff, 0xff};
    CHECK(decode<MetadataRequest>(null_name, 1).failure() == Failure::invalid);
}

TEST_CASE("codec: a length that is too long for a string is refused") {
    Bytes bytes(0x9000, 'a');
    store_unsigned_varint(bytes.data(), 0x8001);  // 32768 bytes
    CHECK(decode<ApiVersionsRequest>(bytes, 3).failure() == Failure::invalid);
}

TEST_CASE("codec: a response is its request's, or none") {
    const Encoded frame = encode_response_frame(ApiVersionsResponse{}, 3, 7);
    const ByteView body = ByteView(frame.bytes).subspan(frame_length_bytes);
    CHECK(decode_response_frame<ApiVersionsResponse>(body, 3, 7).ok());
    CHECK(decode_response_frame<ApiVersionsResponse>(body, 3, 5).failure() == Failure::invalid);
}

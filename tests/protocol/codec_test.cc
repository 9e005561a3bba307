// What every message promises, whatever its fields: it comes back as it was, a part of it is never
// taken for the whole, and nothing in it makes the decoder read or allocate past the frame.
#include <rapidcheck/catch.h>
#include <catch2/catch.hpp>

#include "core/protocol/messages/all.h"
#include "core/protocol/messages/all_fields.h"
#include "tests/support/messages.h"

using namespace klamm;
using namespace klamm::protocol;

namespace {

/// Calls `check(message, version)` for every message, and every value of a control record, in every
/// version, filled from a drawn seed.
template <class Check>
void for_each_filled(std::uint64_t seed, Check&& check) {
    const auto each = [&]<class Message>(std::type_identity<Message>) {
        for (int v = Api<Message>::version_min; v <= Api<Message>::version_max; ++v) {
            Filler filler(seed, v);
            Message message;
            filler.fill(message);
            check(message, v);
        }
    };
    for_each_message(each);
    for_each_data(each);
}

}  // namespace

TEST_CASE("codec: every message of every version comes back as it was") {
    rc::prop("decode(encode(m)) == m, and encoding it again gives the same bytes", [] {
        for_each_filled(*rc::gen::arbitrary<std::uint64_t>(), [](const auto& message, int version) {
            using Message = std::remove_cvref_t<decltype(message)>;
            Writer writer;
            encode(message, version, writer);
            RC_ASSERT(writer.status().ok());
            const Bytes bytes = writer.take().bytes;
            const auto decoded = decode<Message>(bytes, version);
            RC_ASSERT(decoded.ok());
            RC_ASSERT(*decoded == message);
            RC_ASSERT(encode(*decoded, version).bytes == bytes);
        });
    });
}

TEST_CASE("codec: a message that is cut anywhere, or has a byte too many, is refused") {
    for (std::uint64_t seed = 1; seed <= 3; ++seed)
        for_each_filled(seed, [](const auto& message, int version) {
            using Message = std::remove_cvref_t<decltype(message)>;
            Bytes bytes = encode(message, version).bytes;
            bool refused = true;
            for (std::size_t size = 0; size < bytes.size(); ++size) {
                const Bytes cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
                refused = refused && !decode<Message>(cut, version).ok();
            }
            CHECK(refused);
            bytes.push_back(0);
            CHECK(decode<Message>(bytes, version).failure() == Failure::invalid);
        });
}

TEST_CASE(
    "codec: whatever bytes are changed, what still decodes can be encoded and decoded again") {
    rc::prop("mutated messages", [] {
        const auto seed = *rc::gen::arbitrary<std::uint64_t>();
        const auto edits = *rc::gen::container<std::vector<std::pair<std::uint32_t, std::uint8_t>>>(
            3, rc::gen::arbitrary<std::pair<std::uint32_t, std::uint8_t>>());
        for_each_filled(seed, [&](const auto& message, int version) {
            using Message = std::remove_cvref_t<decltype(message)>;
            Bytes bytes = encode(message, version).bytes;
            if (bytes.empty()) return;
            for (const auto& [where, value] : edits) bytes[where % bytes.size()] = value;
            const auto decoded = decode<Message>(bytes, version);
            if (!decoded.ok()) return;
            const Bytes again = encode(*decoded, version).bytes;
            const auto twice = decode<Message>(again, version);
            RC_ASSERT(twice.ok());
            RC_ASSERT(*twice == *decoded);
        });
    });
}

TEST_CASE("codec: a version that a message does not have is unsupported") {
    for_each_message([]<class Message>(std::type_identity<Message>) {
        for (const int version : {-1, Api<Message>::version_min - 1, Api<Message>::version_max + 1})
            CHECK(decode<Message>(Bytes(100), version).failure() == Failure::unsupported);
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

#pragma once
// The schema as data, for what handles any message without knowing it: tests, fuzzers, tools.
// Encoding and decoding of messages that are known do not use it; include the message's own header
// for those.
//
//   for_each_message_info([](const MessageInfo& info) { ... });
//   const MessageInfo* info = find_message(MessageKind::request, ApiKey::fetch);
//   Result<Bytes> again = recode(*info, body, 4, 18);     // decoded as version 4, encoded as 18
//
// MessageInfo::shape describes the bytes field by field: enough to write or read any of them by a
// second way than the generated codecs (tests/support/shape_bytes.h does).

#include <span>

#include "core/protocol/api.h"

namespace klamm::protocol {

/// What an element of a field is on the wire.
enum class Wire : std::uint8_t {
    int8,
    int16,
    uint16,
    int32,
    int64,
    boolean,
    uuid,
    float64,
    string,
    bytes,
    records,
    structure,
};

struct Shape;

struct FieldShape {
    const char* name;
    Wire wire;
    bool array;
    std::int16_t version_min;
    std::int16_t version_max;
    std::int16_t nullable_from;  // 0x7fff: never
    std::int16_t tag;            // -1: a plain field
    bool ignorable;
    bool null_by_default;
    std::int64_t number_by_default;  // of a number or a boolean
    const Shape* shape;              // of a structure, else nullptr

    [[nodiscard]] constexpr bool in(int version) const {
        return version >= version_min && version <= version_max;
    }
};

struct Shape {
    std::span<const FieldShape> fields;
};

enum class MessageKind : std::uint8_t { request, response, data };

struct MessageInfo {
    const char* name;  // e.g. "FetchRequest"
    MessageKind kind;
    ApiKey key;  // of an API's messages
    std::int16_t version_min;
    std::int16_t version_max;
    std::int16_t flexible_from;
    const Shape* shape;
    /// Decodes all of the bytes as version `from` and encodes what was decoded as version `to`,
    /// which the message must have. Errors: decode()'s, and Writer::status()'s where `to` lacks
    /// what is set.
    Status (*recode)(ByteView bytes, int from, int to, Writer& writer);
};

/// MessageInfo::recode of one message.
template <class Message>
Status recode_message(ByteView bytes, int from, int to, Writer& writer) {
    if (!has_version<Message>(from))
        return Error{Failure::unsupported, "this version of the message is not known"};
    Message message;  // not a Result<Message>: nearly two hundred of those are slow to build
    Reader reader(bytes);
    decode(reader, from, message);
    KLAMM_TRY(reader.finish());
    encode(message, to, writer);
    return writer.status();
}

/// All messages of the schema, in parts.
std::span<const std::span<const MessageInfo>> message_infos();

template <class Visitor>
void for_each_message_info(Visitor&& visit) {
    for (const std::span<const MessageInfo> part : message_infos())
        for (const MessageInfo& info : part) visit(info);
}

/// The request or response of an API, or nullptr when the schema has none.
const MessageInfo* find_message(MessageKind kind, ApiKey key);

/// The bytes of a message of version `from` as those of version `to`.
Result<Bytes> recode(const MessageInfo& info, ByteView bytes, int from, int to);

}  // namespace klamm::protocol

#pragma once
// A second way between a message's bytes and its values, from the schema as data
// (core/protocol/shape.h): bytes of drawn values, and the values of any bytes as text. What the
// generated codecs do is held against it, for every message at once.
//
// The text is canonical: an object's names in order of the alphabet, in small letters without
// underscores ("topicId" and "topic_id" are the same name); Kafka's own JSON in that form
// (golden_rows.h) is the same text when the values are the same.

#include <optional>
#include <string>

#include "core/protocol/shape.h"

namespace klamm::protocol::test {

/// The body of a message of this version, every field with a drawn value, tagged fields and null
/// now and then.
Bytes drawn_bytes(const MessageInfo& info, int version, std::uint64_t seed);

/// The values of a message's body; nullopt when the body is none.
std::optional<std::string> text_of(const MessageInfo& info, ByteView bytes, int version);

/// "topicId" and "topic_id" are the same name.
std::string plain_name(std::string_view name);

/// A number with a fraction, the same for the same value.
std::string float_text(double value);

}  // namespace klamm::protocol::test

#pragma once
// A second way from a message's bytes to its values, from the schema as data
// (core/protocol/shape.h), as tests/support/drawn_message.h is from values to bytes. What the
// generated codecs do is held against it, for every message at once.
//
// The text is canonical: an object's names in order of the alphabet, in small letters without
// underscores ("topicId" and "topic_id" are the same name); Kafka's own JSON in that form
// (golden_rows.h) is the same text when the values are the same.

#include <optional>
#include <string>

#include "core/protocol/shape.h"

namespace klamm::protocol::test {

/// The values of a message's body; nullopt when the body is none.
std::optional<std::string> text_of(const MessageInfo& info, ByteView bytes, int version);

/// "topicId" and "topic_id" are the same name.
std::string plain_name(std::string_view name);

/// A number with a fraction, the same for the same value.
std::string float_text(double value);

}  // namespace klamm::protocol::test

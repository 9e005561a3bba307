#pragma once
// What every message has: a trait Api<Message> with its key and versions, an encode and a decode.
// The generator writes them, one header for the request and response of an API:
// `#include "core/protocol/messages/fetch.h"` finds the one in the build tree.
//
//   struct FetchRequest { ... };                                     plain aggregate, Kafka's
//   defaults template <> struct Api<FetchRequest> { key, name, version_min, version_max,
//   flexible_from,
//                                          is_request, Response (of a request) };
//   void encode(const FetchRequest&, int version, Writer&);
//   void decode(Reader&, int version, FetchRequest&);
//
// A version outside version_min..version_max is unsupported when it comes from a peer, and a bug
// when encoding. Decoding leaves fields that the version lacks at their defaults. Unknown tagged
// fields are skipped. Views in a decoded message live as long as the frame.

#include "core/base/result.h"
#include "core/protocol/messages/api_key.h"
#include "core/protocol/reader.h"
#include "core/protocol/writer.h"

namespace klamm::protocol {

template <class Message>
struct Api;

template <class Message>
constexpr bool has_version(int version) {
    return version >= Api<Message>::version_min && version <= Api<Message>::version_max;
}

/// A message from all of `bytes`. Errors: unsupported version, truncated, invalid (bytes left over
/// too).
template <class Message>
Result<Message> decode(ByteView bytes, int version) {
    if (!has_version<Message>(version))
        return Error{Failure::unsupported, "this version of the message is not known"};
    Message message;
    Reader reader(bytes);
    decode(reader, version, message);
    KLAMM_TRY(reader.finish());
    return message;
}

/// The message alone, without header or frame. Asserts that the version has all that is set.
template <class Message>
Encoded encode(const Message& message, int version) {
    Writer writer;
    encode(message, version, writer);
    return writer.take();
}

}  // namespace klamm::protocol

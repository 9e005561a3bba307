// Headers, by hand: their version hangs on what follows them, and the client id is an exception to
// the rules of flexible versions.
#include "core/protocol/frame.h"

#include "core/protocol/api_versions.h"

namespace klamm::protocol {

Result<RequestHeader> decode_request_header(Reader& reader) {
    RequestHeader header;
    header.api_key = static_cast<ApiKey>(reader.integer<std::int16_t>());
    header.api_version = reader.integer<std::int16_t>();
    header.correlation_id = reader.integer<std::int32_t>();
    KLAMM_TRY(reader.status());
    const ApiInfo* api = find_api(header.api_key);
    if (api == nullptr) return Error{Failure::unsupported, "the API key is not served"};
    header.client_id = reader.nullable_string(false);
    if (request_header_version(header.api_version, api->flexible_from) >= 2)
        reader.skip_tagged_fields();
    KLAMM_TRY(reader.status());
    return header;
}

Result<ResponseHeader> decode_response_header(Reader& reader, ApiKey key, int api_version) {
    const ApiInfo* api = find_api(key);
    if (api == nullptr) return Error{Failure::unsupported, "the API key is not served"};
    ResponseHeader header{reader.integer<std::int32_t>()};
    if (response_header_version(key, api_version, api->flexible_from) >= 1)
        reader.skip_tagged_fields();
    KLAMM_TRY(reader.status());
    return header;
}

void encode(const RequestHeader& header, Writer& writer) {
    const ApiInfo* api = find_api(header.api_key);
    KLAMM_ASSERT(api != nullptr);
    writer.integer(static_cast<std::int16_t>(header.api_key));
    writer.integer(header.api_version);
    writer.integer(header.correlation_id);
    writer.nullable_string(header.client_id, false);
    if (request_header_version(header.api_version, api->flexible_from) >= 2)
        writer.unsigned_varint(0);
}

void encode_response_header(const ResponseHeader& header, ApiKey key, int api_version,
                            Writer& writer) {
    const ApiInfo* api = find_api(key);
    KLAMM_ASSERT(api != nullptr);
    writer.integer(header.correlation_id);
    if (response_header_version(key, api_version, api->flexible_from) >= 1)
        writer.unsigned_varint(0);
}

void finish_frame(std::size_t begin, Writer& writer) {
    KLAMM_ASSERT(writer.position() >= begin + frame_length_bytes);
    const std::uint64_t size =
        writer.position() - begin - frame_length_bytes + writer.external_size();
    KLAMM_ASSERT(size <= 0x7fffffff);
    writer.put_int32(begin, static_cast<std::int32_t>(size));
}

}  // namespace klamm::protocol

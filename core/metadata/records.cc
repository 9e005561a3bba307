// Frames of metadata records: a look-up by type, then the generated codec.
#include "core/metadata/records.h"

namespace klamm::metadata {

namespace {

template <class R>
using Info = RecordInfo<std::remove_cvref_t<R>>;

template <class R>
Result<VersionedRecord> decode_body(protocol::Reader& reader, std::uint32_t version) {
    if (version > std::uint32_t{Info<R>::version_max})
        return Error{Failure::unsupported, "this version of a metadata record is not known"};
    VersionedRecord result{R{}, static_cast<std::int16_t>(version)};
    decode(reader, static_cast<int>(version), *std::get_if<R>(&result.record));
    KLAMM_TRY(reader.finish());
    return result;
}

}  // namespace

Result<VersionedRecord> decode_record(ByteView frame) {
    protocol::Reader reader(frame);
    const std::uint32_t frame_version = reader.unsigned_varint();
    const std::uint32_t type = reader.unsigned_varint();
    const std::uint32_t version = reader.unsigned_varint();
    KLAMM_TRY(reader.status());
    if (frame_version != record_frame_version)
        return Error{Failure::unsupported, "this frame version of metadata records is not known"};
    Result<VersionedRecord> result =
        Error{Failure::unsupported, "this type of metadata record is not known"};
    for_each_record([&]<class R>(std::type_identity<R>) {
        if (static_cast<std::uint32_t>(Info<R>::type) == type)
            result = decode_body<R>(reader, version);
    });
    return result;
}

Bytes encode_record(const Record& record) {
    return std::visit(
        [&](const auto& body) { return encode_record(record, Info<decltype(body)>::version_max); },
        record);
}

Bytes encode_record(const Record& record, int version) {
    protocol::Writer writer;
    writer.unsigned_varint(record_frame_version);
    std::visit(
        [&](const auto& body) {
            writer.unsigned_varint(static_cast<std::uint32_t>(Info<decltype(body)>::type));
            writer.unsigned_varint(static_cast<std::uint64_t>(version));
            encode(body, version, writer);
        },
        record);
    return writer.take().bytes;
}

const char* record_name(const Record& record) {
    return std::visit([](const auto& body) { return Info<decltype(body)>::name; }, record);
}

}  // namespace klamm::metadata

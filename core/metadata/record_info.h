#pragma once
// The trait of a metadata record: RecordInfo<TopicRecord> has its type (the key in a frame), its
// name, and the versions that are known. The generator writes it beside each record.

#include "core/metadata/messages/record_type.h"
#include "core/protocol/reader.h"
#include "core/protocol/writer.h"

namespace klamm::metadata {

template <class R>
struct RecordInfo;

}  // namespace klamm::metadata

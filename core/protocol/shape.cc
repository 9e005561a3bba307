#include "core/protocol/shape.h"

namespace klamm::protocol {

const MessageInfo* find_message(MessageKind kind, ApiKey key) {
    for (const std::span<const MessageInfo> part : message_infos())
        for (const MessageInfo& info : part)
            if (info.kind == kind && info.key == key && kind != MessageKind::data) return &info;
    return nullptr;
}

Result<Bytes> recode(const MessageInfo& info, ByteView bytes, int from, int to) {
    Writer writer;
    KLAMM_TRY(info.recode(bytes, from, to, writer));
    return writer.take().bytes;
}

}  // namespace klamm::protocol

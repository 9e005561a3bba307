#pragma once
// What the generated visit_fields(message, visitor) says of each field: enough to print, fill or
// compare any message without knowing it. For tests and traces; encoding and decoding do not use
// it.
//
//   #include "core/protocol/messages/fetch_fields.h"
//   visit_fields(request, [](const Field& field, auto& value) { ... });
//   visit_fields(request, other, [](const Field& field, const auto& value, const auto& others) {
//   ... });

#include <cstdint>

namespace klamm::protocol {

struct Field {
    const char* name;
    std::int16_t version_min;  // of the versions its message has
    std::int16_t version_max;
    std::int16_t nullable_from;  // above version_max: never
    bool ignorable;
    bool tagged;

    [[nodiscard]] bool in(int version) const {
        return version >= version_min && version <= version_max;
    }
};

}  // namespace klamm::protocol

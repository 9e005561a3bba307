// Names, and operations as a person reads them.
#include "checkers/operation.h"

#include <fmt/format.h>

#include "core/base/assert.h"

namespace klamm::checkers {

TextId OperationHistory::intern(std::string_view text) {
    if (text == texts[nil]) return nil;
    const auto found = text_ids.find(text);
    if (found != text_ids.end()) return found->second;
    const auto id = static_cast<TextId>(texts.size());
    texts.emplace_back(text);
    text_ids.emplace(text, id);
    return id;
}

const char* to_string(Function function) {
    switch (function) {
        case Function::read: return "read";
        case Function::write: return "write";
        case Function::cas: return "cas";
        case Function::append: return "append";
        case Function::enqueue: return "enqueue";
        case Function::dequeue: return "dequeue";
        case Function::add: return "add";
        case Function::remove: return "remove";
        case Function::contains: return "contains";
    }
    KLAMM_UNREACHABLE();
}

std::string describe(const OperationHistory& history, const Operation& operation) {
    std::string out = to_string(operation.function);
    const auto text = [&](TextId id) { return " " + history.texts[id]; };
    if (operation.key != nil) out += text(operation.key);
    switch (operation.function) {
        case Function::read:
        case Function::dequeue: break;
        case Function::cas: out += text(operation.expected) + text(operation.input); break;
        default: out += text(operation.input); break;
    }
    if (operation.outcome != Outcome::ok) return out + " -> ?";
    switch (operation.function) {
        case Function::cas: return out + (operation.swapped ? " -> swapped" : " -> refused");
        case Function::dequeue:
        case Function::contains: return out + " ->" + text(operation.output);
        case Function::read: break;
        default: return out;
    }
    if (operation.list == 0) return out + " ->" + text(operation.output);
    out += " -> {";
    const std::vector<TextId>& list = history.lists[operation.list];
    for (std::size_t i = 0; i < list.size(); ++i) {
        out += (i == 0 ? "" : " ") + history.texts[list[i]];
    }
    return out + "}";
}

}  // namespace klamm::checkers

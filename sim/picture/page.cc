#include "sim/picture/page.h"

#include <nlohmann/json.hpp>
#include <string_view>

#include "core/base/assert.h"

namespace klamm::sim {

namespace {

void put(std::string& page, std::string_view mark, std::string_view text) {
    const auto at = page.find(mark);
    KLAMM_ASSERT(at != std::string::npos);
    page.replace(at, mark.size(), text);
}

/// Within a script element "<" could begin its end, or a comment.
std::string safe(std::string text) {
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        if (c == '<')
            out += "\\u003c";
        else
            out += c;
    }
    return out;
}

}  // namespace

std::string page_of(const nlohmann::json& story) {
    std::string page = page_html;
    put(page, "/* STYLE */", page_style);
    put(page, "/* SCRIPT */", page_script);
    // Bytes that are no UTF-8 cannot be in what the nodes say, but a picture of them must not fail.
    const std::string data = story.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    put(page, "/* STORY */", safe(data));
    return page;
}

}  // namespace klamm::sim

#pragma once
// A run's story as one page: HTML with its style, its script and its data inside, which a browser
// opens from file:// and which asks the network for nothing (its policy forbids it).

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace klamm::sim {

/// The page that shows a Story's document. Ends in a newline.
std::string page_of(const nlohmann::json& story);

// The parts, as they lie beside this file.
extern const char* const page_html;
extern const char* const page_style;
extern const char* const page_script;

}  // namespace klamm::sim

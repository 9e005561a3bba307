#pragma once
// JSON with the line of every key and value, so that what is wrong in a file can be said with its
// place. Read by nlohmann's parser through its events; what it cannot read is told by line too.
//
// Always: keys stay in the order of the file; a key given twice in one object is an error; a tree
// is at most `json_depth_max` deep and its text at most `json_bytes_max` long.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace klamm::sim {

constexpr std::size_t json_depth_max = 32;
constexpr std::size_t json_bytes_max = std::size_t{1} << 20;

struct LocatedMember;

struct Located {
    enum class Kind : std::uint8_t { null, boolean, integer, real, text, list, object };

    Kind kind = Kind::null;
    std::size_t line = 0;
    bool boolean = false;
    std::int64_t integer = 0;
    std::string text;  // of a text; of a real as it was written
    std::vector<Located> items;
    std::vector<LocatedMember> members;

    /// The value of this key of an object; nullptr if there is none.
    [[nodiscard]] const Located* find(std::string_view key) const;
};

struct LocatedMember {
    std::string key;
    std::size_t line = 0;
    Located value;
};

/// "a number", "text", "a list": for sentences.
const char* to_string(Located::Kind kind);

/// What a text is wrong about, and where.
struct TextError {
    std::size_t line = 0;
    std::string sentence;
};

/// The tree of `text`; fills `error` and returns nothing useful when it is no JSON.
bool read_json(std::string_view text, Located& root, TextError& error);

}  // namespace klamm::sim

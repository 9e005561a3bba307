#pragma once
// The form of a scenario file, as tables: which keys an object has, what each expects, in a
// sentence each. Checking, the published schema and its document all come from here.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "sim/scenario/located_json.h"

namespace klamm::sim {

enum class Form : std::uint8_t {
    text,
    flag,      // true or false
    integer,   // low to high
    duration,  // "1500ms"
    who,       // "leader", "broker-2"
    whos,      // one of them or a list
    choice,    // one of a few words
    object,
    objects,  // a list of them
    options,  // an object of Kafka's option names, each with text, a number, true or false
    names,    // an object from new names to who they are
    bounds,   // an object from counts to {"at_least", "at_most"}
    bug,      // of the catalogue of plants
};

struct ObjectSpec;

struct KeySpec {
    std::string_view key;
    Form form;
    std::string_view sentence;
    bool required = false;
    const ObjectSpec* object = nullptr;           // object, objects
    std::span<const std::string_view> choices{};  // choice
    std::int64_t low = 0;                         // integer
    std::int64_t high = 1'000'000'000;
};

struct ObjectSpec {
    std::string_view name;  // "a step"
    std::string_view sentence;
    std::span<const KeySpec> keys;

    [[nodiscard]] const KeySpec* find(std::string_view key) const;
};

/// The whole file of a scenario.
const ObjectSpec& scenario_spec();
/// The whole file of a catalogue of goals.
const ObjectSpec& goals_spec();
/// A moment, wherever one is told.
const ObjectSpec& moment_spec();

/// What a key expects: "a duration such as \"1500ms\" or \"2s\"".
std::string expectation(const KeySpec& key);

/// Holds `value` against the spec, and every value below it; false with the first thing wrong.
bool conforms(const Located& value, const ObjectSpec& spec, TextError& error);

/// The one of `known` that `word` was probably meant to be; empty when none is near.
std::string_view near_miss(std::string_view word, std::span<const std::string_view> known);

/// The published schema (JSON Schema 2020-12) and its document in Markdown.
std::string schema_json();
std::string schema_document();
/// The same of catalogues of goals.
std::string goals_schema_json();
std::string goals_document();

}  // namespace klamm::sim

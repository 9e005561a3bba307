// The published schema and its document, from the tables of spec.h.

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "sim/scenario/read_words.h"
#include "sim/scenario/spec.h"

namespace klamm::sim {

namespace {

using ordered = nlohmann::ordered_json;

constexpr const char* duration_pattern = "^-?[0-9]+(us|ms|s|m)$";

std::string definition_of(const ObjectSpec& spec) {
    std::string name(spec.name);
    for (char& c : name)
        if (c == ' ' || c == '\'') c = '_';
    return name;
}

ordered schema_of(const ObjectSpec& spec);

ordered schema_of(const KeySpec& key) {
    ordered out;
    out["description"] = key.sentence;
    const auto text = [&] { out["type"] = "string"; };
    const auto scalars = ordered::array({"string", "integer", "boolean"});
    switch (key.form) {
        case Form::text:
        case Form::who: text(); break;
        case Form::flag: out["type"] = "boolean"; break;
        case Form::integer:
            out["type"] = "integer";
            out["minimum"] = key.low;
            out["maximum"] = key.high;
            break;
        case Form::duration:
            text();
            out["pattern"] = duration_pattern;
            break;
        case Form::whos:
            out["anyOf"] = ordered::array(
                {{{"type", "string"}},
                 {{"type", "array"}, {"items", {{"type", "string"}}}, {"minItems", 1}}});
            break;
        case Form::choice:
            for (const std::string_view word : key.choices) out["enum"].push_back(word);
            break;
        case Form::bug:
            text();
            out["pattern"] = "^[A-Z][0-9]+$";
            break;
        case Form::object: out["$ref"] = "#/$defs/" + definition_of(*key.object); break;
        case Form::objects:
            out["type"] = "array";
            out["items"]["$ref"] = "#/$defs/" + definition_of(*key.object);
            break;
        case Form::options:
            out["type"] = "object";
            out["additionalProperties"]["type"] = scalars;
            break;
        case Form::names:
            out["type"] = "object";
            out["minProperties"] = 1;
            out["additionalProperties"]["type"] = "string";
            break;
        case Form::bounds:
            out["type"] = "object";
            out["additionalProperties"] = {
                {"type", "object"},
                {"additionalProperties", false},
                {"properties",
                 {{"at_least", {{"type", "integer"}}}, {"at_most", {{"type", "integer"}}}}}};
            break;
    }
    return out;
}

ordered schema_of(const ObjectSpec& spec) {
    ordered out;
    out["description"] = spec.sentence;
    out["type"] = "object";
    out["additionalProperties"] = false;
    ordered required = ordered::array();
    for (const KeySpec& key : spec.keys) {
        out["properties"][std::string(key.key)] = schema_of(key);
        if (key.required) required.push_back(key.key);
    }
    if (!required.empty()) out["required"] = required;
    return out;
}

/// Every kind of object below this one, each once, in the order in which they are met.
void collect(const ObjectSpec& spec, std::vector<const ObjectSpec*>& all) {
    for (const KeySpec& key : spec.keys) {
        if (key.object == nullptr) continue;
        if (std::find(all.begin(), all.end(), key.object) != all.end()) continue;
        all.push_back(key.object);
        collect(*key.object, all);
    }
}

std::string section(const ObjectSpec& spec) {
    std::string text = fmt::format("## {}\n\n{}\n\n| key | expects | what it is |\n|---|---|---|\n",
                                   spec.name, spec.sentence);
    for (const KeySpec& key : spec.keys)
        text += fmt::format("| `{}`{} | {} | {} |\n", key.key, key.required ? " (required)" : "",
                            expectation(key), key.sentence);
    return text + "\n";
}

std::string schema_of_file(const ObjectSpec& whole, const char* title) {
    ordered out;
    out["$schema"] = "https://json-schema.org/draft/2020-12/schema";
    out["title"] = title;
    out.update(schema_of(whole));
    std::vector<const ObjectSpec*> objects;
    collect(whole, objects);
    for (const ObjectSpec* object : objects)
        out["$defs"][definition_of(*object)] = schema_of(*object);
    return out.dump(2) + "\n";
}

/// The whole and what is in it, a section each.
std::string sections(const ObjectSpec& whole) {
    std::string text = section(whole);
    std::vector<const ObjectSpec*> objects;
    collect(whole, objects);
    for (const ObjectSpec* object : objects) text += section(*object);
    while (text.ends_with("\n\n")) text.pop_back();
    return text;
}

}  // namespace

std::string schema_json() { return schema_of_file(scenario_spec(), "A scenario of Klamm"); }

std::string goals_schema_json() {
    return schema_of_file(goals_spec(), "A catalogue of goals of Klamm");
}

std::string goals_document() {
    return "# The form of a catalogue of goals\n\n"
           "Written by `klamm scenario --goals-document` from the tables of "
           "`sim/scenario/goals_spec.cc`; `goals.schema.json` is the same for tools. An unknown "
           "key is an error.\n\n"
           "`klamm swarm --goals scenarios/goals.json` holds its runs against it and prints which "
           "goals were reached, by how many runs and by which first, and which never were. Its "
           "status is 1 when a goal of kind always was broken, 4 when one was never reached in a "
           "swarm as long as `after_runs` says; what is red without goals comes before "
           "both.\n\n" +
           sections(goals_spec());
}

std::string schema_document() {
    std::string text =
        "# The form of a scenario file\n\n"
        "Written by `klamm scenario --document` from the tables of `sim/scenario/spec.cc`; "
        "`schema.json` is the same for tools. An unknown key is an error.\n\n"
        "Durations are text: `200us`, `1500ms`, `2s`, `10m`. Whom: ";
    for (const std::string_view word : who_words()) text += fmt::format("`{}`, ", word);
    text +=
        "`producer-1`, `consumer-1`, `rack-1`, or a name that an earlier step gave. Roles may be "
        "of a "
        "partition: `leader of trial-1`. A role that fits several is drawn, and all roles are "
        "looked up when the step falls.\n\n"
        "A step has at most one moment (`at`, `wait`, `when`, `before`, `after`) and at most one "
        "deed; steps come one after the other. Options are Kafka's, by Kafka's names.\n\n";
    return text + sections(scenario_spec());
}

}  // namespace klamm::sim

// Scenario files: what is right is read, what is wrong is said with its place, and no text does
// anything else.
#include <rapidcheck/catch.h>
#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "sim/scenario/parse.h"
#include "sim/scenario/spec.h"
#include "tests/scenario/files.h"

using namespace klamm;
using namespace klamm::sim;
using namespace klamm::tests;

namespace {

std::vector<std::string> files() {
    std::vector<std::string> all;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root + "/scenarios")) {
        const std::string path = entry.path().string();
        if (path.ends_with(".json") && !path.ends_with("schema.json") &&
            path.find("/scenarios/goals.") == std::string::npos)
            all.push_back(path);
    }
    std::sort(all.begin(), all.end());
    return all;
}

/// A scenario of one line each, with these lines for a story.
std::string with_story(const std::string& story) {
    return "{\n\"says\": \"x\",\n"
           "\"goal\": {\"name\": \"g\", \"reached_by\": {\"fact\": \"leads\"}},\n"
           "\"turned_red_by\": \"R1\",\n"
           "\"story\": [\n" +
           story + "\n]\n}\n";
}

std::string scenario_error(const std::string& text) {
    const auto scenario = parse_scenario(text, "f.json");
    REQUIRE_FALSE(scenario.ok());
    return scenario.error().text;
}

}  // namespace

TEST_CASE("file: every scenario of the tree is read, and there are thirty at least") {
    const auto all = files();
    CHECK(all.size() >= 30);
    for (const std::string& path : all) {
        const auto scenario = parse_scenario(text_of(path), path);
        if (!scenario.ok()) FAIL(scenario.error().text);
        CHECK_FALSE(scenario->story.empty());
    }
}

TEST_CASE("file: the published schema and its document are those of the tables") {
    CHECK(text_of(root + "/scenarios/schema.json") == schema_json());
    CHECK(text_of(root + "/scenarios/SCHEMA.md") == schema_document());
}

TEST_CASE("file: errors name file, line, key and what was expected") {
    const auto check = [](const std::string& text, const std::string& sentence) {
        INFO(text);
        CHECK(scenario_error(text) == sentence);
    };
    check("{", "f.json:1: the text ends before the JSON value does");
    check("{\n \"says\" 3}", "f.json:2: no JSON can go on with '3'");
    check("{\"says\": \"x\",\n\"says\": \"y\"}",
          "f.json:2: the key \"says\" is given twice in one object");
    check("[]", "f.json:1: expected an object, a scenario; found a list");
    check("{\n\"say\": \"x\"}",
          "f.json:2: \"say\" is no key of a scenario; did you mean \"says\"?");
    check("{\n\"says\":\n7}", "f.json:3: \"says\": expected text, found 7");
    check(with_story("{\"kil\": \"leader\"}"),
          "f.json:6: \"kil\" is no key of a step; did you mean \"kill\"?");
    check(with_story("{\"kill\": \"leeder\"}"),
          "f.json:6: \"leeder\" is nobody; did you mean \"leader\"?");
    check(with_story("{\"kill\": \"broker-4\"}"), "f.json:6: \"broker-4\": there are 3 brokers");
    check(with_story("{\"at\": \"2 s\", \"kill\": \"leader\"}"),
          "f.json:6: \"at\": expected a duration such as \"1500ms\" or \"2s\", found \"2 s\"");
    check(with_story("{\"at\": \"2s\",\n\"wait\": \"1s\"}"),
          "f.json:7: one moment a step: \"at\", \"wait\", \"when\", \"before\" or \"after\"");
    check(with_story("{\"kill\": \"leader\",\n\"pause\": \"leader\"}"),
          "f.json:7: one thing a step: \"kill\" or \"pause\"");
    check(with_story("{\"kill\": \"leader of trial-1\"}"),
          "f.json:6: \"leader of trial-1\": topic trial has 1 partitions");
    check(with_story("{\"when\": {\"fact\": \"leads\",\n\"acks\": 1}}"),
          "f.json:7: \"acks\" says nothing about \"leads\"; expected by, partition, nth");
    check(with_story("{\"when\": {\"fact\": \"apended\"}}"), [] {
        std::string sentence = scenario_error(with_story("{\"when\": {\"fact\": \"apended\"}}"));
        CHECK(sentence.ends_with("found \"apended\"; did you mean \"appended\"?"));
        return sentence;
    }());
    check(with_story("{\"configure\": {\n\"min.insync.replica\": 1}}"), [] {
        std::string sentence =
            scenario_error(with_story("{\"configure\": {\n\"min.insync.replica\": 1}}"));
        CHECK(sentence.starts_with("f.json:7: "));
        CHECK(sentence.find("min.insync.replica") != std::string::npos);
        return sentence;
    }());
    check(with_story("{\"start\": \"broker-1\", \"for\": \"1s\"}"),
          "f.json:6: \"for\" has no meaning with \"start\"");
    check(with_story("{\"disk\": {\"of\": \"leader\", \"file\": \"log\"}}"),
          "f.json:6: \"disk\": expected \"of\" and one kind of trouble");
    check(with_story("{\"disk\": {\"of\": \"leader\", \"rots\": true,\n\"stalls\": true}}"),
          "f.json:7: one trouble a step: \"rots\" or \"stalls\"");
    check(with_story("{\"disk\": {\"of\": \"leader\", \"stalls\": true,\n\"file\": \"log\"}}"),
          "f.json:7: \"file\" has no meaning with \"stalls\"");
    check(with_story("{\"disk\": {\"of\": \"leader\", \"rots\": true}, \"for\": \"1s\"}"),
          "f.json:6: \"for\" has no meaning with \"disk\"");
    check(with_story("{\"links\": {\"who\": \"leader\", \"refused\": false}}"),
          "f.json:6: \"refused\": expected true");
    check(with_story("{}"), "f.json:6: expected a moment, or what is done");
}

TEST_CASE("file: numbers before a line's end are on that line") {
    CHECK(scenario_error("{\"says\":\n7\n}") == "f.json:2: \"says\": expected text, found 7");
}

TEST_CASE("file: the digest is that of what is said, not of white space and order of keys") {
    const std::uint64_t digest = scenario_digest("{\"a\": 1, \"b\": [true, \"x\"]}");
    CHECK(digest == scenario_digest("{\n  \"b\": [true, \"x\"],\n  \"a\": 1}"));
    CHECK(digest != scenario_digest("{\"a\": 1, \"b\": [\"x\", true]}"));
    CHECK(digest != scenario_digest("{\"a\": 2, \"b\": [true, \"x\"]}"));
}

TEST_CASE("file: near misses are near") {
    const std::vector<std::string_view> known{"kill", "pause", "elect_unclean"};
    CHECK(near_miss("klil", known) == "kill");
    CHECK(near_miss("elect-unclean", known) == "elect_unclean");
    CHECK(near_miss("something", known).empty());
    CHECK(near_miss("", known).empty());
}

TEST_CASE("file: one with any bytes changed is read or refused with its line") {
    const auto all = files();
    rc::prop("mutations", [&] {
        std::string text = text_of(*rc::gen::elementOf(all));
        const int changes = *rc::gen::inRange(1, 6);
        for (int i = 0; i < changes && !text.empty(); ++i) {
            const auto at = *rc::gen::inRange<std::size_t>(0, text.size());
            const auto how = *rc::gen::inRange(0, 4);
            if (how == 0) text.erase(at, *rc::gen::inRange<std::size_t>(1, 20));
            if (how == 1) text.insert(at, 1, *rc::gen::arbitrary<char>());
            if (how == 2) text[at] = *rc::gen::arbitrary<char>();
            if (how == 3) text.insert(at, text.substr(at / 2, 30));
        }
        const auto scenario = parse_scenario(text, "f.json");
        if (scenario.ok()) return;
        RC_ASSERT(scenario.error().text.starts_with("f.json:"));
        const char digit = scenario.error().text[7];
        RC_ASSERT(digit >= '1');
        RC_ASSERT(digit <= '9');
    });
}

// The page of a run: well-formed, on its own, with a story inside that says what happened; and the
// trace, which is JSON too.
#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include "sim/picture/page.h"
#include "tests/picture/room.h"

using namespace klamm;
using namespace klamm::sim;
using namespace klamm::tests;
using nlohmann::json;

namespace {

const std::string story_begins = "<script type=\"application/json\" id=\"story\">";

std::string between(const std::string& text, const std::string& from, const std::string& to) {
    const auto begin = text.find(from) + from.size();
    REQUIRE(begin >= from.size());
    const auto end = text.find(to, begin);
    REQUIRE(end != std::string::npos);
    return text.substr(begin, end - begin);
}

json story_in(const std::string& page) {
    return json::parse(between(page, story_begins, "</script>"));
}

/// Why the tags do not nest; empty if they do. What is in style and script is text.
std::string unbalanced(const std::string& page) {
    const std::set<std::string> lone{"meta", "input", "!DOCTYPE"};
    std::vector<std::string> open;
    for (std::size_t at = page.find('<'); at != std::string::npos; at = page.find('<', at)) {
        const auto end = page.find('>', at);
        if (end == std::string::npos) return "a tag does not end";
        const bool closes = page[at + 1] == '/';
        const std::size_t begin = at + (closes ? 2 : 1);
        const std::string name = page.substr(begin, page.find_first_of(" >/", begin) - begin);
        at = end + 1;
        if (closes) {
            if (open.empty() || open.back() != name) return "</" + name + "> closes nothing";
            open.pop_back();
        } else if (page[end - 1] != '/' && !lone.count(name)) {
            open.push_back(name);
            if (name == "script" || name == "style") at = page.find("</" + name, at);
        }
    }
    return open.empty() ? "" : "<" + open.back() + "> is open";
}

std::vector<std::int64_t> undelta(const json& list) {
    std::vector<std::int64_t> values;
    for (const auto& one : list)
        values.push_back(one.get<std::int64_t>() + (values.empty() ? 0 : values.back()));
    return values;
}

}  // namespace

TEST_CASE("page: is well-formed and asks for nothing from outside") {
    REQUIRE(unbalanced("<a><b></b></a>").empty());
    REQUIRE(!unbalanced("<a><b></a></b>").empty());
    REQUIRE(!unbalanced("<a>").empty());
    const conformance::TemporaryDirectory room;
    OutputPaths paths;
    paths.page = room.path() + "/run.html";
    (void)run_with(small_plan(2), paths);
    const std::string page = text_of(*paths.page);
    REQUIRE(unbalanced(page) == "");
    for (const char* outside : {"http://", "https://", "//cdn", " src=", " href=", "@import",
                                "url(", "fetch(", "XMLHttpRequest", "import("})
        CHECK(page.find(outside) == std::string::npos);
    REQUIRE(page.find("default-src 'none'") != std::string::npos);
    REQUIRE(page.find("/* STORY */") == std::string::npos);
    REQUIRE(page.find("/* SCRIPT */") == std::string::npos);
}

TEST_CASE("page: what a node says cannot end the script that holds it") {
    const std::string said = "</script><b>\"quoted\" \\ <!-- \xff";
    const std::string page = page_of({{"text", said}});
    REQUIRE(unbalanced(page) == "");
    const std::string text = story_in(page)["text"];
    REQUIRE(text.substr(0, text.size() - 3) == said.substr(0, said.size() - 1));
}

TEST_CASE("page: the story has what the run had, in order") {
    const conformance::TemporaryDirectory room;
    OutputPaths paths;
    paths.page = room.path() + "/run.html";
    const RunPlan plan = small_plan(4);
    std::uint64_t facts = 0, committed = 0;
    RunHooks hooks;
    hooks.fact_sink = [&](Instant, const std::string&, const facts::Fact& fact) {
        ++facts;
        committed += std::holds_alternative<facts::PartitionCommitted>(fact) ? 1 : 0;
    };
    const RunResult plain = run_plan(plan, hooks);
    const RunResult result = run_with(plan, paths);
    const json story = story_in(text_of(*paths.page));
    REQUIRE(story["verdict"] == to_string(result.verdict));
    REQUIRE(story["end"] == result.virtual_time.nanoseconds / 1000);
    REQUIRE(story["nodes"].size() >= 1 + plan.cluster.shards.size() + 2);
    REQUIRE(story["nodes"][0] == "controller");
    REQUIRE(story["nodes"][1] == "broker-1");
    REQUIRE(story["faults"].size() == result.fired_ids.size());
    REQUIRE(story["guilty"].is_null());

    const json& events = story["events"];
    const std::vector<std::int64_t> times = undelta(events["time"]);
    REQUIRE(times.size() >= facts);
    REQUIRE(std::is_sorted(times.begin(), times.end()));
    for (const char* column : {"node", "kind", "text"})
        REQUIRE(events[column].size() == times.size());
    std::size_t stated = 0;
    for (const auto& text : events["text"]) stated += text == "states a fact" ? 1 : 0;
    REQUIRE(stated == 0);

    const json& messages = story["messages"];
    const std::vector<std::int64_t> left = undelta(messages["left"]);
    REQUIRE(left.size() > 1000);
    REQUIRE(std::is_sorted(left.begin(), left.end()));
    for (const char* column :
         {"took", "from", "to", "api", "version", "response", "correlation", "bytes", "connection"})
        REQUIRE(messages[column].size() == left.size());
    REQUIRE(messages["names"]["0"] == "Produce");

    std::size_t reigns = 0;
    for (const json& partition : story["partitions"]) {
        reigns += partition["reigns"].size();
        REQUIRE(partition["replicas"].size() == plan.cluster.shards.size());
        for (const json& replica : partition["replicas"]) {
            const auto at = undelta(replica["end"]["time"]);
            REQUIRE(!at.empty());
            REQUIRE(std::is_sorted(at.begin(), at.end()));
            REQUIRE(undelta(replica["end"]["value"]).size() == at.size());
        }
        REQUIRE(!partition["promises"].empty());
    }
    REQUIRE(reigns == committed);
    REQUIRE(plain.hash == result.hash);
}

TEST_CASE("outputs: each line of a trace is JSON, and the last event has the run's hash") {
    const conformance::TemporaryDirectory room;
    OutputPaths paths;
    paths.trace = room.path() + "/trace.jsonl";
    const RunResult result = run_with(small_plan(6), paths);
    std::ifstream file(*paths.trace);
    std::string hash;
    std::uint64_t events = 0, facts = 0, faults = 0, bills = 0;
    for (std::string line; std::getline(file, line);) {
        REQUIRE(bills == 0);  // it comes last
        const auto one = nlohmann::json::parse(line);
        if (one.contains("bill")) {
            ++bills;
        } else if (one.contains("truth")) {
            REQUIRE(one.contains("time"));
        } else if (one.contains("event")) {
            ++events;
            REQUIRE(one["event"] == events);
            hash = one["hash"];
        } else if (one.contains("fault")) {
            ++faults;
        } else {
            ++facts;
            REQUIRE(one["fact"].get<std::string>() != "");
        }
    }
    REQUIRE(bills == 1);
    REQUIRE(events == result.events);
    REQUIRE(faults == result.fired_ids.size());
    REQUIRE(facts > 100);
    REQUIRE(std::stoull(hash, nullptr, 16) == result.hash);
}

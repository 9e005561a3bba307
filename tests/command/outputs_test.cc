// What commands leave behind besides their report: files of a run, of a shrunk run and of `why`;
// colour and progress only where a terminal is.
#include <catch2/catch.hpp>

#include "bindings/command/commands.h"
#include "bindings/command/terminal.h"
#include "tests/command/outcome.h"
#include "tests/picture/room.h"

using namespace klamm;
using namespace klamm::command;
using namespace klamm::tests;

namespace {

std::string line_of(const std::string& text, const std::string& beginning) {
    const auto at = text.rfind("\n" + beginning);
    return at == std::string::npos ? "" : text.substr(at + 1, text.find('\n', at + 1) - at - 1);
}

}  // namespace

TEST_CASE("command: a run's files are written, and its report is the same without them") {
    const conformance::TemporaryDirectory room;
    const std::string base = room.path();
    const std::string trace = base + "/t", pcap = base + "/p", html = base + "/h",
                      disks = base + "/d";
    const std::vector<std::string_view> words{"sim", "--seed", "3", "--length", "5s"};
    std::vector<std::string_view> all = words;
    for (const auto& [name, path] :
         {std::pair<std::string_view, const std::string&>{"--trace", trace},
          {"--pcap", pcap},
          {"--html", html},
          {"--export-disks", disks}}) {
        all.push_back(name);
        all.push_back(path);
    }
    const Outcome plain = klamm_command(words);
    const Outcome written = klamm_command(all);
    REQUIRE(plain.out == written.out);
    REQUIRE(plain.status == written.status);
    REQUIRE(text_of(html).starts_with("<!DOCTYPE html>"));
    REQUIRE(text_of(pcap).size() > 10'000);
    REQUIRE(text_of(trace).find("\"event\":1,") != std::string::npos);
    REQUIRE(std::filesystem::exists(disks + "/broker-1"));
    // A second time the directory is in use.
    const Outcome again = klamm_command({"sim", "--seed", "3", "--export-disks", disks});
    REQUIRE(again.status == 5);
    REQUIRE(again.err.find("is not empty") != std::string::npos);
}

TEST_CASE("command: the shrunk run has a picture, and why has a table and one too") {
    const conformance::TemporaryDirectory room;
    const std::string page = room.path() + "/shrunk.html";
    const std::string why_page = room.path() + "/why.html";
    std::string token;
    for (const std::string_view seed : {"1", "2", "3", "4", "5", "6"}) {
        const Outcome run =
            klamm_command({"sim", "--seed", seed, "--plant", "R1", "--length", "10s"});
        if (run.status != 1) continue;
        const std::string line = line_of(run.out, "replay klamm replay ");
        token = line.substr(line.rfind(' ') + 1);
        break;
    }
    REQUIRE(!token.empty());
    const Outcome shrunk = klamm_command({"shrink", token, "--replays", "20", "--html", page});
    REQUIRE(shrunk.status == 0);
    REQUIRE(shrunk.out.find("the shrunk run:") != std::string::npos);
    REQUIRE(text_of(page).find("\"guilty\":null") == std::string::npos);

    const Outcome why = klamm_command(
        {"why", token, "--branches", "4", "--moments", "9", "--html", why_page}, true);
    REQUIRE(why.status == 0);
    REQUIRE(why.out.find("forked at") != std::string::npos);
    REQUIRE(why.err.find("branches each") != std::string::npos);
    REQUIRE(text_of(why_page).find("\"failed\":4") != std::string::npos);
    REQUIRE(klamm_command({"why", token, "--branches", "0"}).status == 5);
    REQUIRE(klamm_command({"why"}).status == 5);
    REQUIRE(klamm_command({"why", "1.1.calm.l5000"}).status == 4);
}

TEST_CASE("command: colour and progress are for terminals only, and add no words") {
    const Outcome plain = klamm_command({"sim", "--seed", "3", "--length", "5s"});
    const Outcome painted = klamm_command({"sim", "--seed", "3", "--length", "5s"}, true);
    REQUIRE(plain.out.find('\x1b') == std::string::npos);
    REQUIRE(plain.err.empty());
    REQUIRE(painted.out.find("\x1b[32mverdict passed\x1b[0m") != std::string::npos);
    std::string stripped;
    for (std::size_t i = 0; i < painted.out.size(); ++i) {
        if (painted.out[i] == '\x1b')
            i = painted.out.find('m', i);
        else
            stripped += painted.out[i];
    }
    REQUIRE(stripped == plain.out);
    const Outcome swarm =
        klamm_command({"swarm", "--seeds", "2", "--length", "2s", "--profile", "calm"});
    REQUIRE(swarm.err.empty());
}

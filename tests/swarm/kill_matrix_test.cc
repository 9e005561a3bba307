// The kill matrix on a short budget: a row a plant, and one without; what is found is found by the
// plant, with a rule of the contract and a run that shows it.
#include <catch2/catch.hpp>

#include <algorithm>

#include "sim/judge/contract.h"
#include "sim/run/kill_matrix.h"

using namespace klamm;
using namespace klamm::sim;

TEST_CASE(
    "kill matrix: plants are found, by the history alone where it shows them, and no plant "
    "is not") {
    KillOptions options;
    options.cpu_budget = milliseconds(400);
    options.swarm.profile = Profile::storm;
    const std::vector<KillRow> rows = kill_matrix(options);
    const auto in_cluster = std::count_if(bug_catalogue().begin(), bug_catalogue().end(),
                                          [](const BugEntry& entry) { return entry.in_cluster; });
    REQUIRE(rows.size() == static_cast<std::size_t>(in_cluster) + 1);
    CHECK_FALSE(rows[0].bug.has_value());
    CHECK_FALSE(rows[0].judge.found);
    CHECK_FALSE(rows[0].history.found);
    CHECK(rows[0].judge.runs > 0);
    const KillRow& r1 = rows[1];
    REQUIRE(r1.bug == Bug::acks_all_like_one);
    CHECK(r1.judge.found);
    CHECK(r1.history.found);
    CHECK(contract_knows(r1.judge.rule));
    CHECK(shows_in_history(r1.history.rule));
    CHECK_FALSE(r1.judge.token.empty());
    const std::string document = matrix_document(rows, options);
    for (const KillRow& row : rows)
        if (row.judge.found) CHECK(document.find(row.judge.token) != std::string::npos);
    CHECK(document.find("| none | storm |") != std::string::npos);
}

TEST_CASE("kill matrix: all are killed when each is found both ways somewhere, and nothing else") {
    const auto row = [](std::optional<Bug> bug, bool judge, bool history) {
        KillRow one;
        one.bug = bug;
        one.judge.found = judge;
        one.history.found = history;
        return one;
    };
    const Bug r1 = Bug::acks_all_like_one;
    CHECK(all_killed({row({}, false, false), row(r1, true, false), row(r1, false, true)}));
    CHECK_FALSE(all_killed({row({}, false, false), row(r1, true, false)}));
    CHECK_FALSE(all_killed({row({}, true, false), row(r1, true, true)}));
    CHECK(shows_in_history("LOST"));
    CHECK_FALSE(shows_in_history("I1"));
    CHECK_FALSE(shows_in_history("malformed"));
}

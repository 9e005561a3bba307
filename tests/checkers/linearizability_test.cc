// Linearizability of named objects: verdicts agree with brute force, counterexamples are minimal,
// and the files that others write are read.
#include <rapidcheck/catch.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include "checkers/linearizability.h"
#include "checkers/operation_reader.h"
#include "checkers/timeline.h"
#include "tests/checkers/histories.h"

using namespace klamm;
using namespace klamm::checkers;

namespace {

Linearizability judge(ModelName model, std::string_view text,
                      const LinearizabilityOptions& options = {}) {
    const auto history = read_operations(text);
    INFO((history.ok() ? "" : history.error().text));
    REQUIRE(history.ok());
    REQUIRE(first_unknown(model, *history) == -1);
    return check_linearizability(model, *history, options);
}

std::string picture(ModelName model, std::string_view text, bool quick) {
    const auto history = read_operations(text);
    REQUIRE(history.ok());
    LinearizabilityOptions options;
    options.quick = quick;
    const Linearizability result = check_linearizability(model, *history, options);
    CHECK(result.verdict == Verdict::not_linearizable);
    CHECK(result.counterexample.minimal);
    return draw(*history, result.counterexample.operations);
}

std::string parse_error(std::string_view text) {
    const auto history = read_operations(text);
    return history.ok() ? "no error" : history.error().text;
}

}  // namespace

TEST_CASE("linearizability: a log of etcd, read as Jepsen wrote it") {
    const std::string good =
        "INFO  jepsen.util - 4\t:invoke\t:read\tnil\n"
        "INFO  jepsen.util - 4\t:ok\t:read\tnil\n"
        "INFO  jepsen.util - 1\t:invoke\t:write\t1\n"
        "INFO  jepsen.util - 2   :invoke :cas    [2 4]\n"
        "INFO  jepsen.util - 3\t:invoke\t:cas\t[1 2]\n"
        "INFO  jepsen.util - 1\t:ok\t:write\t1\n"
        "INFO  jepsen.util - 2\t:ok\t:cas\t[2 4]\n"
        "INFO  jepsen.util - 3\t:info\t:cas\t:timed-out\n"
        "INFO  jepsen.util - 5\t:invoke\t:read\tnil\n"
        "INFO  jepsen.util - 5\t:fail\t:read\t:timed-out\n"
        "INFO  jepsen.util - 5\t:invoke\t:cas\t[1 3]\n"
        "INFO  jepsen.util - 5\t:fail\t:cas\t[1 3]\n";
    const Linearizability result = judge(ModelName::reg, good);
    CHECK(result.verdict == Verdict::linearizable);
    CHECK(result.parts == 1);
    CHECK(result.parts_quick == 0);
    // The compare-and-set that was refused would have found 1, had nothing come between.
    std::string bad = good;
    bad.replace(bad.find(":cas\t[2 4]\nINFO  jepsen.util - 3\t:info"), 10, ":cas\t[2 4]");
    bad += "INFO  jepsen.util - 6\t:invoke\t:read\tnil\nINFO  jepsen.util - 6\t:ok\t:read\t1\n";
    CHECK(judge(ModelName::reg, bad).verdict == Verdict::not_linearizable);
}

TEST_CASE("linearizability: a map of strings, read as Porcupine's are written") {
    const std::string start =
        "{:process 0, :type :invoke, :f :append, :key \"0\", :value \"x 0 0 y\"}\n"
        "{:process 1, :type :invoke, :f :append, :key \"0\", :value \"x 1 0 y\"}\n"
        "{:process 2, :type :invoke, :f :put, :key \"1\", :value \"z\"}\n"
        "{:process 1, :type :ok, :f :append, :key \"0\", :value \"x 1 0 y\"}\n"
        "{:process 0, :type :ok, :f :append, :key \"0\", :value \"x 0 0 y\"}\n"
        "{:process 2, :type :ok, :f :put, :key \"1\", :value \"z\"}\n"
        "{:process 3, :type :invoke, :f :get, :key \"0\", :value nil}\n";
    const auto get = [&](std::string_view value) {
        return judge(ModelName::kv, start +
                                        "{:process 3, :type :ok, :f :get, :key \"0\", :value \"" +
                                        std::string(value) + "\"}\n");
    };
    const Linearizability result = get("x 1 0 yx 0 0 y");
    CHECK(result.verdict == Verdict::linearizable);
    CHECK(result.parts == 2);
    CHECK(get("x 0 0 yx 1 0 y").verdict == Verdict::linearizable);
    CHECK(get("x 0 0 y").verdict == Verdict::not_linearizable);
    CHECK(get("").verdict == Verdict::not_linearizable);
}

TEST_CASE("linearizability: what is wrong is drawn with the operations that it takes, no others") {
    const std::string text =
        R"({"client":1,"kind":"operation_invoked","function":"write","input":1}
{"client":1,"kind":"operation_returned","outcome":"ok"}
{"client":2,"kind":"operation_invoked","function":"write","input":2}
{"client":2,"kind":"operation_returned","outcome":"ok"}
{"client":4,"kind":"operation_invoked","function":"write","input":3}
{"client":3,"kind":"operation_invoked","function":"read"}
{"client":3,"kind":"operation_returned","outcome":"ok","output":1}
{"client":4,"kind":"operation_returned","outcome":"ok"}
{"client":3,"kind":"operation_invoked","function":"read"}
{"client":3,"kind":"operation_returned","outcome":"ok","output":3}
)";
    const std::string drawn =
        "client 1  |- write 1 -|\n"
        "client 2                |- write 2 -|\n"
        "client 3                              |- read -> 1 -|\n";
    CHECK(picture(ModelName::reg, text, false) == drawn);
    CHECK(picture(ModelName::reg, text, true) == drawn);
}

TEST_CASE("linearizability: errors of a file of operations name the line") {
    CHECK(parse_error("") == "no error");
    CHECK(parse_error("{:process 0 :type :invoke :f :fly}") ==
          "line 1: expected a function, one of read get write put cas append enqueue dequeue add "
          "remove contains; found \"fly\"");
    CHECK(parse_error("{:process 0 :type :ok :f :read}") ==
          "line 1: client 0 returns from an operation that it has not invoked");
    CHECK(parse_error("\n{:process 0 :type :invoke :f :read") ==
          "line 2, column 35: expected \"}\", found the end of the file");
    CHECK(parse_error("{:process 0 :type :invoke :f :read}\n{:process 0 :type :invoke :f :read}") ==
          "line 2: client 0 invokes \"read\" before its last operation returned");
    CHECK(parse_error("INFO jepsen.util - 1 :invoke :cas 3") ==
          "line 1: expected [old new] for cas");
    CHECK(parse_error("1 :read nil") == "line 1: expected PROCESS :TYPE :FUNCTION VALUE");
    CHECK(parse_error(R"({"client":1,"kind":"invoked","function":"read"})") ==
          "line 1, key \"kind\": expected operation_invoked or operation_returned");
    CHECK(parse_error(R"({"client":1,"kind":"operation_invoked","function":"add"})") ==
          "line 1: expected a value for add");
}

TEST_CASE("linearizability: nemesis and tags are passed over") {
    const auto history = read_operations(
        "[#jepsen.history.Op{:process :nemesis, :type :info, :f :start, :value nil}\n"
        " #jepsen.history.Op{:process 0, :type :invoke, :f :write, :value 3, :time 17}\n"
        " #_{:ignored 1} ; and this\n"
        " {:process 0, :type :ok, :f :write, :value 3, :time 19}]");
    REQUIRE(history.ok());
    REQUIRE(history->operations.size() == 1);
    CHECK(history->operations[0].call_time == 17);
    CHECK(history->operations[0].return_time == 19);
    CHECK(describe(*history, history->operations[0]) == "write 3");
}

// Agreement with brute force: tests/checkers/histories.h draws the histories. KLAMM_CASES histories
// for each kind (20,000 unless told otherwise); tests/full takes a million.

TEST_CASE("linearizability: small histories agree with brute force") {
    for (const SmallKind kind : small_kinds) {
        const Agreement agreement = agree(kind, cases(20'000), 1);
        INFO(to_string(kind));
        CHECK(agreement.disagreements == 0);
        CHECK(agreement.linearizable * 20 > agreement.cases);
        CHECK((agreement.cases - agreement.linearizable) * 20 > agreement.cases);
        if (has_quick(kind)) CHECK(agreement.quick * 2 > agreement.cases);
    }
}

TEST_CASE("linearizability: a counterexample fails alone, and no part of it does") {
    for (const SmallKind kind : small_kinds) {
        INFO(to_string(kind));
        CHECK(counterexamples_are_minimal(kind, 2'000, 7) > 20);
    }
}

TEST_CASE("linearizability: histories of a real object always pass") {
    rc::prop("lawful", [] {
        const auto kind =
            *rc::gen::elementOf(std::vector<SmallKind>(small_kinds.begin(), small_kinds.end()));
        const auto seed = *rc::gen::arbitrary<std::uint64_t>();
        const auto clients = *rc::gen::inRange(1, 4);
        const OperationHistory history = lawful_history(kind, seed, 24, clients);
        RC_ASSERT(check_linearizability(model_name(kind), history).verdict ==
                  Verdict::linearizable);
    });
}

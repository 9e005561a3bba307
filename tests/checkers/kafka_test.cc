// The checker of Jepsen's Kafka workload: each published anomaly by its name, the lawful ones as
// lawful, and the cases where others are blind.
#include <fmt/format.h>
#include <rapidcheck/catch.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>
#include <string>

#include "checkers/kafka_checker.h"

using namespace klamm;
using namespace klamm::checkers;

namespace {

/// Lines `PROCESS TYPE FUNCTION VALUE`, e.g. "0 ok send [[:send 0 [4 7]]]", as EDN.
std::string edn(std::initializer_list<const char*> lines) {
    std::string out;
    for (const std::string line : lines) {
        const std::size_t a = line.find(' ');
        const std::size_t b = line.find(' ', a + 1);
        const std::size_t c = line.find(' ', b + 1);
        out += fmt::format("{{:process {}, :type :{}, :f :{}, :value {}}}\n", line.substr(0, a),
                           line.substr(a + 1, b - a - 1), line.substr(b + 1, c - b - 1),
                           line.substr(c + 1));
    }
    return out;
}

/// What is found: names in order, those that are lawful in brackets.
std::string names(const std::string& text, const KafkaOptions& options = {}) {
    const auto history = read_kafka_edn(text);
    INFO((history.ok() ? "" : history.error().text));
    REQUIRE(history.ok());
    const KafkaJudgement judgement = check_kafka(*history, options);
    std::set<std::string> all;
    std::uint64_t red = 0;
    for (const KafkaAnomaly& one : judgement.anomalies) {
        all.insert(one.lawful ? "(" + one.name + ")" : one.name);
        red += one.lawful ? 0 : 1;
    }
    CHECK(red == judgement.found);
    std::string out;
    for (const std::string& one : all) out += (out.empty() ? "" : " ") + one;
    return out;
}

const std::string sent_0_to_3 =
    edn({"9 invoke send [[:send :x 0] [:send :x 1] [:send :x 2] "
         "[:send :x 3]]",
         "9 ok send [[:send :x [0 0]] [:send :x [1 1]] [:send :x [2 2]]"
         " [:send :x [3 3]]]"});
/// All that there is, read in the end by process 8.
std::string read_all(const char* polled) {
    return edn({"8 invoke poll [[:poll]]"}) +
           fmt::format("{{:process 8, :type :ok, :f :poll, :value [[:poll {}]]}}\n", polled);
}

}  // namespace

TEST_CASE("kafka: a lawful history passes") {
    CHECK(names(sent_0_to_3 + read_all("{:x [[0 0] [1 1] [2 2] [3 3]]}")).empty());
}

TEST_CASE("kafka: offsets and values") {
    CHECK(names(edn({"0 invoke send [[:send :x 1]]", "0 ok send [[:send :x [5 1]]]"}) +
                read_all("{:x [[5 1]]}") +
                edn({"1 invoke send [[:send :x 2]]", "1 info send [[:send :x [5 2]]]"}))
              .empty());
    CHECK(names(edn({"0 invoke send [[:send :x 1]]", "1 invoke send [[:send :x 2]]",
                     "0 ok send [[:send :x [5 1]]]", "1 ok send [[:send :x [5 2]]]"}) +
                read_all("{:x [[5 1]]}")) == "inconsistent-offsets lost-write");
    CHECK(names(edn({"0 invoke send [[:send :x 1]]", "0 ok send [[:send :x [5 1]]]"}) +
                read_all("{:x [[5 1] [6 1]]}")) == "duplicate int-nonmonotonic-poll");
    KafkaOptions repeated;
    repeated.idempotent = false;
    CHECK(names(edn({"0 invoke send [[:send :x 1]]", "0 ok send [[:send :x [5 1]]]"}) +
                    read_all("{:x [[6 1]]}"),
                repeated) == "(duplicate)");
    CHECK(names(edn({"0 invoke send [[:send :x 1]]", "0 fail send [[:send :x 1]]"}) +
                read_all("{:x [[0 1]]}")) == "G1a");
    CHECK(names(read_all("{:x [[0 1]]}")) == "garbage-read");
}

TEST_CASE("kafka: lost writes and those never seen") {
    CHECK(names(sent_0_to_3 + read_all("{:x [[0 0] [2 2] [3 3]]}")) ==
          "int-poll-skip lost-write torn");
    CHECK(names(edn({"0 invoke send [[:send :x 0]]", "0 ok send [[:send :x [0 0]]]",
                     "0 invoke send [[:send :x 1]]", "0 ok send [[:send :x [1 1]]]"}) +
                read_all("{:x [[0 0]]}")) == "unseen");
    // An unknown transaction is lost only if one of its values was read.
    const std::string unknown =
        edn({"0 invoke send [[:send :x :a] [:send :y :b]]",
             "0 info send [[:send :x :a] [:send :y [0 :b]]]", "1 invoke send [[:send :y :c]]",
             "1 info send [[:send :y :c]]"}) +
        read_all("{:y [[1 :c]]}");
    CHECK(names(unknown).empty());
    CHECK(names(unknown + edn({"2 invoke poll [[:poll]]", "2 ok poll [[:poll {:x [[0 :a]]}]]"})) ==
          "lost-write torn");
    KafkaOptions compacted;
    compacted.compacted = true;
    CHECK(names(sent_0_to_3 + read_all("{:x [[3 3]]}"), compacted) == "(lost-write)");
}

TEST_CASE("kafka: polls that skip and go back, within and between operations") {
    const std::string all = sent_0_to_3 + read_all("{:x [[0 0] [1 1] [2 2] [3 3]]}");
    CHECK(names(all + edn({"1 invoke poll [[:poll]]", "1 ok poll [[:poll {:x [[1 1] [0 0]]}]]"})) ==
          "int-nonmonotonic-poll");
    CHECK(names(all + edn({"1 invoke poll [[:poll]]", "1 ok poll [[:poll {:x [[0 0] [2 2]]}]]"})) ==
          "int-poll-skip");
    // The same with a rebalance meanwhile.
    CHECK(names(all + "{:process 1, :type :invoke, :f :poll, :value [[:poll]]}\n"
                      "{:process 1, :type :ok, :f :poll, :value [[:poll {:x [[0 0] [2 2]]}]], "
                      ":rebalance-log [{:keys [:x]}]}")
              .empty());
    const std::string two =
        all + edn({"1 invoke poll [[:poll]]", "1 ok poll [[:poll {:x [[1 1]]}]]",
                   "1 invoke assign [:y]", "1 ok assign [:y]"});
    const std::string skip = edn({"1 invoke poll [[:poll]]", "1 ok poll [[:poll {:x [[3 3]]}]]"});
    const std::string back = edn({"1 invoke poll [[:poll]]", "1 ok poll [[:poll {:x [[1 1]]}]]"});
    CHECK(names(two + skip).empty());
    CHECK(names(two + back).empty());
    std::string kept = two;
    kept.replace(kept.find("assign, :value [:y]"), 19, "assign, :value [:x]");
    CHECK(names(kept + skip) == "poll-skip");
    CHECK(names(kept + back) == "nonmonotonic-poll");
    std::string subscribed = kept;
    subscribed.replace(subscribed.find(":assign"), 7, ":subscribe");
    CHECK(names(subscribed + skip) == "(poll-skip)");
}

TEST_CASE("kafka: an aborted transaction polls again from where the last one ended") {
    const std::string all =
        sent_0_to_3 + read_all("{:x [[0 0] [1 1] [2 2] [3 3]]}") +
        edn({"1 invoke txn [[:poll]]", "1 ok txn [[:poll {:x [[0 0]]}]]", "1 invoke txn [[:poll]]",
             "1 fail txn [[:poll {:x [[1 1] [2 2]]}]]"});
    CHECK(names(all + edn({"1 invoke txn [[:poll]]", "1 ok txn [[:poll {:x [[1 1] [2 2]]}]]"}))
              .empty());
    CHECK(names(all + edn({"1 invoke txn [[:poll]]", "1 fail txn [[:poll {:x [[3 3]]}]]"})) ==
          "poll-skip");
}

TEST_CASE("kafka: sends that another comes between, or that go back") {
    const std::string other =
        edn({"1 invoke send [[:send :x :b]]", "1 ok send [[:send :x [1 :b]]]"});
    const std::string read = read_all("{:x [[0 :a] [1 :b] [2 :c]]}");
    CHECK(names(edn({"0 invoke txn [[:send :x :a] [:send :x :c]]"}) + other +
                edn({"0 ok txn [[:send :x [0 :a]] [:send :x [2 :c]]]"}) + read) ==
          "(G0) (int-send-skip)");
    CHECK(names(edn({"0 invoke txn [[:send :x :c] [:send :x :b]]",
                     "0 ok txn [[:send :x [2 :c]] [:send :x [1 :b]]]"}) +
                read_all("{:x [[1 :b] [2 :c]]}")) == "int-nonmonotonic-send");
    CHECK(names(edn({"0 invoke send [[:send :x :c]]", "0 info send [[:send :x [2 :c]]]",
                     "0 invoke send [[:send :x :b]]", "0 ok send [[:send :x [1 :b]]]"}) +
                read_all("{:x [[1 :b] [2 :c]]}")) == "nonmonotonic-send");
}

TEST_CASE("kafka: cycles are found and told") {
    const std::string g1c =
        edn({"0 invoke txn [[:send :x :a] [:poll]]", "1 invoke txn [[:send :y :b] [:poll]]",
             "0 ok txn [[:send :x [0 :a]] [:poll {:y [[0 :b]]}]]",
             "1 ok txn [[:send :y [0 :b]] [:poll {:x [[0 :a]]}]]"});
    CHECK(names(g1c) == "G1c");
    const auto history = read_kafka_edn(g1c);
    REQUIRE(history.ok());
    CHECK(check_kafka(*history).anomalies.at(0).sentence ==
          "process 0's transaction (line 3) wrote value :a of key :x, which the next read; "
          "process 1's transaction (line 4) wrote value :b of key :y, which the next read");
    CHECK(names(edn({"0 invoke send [[:send :x :a] [:send :y :a]]",
                     "1 invoke send [[:send :x :b] [:send :y :b]]",
                     "0 ok send [[:send :x [0 :a]] [:send :y [1 :a]]]",
                     "1 ok send [[:send :x [1 :b]] [:send :y [0 :b]]]"}) +
                read_all("{:x [[0 :a] [1 :b]], :y [[0 :b] [1 :a]]}")) == "(G0)");
    // With a version between: lawful, as Kafka does not isolate writes.
    CHECK(names(edn({"0 invoke txn [[:send :x :a] [:send :y :c]]",
                     "1 invoke txn [[:poll] [:send :y :b]]",
                     "0 ok txn [[:send :x [0 :a]] [:send :y [2 :c]]]",
                     "1 ok txn [[:poll {:x [[0 :a]]}] [:send :y [1 :b]]]"}) +
                read_all("{:x [[0 :a]], :y [[1 :b] [2 :c]]}")) == "(G1c)");
    // A reader that ended before the writer began; the same within a process.
    CHECK(names(edn({"1 invoke poll [[:poll]]", "1 ok poll [[:poll {:x [[0 :a]]}]]",
                     "0 invoke send [[:send :x :a]]", "0 ok send [[:send :x [0 :a]]]"})) ==
          "G1c-realtime realtime-order");
    CHECK(names(edn({"0 invoke poll [[:poll]]", "0 ok poll [[:poll {:x [[0 :a]]}]]",
                     "0 invoke send [[:send :x :a]]", "0 ok send [[:send :x [0 :a]]]"})) ==
          "G1c-process G1c-realtime realtime-order");
    CHECK(names(edn({"0 invoke poll [[:poll]]", "0 ok poll [[:poll {}]]"})) ==
          "empty-transaction-graph");
}

TEST_CASE("kafka: P1, an unknown send that the last operation is the first to read is valid") {
    CHECK(names(edn({"0 invoke send [[:send :x :a]]", "0 info send [[:send :x :a]]",
                     "1 invoke poll [[:poll]]", "1 ok poll [[:poll {:x [[0 :a]]}]]"}))
              .empty());
}

TEST_CASE("kafka: P2, a later send is acknowledged at a smaller offset") {
    CHECK(names(edn({"0 invoke send [[:send :x :a]]", "0 ok send [[:send :x [1 :a]]]",
                     "1 invoke send [[:send :x :b]]", "1 ok send [[:send :x [0 :b]]]"}) +
                read_all("{:x [[0 :b] [1 :a]]}")) == "(G0-realtime) realtime-order");
}

TEST_CASE("kafka: P3, a poll that returns nothing of what was acknowledged is stale") {
    const std::string text =
        edn({"1 invoke assign [:x]", "1 ok assign [:x]", "0 invoke send [[:send :x :a]]",
             "0 ok send [[:send :x [0 :a]]]", "1 invoke poll [[:poll]]", "1 ok poll [[:poll {}]]",
             "1 invoke poll [[:poll]]", "1 ok poll [[:poll {:x [[0 :a]]}]]"});
    CHECK(names(text) == "(stale-read)");
    KafkaOptions strict;
    strict.strict = true;
    CHECK(names(text, strict) == "stale-read");
}

TEST_CASE("kafka: P4, a transaction that polls its own send is lawful at read_uncommitted only") {
    const std::string text = edn({"0 invoke txn [[:send :x :a] [:poll]]",
                                  "0 ok txn [[:send :x [0 :a]] [:poll {:x [[0 :a]]}]]"});
    CHECK(names(text) == "precommitted-read");
    KafkaOptions uncommitted;
    uncommitted.read_committed = false;
    CHECK(names(text, uncommitted) == "(precommitted-read)");
}

TEST_CASE("kafka: P5, a committed transaction of which one part never shows is torn") {
    CHECK(names(edn({"0 invoke txn [[:send :x :a] [:send :y :b]]",
                     "0 ok txn [[:send :x [0 :a]] [:send :y [0 :b]]]"}) +
                read_all("{:x [[0 :a]]}")) == "torn unseen");
}

TEST_CASE(
    "kafka: P6, an unknown transaction is torn when one part shows and one without an offset "
    "does not") {
    const std::string begin =
        edn({"0 invoke txn [[:send :x :a] [:send :y :b]]",
             "0 info txn [[:send :x :a] [:send :y :b]]", "1 invoke poll [[:poll]]",
             "1 ok poll [[:poll {:x [[0 :a]]}]]", "2 invoke send [[:send :y :c] [:send :y :d]]",
             "2 ok send [[:send :y [7 :c]] [:send :y [8 :d]]]"});
    CHECK(names(begin + read_all("{:y [[7 :c] [8 :d]]}")) == "torn");
    CHECK(names(begin + read_all("{:y [[6 :b] [7 :c] [8 :d]]}")).empty());
}

TEST_CASE("kafka: P7, two members of a group commit the same input") {
    const std::string text = edn({"0 invoke subscribe [:x]", "0 ok subscribe [:x]",
                                  "1 invoke subscribe [:x]", "1 ok subscribe [:x]",
                                  "9 invoke send [[:send :x :a]]", "9 ok send [[:send :x [0 :a]]]",
                                  "0 invoke txn [[:poll]]", "0 ok txn [[:poll {:x [[0 :a]]}]]",
                                  "1 invoke txn [[:poll]]", "1 ok txn [[:poll {:x [[0 :a]]}]]"});
    CHECK(names(text) == "double-consumption");
    std::string aborted = text;
    aborted.replace(aborted.find(":ok, :f :txn"), 12, ":fail, :f :txn");
    CHECK(names(aborted).empty());
}

TEST_CASE("kafka: P8, a far offset costs nothing") {
    CHECK(names(edn({"0 invoke send [[:send :x :a]]", "0 ok send [[:send :x [20000000 :a]]]"}) +
                read_all("{:x [[20000000 :a]]}"))
              .empty());
}

TEST_CASE("kafka: every name can be reported") {
    CHECK(kafka_anomaly_names().size() == 25);
    const std::vector<std::string> all = kafka_anomaly_names();
    CHECK(std::is_sorted(all.begin(), all.end()));
}

TEST_CASE("kafka: errors name the line") {
    const auto error_of = [](std::string_view text) {
        const auto history = read_kafka_edn(text);
        return history.ok() ? "no error" : history.error().text;
    };
    CHECK(error_of("{:process 0, :type :ok, :f :poll, :value []}") ==
          "line 1: expected an operation that was invoked, found {:process 0 :type :ok :f :poll "
          ":value []}");
    CHECK(error_of("{:process 0, :type :invoke, :f :send, :value [[:send 1]]}") ==
          "line 1: expected [:send key value], found [:send 1]");
    CHECK(error_of("\n[{:process 0, :type :invoke, :f :poll, :value [[:fly]]}]") ==
          "line 2: expected :send or :poll, found :fly");
    CHECK(error_of("{:process 0, :type :invoke, :f :poll, :value [[:poll") ==
          "line 1, column 53: expected \"]\", found the end of the file");
    CHECK(error_of("{:a 1}") ==
          "line 1: expected an operation with :process and :type, found {:a 1}");
}

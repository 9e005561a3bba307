// Transactions over lists: Elle's published examples, written again in a notation of our own, and
// what offsets add. "x<1" appends 1 to x, "x:12" reads 1 and 2 in x, "x:" reads nothing.
#include "checkers/transaction_checker.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

using namespace klamm;
using namespace klamm::checkers;

namespace {

struct ToldTransaction {
    const char* actions;
    const char* type = "ok";
    int process = -1;  // its own
};

std::string actions_as_edn(const std::string& actions, bool asked) {
    std::istringstream words(actions);
    std::string out;
    for (std::string word; words >> word;) {
        const std::string key = word.substr(0, 1);
        if (word[1] == '<') {
            const std::size_t at = word.find('@');
            const std::string element = word.substr(2, at == std::string::npos ? at : at - 2);
            out += at == std::string::npos || asked
                       ? fmt::format("[:append :{} {}]", key, element)
                       : fmt::format("[:append :{} [{} {}]]", key, word.substr(at + 1), element);
            continue;
        }
        std::string read;
        for (const char c : word.substr(2)) read += std::string(1, c) + " ";
        out += asked ? fmt::format("[:r :{} nil]", key) : fmt::format("[:r :{} [{}]]", key, read);
    }
    return out;
}

std::string event_text(const ToldTransaction& told, std::size_t i, bool asked) {
    const int process = told.process >= 0 ? told.process : 100 + static_cast<int>(i);
    return fmt::format("{{:process {}, :type :{}, :f :txn, :value [{}]}}\n", process,
                       asked ? "invoke" : told.type, actions_as_edn(told.actions, asked));
}
/// All at once: real time orders nothing.
std::string at_once(const std::vector<ToldTransaction>& all) {
    std::string out;
    for (std::size_t i = 0; i < all.size(); ++i) out += event_text(all[i], i, true);
    for (std::size_t i = 0; i < all.size(); ++i) out += event_text(all[i], i, false);
    return out;
}
std::string in_turn(const std::vector<ToldTransaction>& all) {
    std::string out;
    for (std::size_t i = 0; i < all.size(); ++i)
        out += event_text(all[i], i, true) + event_text(all[i], i, false);
    return out;
}

TransactionJudgement judged(const std::string& text, const char* isolation) {
    const auto history = read_transactions(text);
    INFO((history.ok() ? "" : history.error().text));
    REQUIRE(history.ok());
    TransactionOptions options;
    REQUIRE(isolation_of(isolation, options.isolation, options.order));
    return check_transactions(*history, options);
}
/// What is found, those that are lawful in brackets.
std::string found_in(const std::string& text, const char* isolation = "strict-serializable") {
    std::set<std::string> all;
    std::uint64_t red = 0;
    for (const TransactionAnomaly& one : judged(text, isolation).anomalies) {
        all.insert(one.lawful ? "(" + one.name + ")" : one.name);
        red += one.lawful ? 0 : 1;
    }
    CHECK(red == judged(text, isolation).found);
    std::string out;
    for (const std::string& one : all) out += (out.empty() ? "" : " ") + one;
    return out;
}
std::string ruled_out(const std::string& text) {
    std::string out;
    for (const std::string& one : judged(text, "strict-serializable").ruled_out) {
        out += (out.empty() ? "" : " ") + one;
    }
    return out;
}

}  // namespace

TEST_CASE("transactions: what is in order passes") {
    CHECK(found_in("") == "");
    CHECK(found_in(in_turn({{"x<1"}, {"x:1"}, {"x<2 y:"}, {"x:12 y<1"}, {"y:1 x:12"}})) == "");
    // Adya, Liskov and O'Neil's figure 3.
    CHECK(found_in(at_once({{"z<1 x<1 y<1"}, {"x:1 y<2"}, {"y:12 z<3"}, {"z:13"}})) == "");
    // Its own append after its own read is no conflict with itself.
    CHECK(found_in(in_turn({{"x: x<1 x<2"}, {"x:12"}})) == "");
    // What an unknown transaction asked to read is not what it read.
    CHECK(found_in(at_once({{"x<2 y:", "info"}, {"x<1 y<1"}, {"x:12 y:1"}})) == "");
}

TEST_CASE("transactions: G0, lists written in two orders") {
    const std::string text = at_once({{"x<1 y<1"}, {"x<2 y<2"}, {"x:12 y:21"}});
    CHECK(found_in(text, "read-uncommitted") == "G0");
    CHECK(ruled_out(text) == "read-uncommitted");
    CHECK(found_in(text, "kafka") == "(G0)");
    // What nobody has read lies behind what was read, here 1 in y.
    CHECK(found_in(at_once({{"x<1 y<1"}, {"x<2 y<2"}, {"x<3 y<3"}, {"x:12"}, {"y:2"}})) ==
          "G-single-item G0");
}

TEST_CASE("transactions: G1a, what failed is read") {
    CHECK(found_in(at_once({{"x<1", "fail"}, {"x:1"}}), "read-committed") == "G1a");
    CHECK(found_in(at_once({{"x<1", "fail"}, {"x:1"}}), "read-uncommitted") == "(G1a)");
    CHECK(found_in(at_once({{"x<1", "fail"}, {"x:1 x<2"}, {"x:12 y:3"}, {"y<3"}})) ==
          "G1a dirty-update");
    CHECK(found_in(at_once({{"x<1", "info"}, {"x:1"}})) == "");
}

TEST_CASE("transactions: G1b, what lies between two appends is read") {
    const std::string text = at_once({{"x<1 x<2"}, {"x:1"}});
    CHECK(found_in(text, "read-committed") == "(G-single-item) G1b");
    CHECK(found_in(text) == "G-single-item G1b");
    CHECK(ruled_out(text) == "read-committed");
    CHECK(found_in(at_once({{"x<1 x:1 x<2"}})) == "");
    CHECK(found_in(at_once({{"x<1 x<2"}, {"x<3"}, {"x:123"}})) == "");
}

TEST_CASE("transactions: G1c, information flows in a circle") {
    const std::string text = at_once({{"x<1 y:1"}, {"x<2 y<1"}, {"x:12 y:1"}});
    CHECK(found_in(text, "read-committed") == "G1c");
    CHECK(found_in(text, "read-uncommitted") == "(G1c)");
    // Writes are not isolated in Kafka; reads alone make no circle there either.
    CHECK(found_in(text, "kafka") == "(G1c)");
    CHECK(found_in(at_once({{"x<1 y:1"}, {"y<1 x:1"}}), "kafka") == "G1c");
}

TEST_CASE("transactions: one anti-dependency, several, and several apart") {
    const std::string single = at_once({{"x<1 y<1"}, {"x<2 y:"}, {"x:12"}});
    CHECK(found_in(single, "snapshot-isolation") == "G-single-item");
    CHECK(found_in(single, "read-committed") == "(G-single-item)");
    CHECK(ruled_out(single) == "repeatable-read snapshot-isolation");
    CHECK(found_in(at_once({{"x<1 y<1"}, {"x:1 y:"}}), "repeatable-read") == "G-single-item");
    const std::string skew = at_once({{"x<1 y:"}, {"y<1 x:"}});
    CHECK(found_in(skew, "serializable") == "G2-item");
    CHECK(found_in(skew, "snapshot-isolation") == "(G2-item)");
    CHECK(ruled_out(skew) == "repeatable-read");
    const std::string apart = at_once({{"x<1"}, {"x:1 y:"}, {"y<1"}, {"y:1 x:"}});
    CHECK(found_in(apart, "snapshot-isolation") == "G-nonadjacent-item");
    CHECK(found_in(at_once({{"x<1 t<1"}, {"x:1 y:"}, {"y<1 z<2"}, {"z:2 t:"}}),
                   "repeatable-read") == "G-nonadjacent-item");
    // Two of three next to each other: snapshots explain it. (As published it has no cycle.)
    CHECK(found_in(at_once({{"a: e:1"}, {"a<1 b:"}, {"b<1 c<1"}, {"c:1 d:"}, {"d<1 e<1"}}),
                   "snapshot-isolation") == "(G2-item)");
    const std::string beside =
        at_once({{"x:5 y<1"}, {"y: z<2"}, {"z: t<3"}, {"t:3 u<4"}, {"u: x<5"}});
    CHECK(found_in(beside, "snapshot-isolation") == "");
}

TEST_CASE("transactions: what real time and processes add") {
    const std::vector<ToldTransaction> stale{{"x<1"}, {"x<2"}, {"x:1"}, {"x:12"}};
    CHECK(found_in(in_turn(stale), "serializable") == "");
    CHECK(found_in(in_turn(stale)) == "G-single-item-realtime");
    CHECK(ruled_out(in_turn(stale)) == "strong-repeatable-read strong-snapshot-isolation");
    CHECK(found_in(at_once(stale)) == "");
    const std::vector<ToldTransaction> own{{"x<1"}, {"x<2", "ok", 1}, {"x:1", "ok", 1}, {"x:12"}};
    CHECK(found_in(in_turn(own), "strong-session-snapshot-isolation") == "G-single-item-process");
    CHECK(found_in(in_turn({{"x:1 y<1"}, {"y:1", "ok", 2}, {"x<1", "ok", 2}}),
                   "strong-session-snapshot-isolation") == "G1c-process");
    CHECK(found_in(in_turn({{"x: z:1"}, {"x<1", "ok", 1}, {"z:", "ok", 1}, {"z<1"}}),
                   "strong-session-snapshot-isolation") == "G-nonadjacent-item-process");
}

TEST_CASE("transactions: orders that contradict each other, repetitions, values of nobody") {
    CHECK(found_in(at_once({{"x<1 y:1"}, {"x<2"}, {"x<3 y<1"}, {"x:13"}, {"x:123"}}),
                   "read-committed") == "G1c incompatible-order");
    CHECK(found_in(at_once({{"x<1"}, {"x<2"}, {"x:12"}, {"x:21"}}), "read-committed") ==
          "incompatible-order");
    CHECK(found_in(at_once({{"x<1 y:1"}, {"x<2 y<1"}, {"x:121"}}), "read-uncommitted") ==
          "(G-single-item) (G1c) duplicate-elements");
    CHECK(found_in(at_once({{"x<1"}, {"x:17"}}), "read-uncommitted") == "garbage-read");
}

TEST_CASE("transactions: updates that are lost or stand on what failed") {
    CHECK(found_in(at_once({{"x<0"}, {"x:0 x<1"}, {"x:0 x<2"}}), "repeatable-read") ==
          "G2-item lost-update");
    CHECK(found_in(at_once({{"x<0"}, {"x:0 x<1"}, {"x:0 x<2"}, {"x:012"}}), "snapshot-isolation") ==
          "G-single-item lost-update");
    CHECK(found_in(at_once({{"x<1", "fail"}, {"x<2"}, {"x:12"}})) == "G1a dirty-update");
    CHECK(found_in(at_once({{"x<1", "fail"}, {"x<2", "info"}, {"x<3"}, {"x:123"}})) ==
          "G1a dirty-update");
    CHECK(found_in(at_once({{"x<1", "fail"}})) == "");
}

TEST_CASE("transactions: a transaction that contradicts itself") {
    const auto internal = [](const char* actions) {
        return found_in(at_once({{actions}, {"x<0"}, {"x<1"}, {"x<2"}, {"x<4"}}), "serializable")
                   .find("internal") != std::string::npos;
    };
    CHECK_FALSE(internal("x:12 x<3 x:123"));
    CHECK(internal("x: x:2"));
    CHECK(internal("x:12 x<3 x:12"));
    CHECK(internal("x:12 x<3 x:023"));
    CHECK(internal("x:12 x<3 x:1234"));
    CHECK(internal("x:12 x<3 x:1"));
    CHECK(internal("x<3 x:124"));
    CHECK(internal("x<3 x:"));
    CHECK_FALSE(internal("x<3 x:123"));
    CHECK(found_in(at_once({{"x:1 x<1"}}), "read-committed") == "future-read");
    CHECK(found_in(at_once({{"x<1 x:10 x<0 x<3"}}), "read-committed") == "(internal) future-read");
}

TEST_CASE("transactions: the paper's example, a stale read between two circles of appends") {
    // Kingsbury and Alvaro's transactions on keys 253, 255 and 256, as y, x and z.
    CHECK(found_in(at_once({{"y<1 y<3 y<4 x<2 x<3 x<4 x<5 z<1 z<2"},
                            {"x<8 y:134"},
                            {"z<4 x:23458 z:124 y:134"},
                            {"t<9 y:134 x:2345 z<3"}}),
                   "serializable") == "G-single-item");
}

TEST_CASE("transactions: offsets order what nobody has read") {
    // Without offsets nothing is known of 1 and 2 in x and y; with them they are a circle.
    CHECK(found_in(at_once({{"x<1 y<1"}, {"x<2 y<2"}}), "read-uncommitted") == "");
    const std::string circle = at_once({{"x<1@5 y<1@9"}, {"x<2@6 y<2@7"}});
    CHECK(found_in(circle, "read-uncommitted") == "G0");
    CHECK(found_in(circle, "kafka") == "(G0)");
    // 2 is at 7, above the 1 that was read, below the 3 that was not; 4 has no place.
    const std::string behind = at_once({{"x<1@3"}, {"x<2@7 y<1"}, {"x<3@9 y:"}, {"x<4"}, {"x:1"}});
    CHECK(found_in(behind, "serializable") == "G-single-item");
    // What was read says otherwise than offsets.
    CHECK(found_in(at_once({{"x<1@5"}, {"x<2@4"}, {"x:12"}}), "kafka") == "offset-order");
    CHECK(found_in(at_once({{"x<1@5"}, {"x<2@5"}, {"x:12"}}), "kafka") == "offset-order");
}

TEST_CASE("transactions: a cycle is told, and drawn from transaction to transaction") {
    const TransactionJudgement judgement =
        judged(in_turn({{"x<1"}, {"x<2"}, {"x:1"}, {"x:12"}}), "strict-serializable");
    REQUIRE(judgement.anomalies.size() == 1);
    CHECK(judgement.anomalies[0].sentence ==
          "T1 did not read 2 in :x, which T2 appended; T2 had ended before T1 began");
    CHECK(judgement.anomalies[0].drawing ==
          "    T1  process 102's transaction (line 6): read :x: 1\n"
          "    |   T1 did not read 2 in :x, which T2 appended\n"
          "    v\n"
          "    T2  process 101's transaction (line 4): append 2 to :x\n"
          "    |   T2 had ended before T1 began\n"
          "    v\n"
          "    T1\n");
}

TEST_CASE("transactions: many who read to the end and append behind it cost no square") {
    // 20,000 of each: told in a fraction of a second, and each lost the others' updates.
    std::vector<ToldTransaction> all;
    std::vector<std::string> kept;
    for (int i = 0; i < 20'000; ++i) kept.push_back(fmt::format("x: x<{}", i + 1));
    for (const std::string& one : kept) all.push_back({one.c_str()});
    const TransactionJudgement judgement = judged(at_once(all), "serializable");
    REQUIRE(judgement.anomalies.size() == 2);
    CHECK(judgement.anomalies[0].name == "G2-item");
    CHECK(judgement.anomalies[1].name == "lost-update");
    // Alone it is no conflict, whichever nodes stand for the others.
    all.clear();
    for (int i = 0; i < 200; ++i) all.push_back({"x:"});
    kept.clear();
    for (int i = 0; i < 200; ++i) kept.push_back(fmt::format("x<{}", i + 1));
    for (const std::string& one : kept) all.push_back({one.c_str()});
    CHECK(found_in(at_once(all)) == "");
}

TEST_CASE("transactions: JSON lines say the same, and errors name the line") {
    const std::string text =
        R"({"time":1,"client":1,"operation":1,"kind":"transaction_invoked","actions":[["append","x",1],["read","y"]]}
{"time":2,"client":2,"operation":1,"kind":"transaction_invoked","actions":[["append","y","a"],["read","x"]]}
{"time":3,"client":1,"operation":1,"kind":"transaction_returned","outcome":"ok","actions":[["append","x",1,4],["read","y",[]]]}
{"time":4,"client":2,"operation":1,"kind":"transaction_returned","outcome":"ok","actions":[["append","y","a"],["read","x",[]]]}
)";
    CHECK(tells_transactions(text));
    CHECK(found_in(text, "serializable") == "G2-item");
    // However it is spelt: with spaces each line goes another way.
    std::string spaced;
    for (const char c : text) spaced += c == ',' ? ", " : std::string(1, c);
    CHECK(found_in(spaced, "serializable") == "G2-item");
    for (const std::string& form : {text, spaced}) {
        const auto history = read_transactions(form);
        REQUIRE(history.ok());
        CHECK(history->actions.size() == 4);
        CHECK(history->actions[0].offset == 4);
        CHECK(history->elements.empty());
        CHECK(history->texts == std::vector<std::string>{"\"x\"", "1", "\"y\"", "\"a\""});
    }
    CHECK_FALSE(tells_transactions("{:process 0, :type :invoke, :f :poll, :value [[:poll]]}"));
    CHECK(tells_transactions("{:process 0, :type :invoke, :f :txn, :value [[:r 1 nil]]}"));
    const auto error = [](const std::string& bad) {
        const auto history = read_transactions(bad);
        return history.ok() ? "" : history.error().text;
    };
    CHECK(error("{:process 0, :type :invoke, :f :txn, :value [[:append :x 1]]}\n"
                "{:process 1, :type :invoke, :f :txn, :value [[:append :x 1]]}\n")
              .starts_with("line 2: expected an element that was not appended before"));
    CHECK(error("{:process 0, :type :ok, :f :txn, :value [[:append :x 1]]}")
              .starts_with("line 1: expected an operation that was invoked"));
    CHECK(error("{:process 0, :type :invoke, :f :txn, :value [[:push :x 1]]}")
              .starts_with("line 1: expected [:append key element] or"));
    CHECK(error("{:process 0, :type :invoke, :value [[:r :x nil]]}\n"
                "{:process 0, :type :ok, :value [[:r :y []]]}")
              .starts_with("line 2: expected the actions that were asked"));
    CHECK(
        error(
            R"({"time":1,"client":1,"operation":1,"kind":"transaction_invoked","actions":[["add","x"]]})")
            .starts_with("line 1: expected [\"append\", key, element]"));
    CHECK(error("\n\n{\"client\":1}").starts_with("line 3: expected integers"));
}

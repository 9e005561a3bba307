// The command `klamm check`: histories of named objects with --model, in each form in which they
// are read, and partition logs in both of theirs.
#include <catch2/catch.hpp>

#include <fstream>
#include <string>
#include <vector>

#include "bindings/command/commands.h"
#include "checkers/binary.h"
#include "checkers/jsonl.h"

using namespace klamm;
using namespace klamm::command;

namespace {

struct Checked {
    int status = -1;
    std::string out;
    std::string err;
};

std::string file_of(const std::string& text) {
    const std::string path = std::string(KLAMM_BINARY_DIR) + "/check_test.history";
    std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
    return path;
}

Checked check(const std::string& text, const std::vector<std::string>& options = {}) {
    Checked said;
    Console console;
    console.out = [&](std::string_view one) { said.out += one; };
    console.err = [&](std::string_view one) { said.err += one; };
    const std::string path = file_of(text);
    std::vector<std::string_view> words{"check"};
    words.insert(words.end(), options.begin(), options.end());
    words.emplace_back(path);
    said.status = run_command(words, console);
    return said;
}

/// Operations one after the other, each of a client of its own: "write 1", "read -> 1".
std::string jsonl(const std::vector<std::pair<std::string, std::string>>& operations) {
    std::string out;
    int client = 0;
    for (const auto& [asked, told] : operations) {
        ++client;
        out += "{\"client\":" + std::to_string(client) + ",\"kind\":\"operation_invoked\"," +
               asked + "}\n{\"client\":" + std::to_string(client) +
               ",\"kind\":\"operation_returned\",\"outcome\":\"ok\"" + told + "}\n";
    }
    return out;
}

const std::string put = R"("function":"put","key":"x","input":"a")";
const std::string get = R"("function":"get","key":"x")";

}  // namespace

TEST_CASE("check: a register that reads what was overwritten is drawn") {
    const std::string write_1 = R"("function":"write","input":1)";
    const std::string write_2 = R"("function":"write","input":2)";
    const std::string read = R"("function":"read")";
    const Checked good =
        check(jsonl({{write_1, ""}, {write_2, ""}, {read, ",\"output\":2"}}), {"--model=register"});
    CHECK(good.status == 0);
    CHECK(good.out.ends_with("passed\n"));
    const Checked bad =
        check(jsonl({{write_1, ""}, {write_2, ""}, {read, ",\"output\":1"}}), {"--model=register"});
    CHECK(bad.status == 1);
    CHECK(bad.out.find("client 1  |- write 1 -|\n"
                       "client 2                |- write 2 -|\n"
                       "client 3                              |- read -> 1 -|\n") !=
          std::string::npos);
}

TEST_CASE("check: a map, a queue and a set, right and wrong") {
    const std::string enqueue = R"("function":"enqueue","input":1)";
    const std::string dequeue = R"("function":"dequeue")";
    const std::string add = R"("function":"add","input":1)";
    const std::string contains = R"("function":"contains","input":1)";
    struct Row {
        const char* model;
        std::string history;
        int status;
    };
    const Row rows[] = {
        {"kv", jsonl({{put, ""}, {get, ",\"output\":\"a\""}}), 0},
        {"kv", jsonl({{put, ""}, {get, ",\"output\":\"b\""}}), 1},
        {"queue", jsonl({{enqueue, ""}, {dequeue, ",\"output\":1"}}), 0},
        {"queue", jsonl({{enqueue, ""}, {dequeue, ",\"output\":1"}, {dequeue, ",\"output\":1"}}),
         1},
        {"set", jsonl({{add, ""}, {contains, ",\"output\":true"}}), 0},
        {"set", jsonl({{add, ""}, {contains, ",\"output\":false"}}), 1},
    };
    for (const Row& row : rows) {
        const Checked said = check(row.history, {"--model", row.model});
        INFO(row.model << "\n" << row.history << said.out << said.err);
        CHECK(said.status == row.status);
    }
}

TEST_CASE("check: Porcupine's maps and Jepsen's registers, as they write them") {
    const std::string porcupine =
        "{:process 0, :type :invoke, :f :put, :key \"0\", :value \"x\"}\n"
        "{:process 0, :type :ok, :f :put, :key \"0\", :value \"x\"}\n"
        "{:process 1, :type :invoke, :f :get, :key \"0\", :value nil}\n"
        "{:process 1, :type :ok, :f :get, :key \"0\", :value \"x\"}\n";
    CHECK(check(porcupine, {"--model", "kv"}).status == 0);
    const std::string etcd =
        "INFO  jepsen.util - 1\t:invoke\t:write\t1\n"
        "INFO  jepsen.util - 1\t:ok\t:write\t1\n"
        "INFO  jepsen.util - 2\t:invoke\t:read\tnil\n"
        "INFO  jepsen.util - 2\t:ok\t:read\t2\n";
    CHECK(check(etcd, {"--model", "register"}).status == 1);
    CHECK(check(porcupine, {"--model", "queue"}).status == 4);
    CHECK(check(porcupine, {"--model", "stack"}).status == 5);
}

TEST_CASE("check: Jepsen's Kafka histories, with the anomaly's published name") {
    const std::string sent =
        "{:process 0, :type :invoke, :f :send, :value [[:send :x 1]]}\n"
        "{:process 0, :type :ok, :f :send, :value [[:send :x [0 1]]]}\n"
        "{:process 1, :type :invoke, :f :poll, :value [[:poll]]}\n";
    const Checked good =
        check(sent + "{:process 1, :type :ok, :f :poll, :value [[:poll {:x [[0 1]]}]]}\n");
    INFO(good.out << good.err);
    CHECK(good.status == 0);
    const Checked bad =
        check(sent + "{:process 1, :type :ok, :f :poll, :value [[:poll {:x [[0 1] [1 1]]}]]}\n");
    CHECK(bad.status == 1);
    CHECK(bad.out.find("duplicate: ") != std::string::npos);
}

TEST_CASE("check: a history of logs says the same as JSON lines and in binary") {
    const auto line = [](int time, const std::string& rest) {
        return "{\"time\":" + std::to_string(time) +
               ",\"client\":1,\"operation\":" + std::to_string(time / 2) + "," + rest + "}\n";
    };
    for (const int shown : {41, 42}) {
        const std::string text =
            line(2, R"("kind":"send_invoked","partition":0,"value":41,"acks":-1)") +
            line(3, R"("kind":"send_returned","outcome":"ok","offset":0)") +
            line(4, R"("kind":"poll_invoked","partition":0,"offset":0)") +
            line(5, R"("kind":"poll_returned","outcome":"ok","log_start":0,"high_watermark":1,)"
                    R"("records":[[0,)" +
                        std::to_string(shown) + "]]");
        const auto history = checkers::read_history(text);
        REQUIRE(history.ok());
        const Checked lines = check(text);
        const Checked binary = check(checkers::write_binary(*history));
        CHECK(lines.out == binary.out);
        CHECK(lines.status == (shown == 41 ? 0 : 1));
        CHECK(binary.status == lines.status);
    }
}

TEST_CASE("check: transactions over lists, by the isolation that was promised") {
    const std::string skew =
        "{:process 0, :type :invoke, :f :txn, :value [[:append :x 1] [:r :y nil]]}\n"
        "{:process 1, :type :invoke, :f :txn, :value [[:append :y 1] [:r :x nil]]}\n"
        "{:process 0, :type :ok, :f :txn, :value [[:append :x 1] [:r :y []]]}\n"
        "{:process 1, :type :ok, :f :txn, :value [[:append :y 1] [:r :x []]]}\n";
    const Checked strict = check(skew);
    CHECK(strict.status == 1);
    CHECK(strict.out.find("G2-item: T1 did not read 1 in :y, which T2 appended;") !=
          std::string::npos);
    CHECK(strict.out.find("    T1  process 0's transaction (line 3): append 1 to :x | read :y: "
                          "nothing\n    |   T1 did not") != std::string::npos);
    CHECK(strict.out.find("1 anomalies; this is not repeatable-read\n") != std::string::npos);
    const Checked snapshots = check(skew, {"--isolation", "snapshot-isolation"});
    CHECK(snapshots.status == 0);
    CHECK(snapshots.out.find("G2-item (lawful): ") != std::string::npos);
    CHECK(check(skew, {"--isolation", "kafka"}).status == 0);
    CHECK(check(skew, {"--isolation", "none"}).status == 5);
    const Checked lines = check(
        R"({"time":1,"client":1,"operation":1,"kind":"transaction_invoked","actions":[["read","x"]]}
{"time":2,"client":1,"operation":1,"kind":"transaction_returned","outcome":"ok","actions":[["read","x",[5]]]}
)");
    CHECK(lines.status == 1);
    CHECK(lines.out.find("garbage-read: process 1's transaction (line 2) read 5 in \"x\", which "
                         "nobody has appended\n") != std::string::npos);
}

TEST_CASE("check: what services promise is judged beside the logs") {
    const std::string text =
        R"({"time":1,"client":1,"operation":1,"kind":"owner_told","partition":0,"group":7,"generation":2}
{"time":2,"client":2,"operation":1,"kind":"owner_told","partition":0,"group":7,"generation":2}
{"time":3,"client":1,"operation":2,"kind":"commit_invoked","partition":0,"group":7,"generation":2,"offset":4}
{"time":4,"client":1,"operation":2,"kind":"commit_returned","outcome":"ok"}
)";
    const Checked said = check(text);
    CHECK(said.status == 1);
    CHECK(said.out ==
          "two-owners: clients 1 and 2 own partition 0 in generation 2 of group 7\n"
          "4 events, 0 sends, 0 acknowledged, 0 polls, 0 records read, 0 stale answers, 1 "
          "violations\nsafety\n");
    CHECK(check(text.substr(text.find('\n') + 1)).status == 0);
}

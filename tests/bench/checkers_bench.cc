// What the checkers cost, one case a process so that its peak of memory is its own. Prints minimum
// and median of the runs in CPU time, and the verdict, without which a figure is worth nothing.
//
//     bench_checkers log OPERATIONS CLIENTS PARTITIONS UNKNOWN_PER_MILLION [memory|binary|jsonl]
//     bench_checkers transactions COUNT CLIENTS [memory|edn|jsonl]
//     bench_checkers register|kv FILE...      Porcupine's histories; a line a file
//
// RUNS sets the number of runs (11). `memory` judges events that lie in memory; the other forms are
// read from a text in memory while judging, so parsing is in the time.

#include <fmt/format.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "checkers/binary.h"
#include "checkers/jsonl.h"
#include "checkers/linearizability.h"
#include "checkers/log_checker.h"
#include "checkers/operation_reader.h"
#include "checkers/transaction_checker.h"
#include "core/base/draws.h"

namespace {

using namespace klamm;
using namespace klamm::checkers;

/// Of this process, which has one thread: what others do on the machine is not in it.
double seconds_now() {
    timespec used{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

double peak_megabytes() {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    return static_cast<double>(used.ru_maxrss) / 1024;
}

std::size_t runs() {
    const char* given = std::getenv("RUNS");
    return given == nullptr ? 11 : std::strtoull(given, nullptr, 10);
}

struct Times {
    double least = 0;
    double median = 0;
};

template <class Work>
Times measure(Work work) {
    std::vector<double> all;
    for (std::size_t i = 0; i < runs(); ++i) {
        const double before = seconds_now();
        work();
        all.push_back(seconds_now() - before);
    }
    std::sort(all.begin(), all.end());
    return {all.front(), all[all.size() / 2]};
}

/// Clients of real logs, half of whose operations send and half poll; each reads every partition
/// from its start. Events are handed out one by one.
class LogClients {
  public:
    LogClients(std::uint64_t operations, std::size_t clients, std::size_t partitions,
               std::uint64_t unknown_per_million)
        : operations_(operations),
          unknown_(static_cast<std::int64_t>(unknown_per_million)),
          logs_(partitions),
          clients_(clients) {
        for (Client& one : clients_) one.positions.assign(partitions, 0);
    }

    /// False: all operations have returned.
    bool next(Event& event) {
        for (;;) {
            if (open_ == 0 && begun_ == operations_) return false;
            const std::size_t index = below(clients_.size());
            Client& client = clients_[index];
            if (!client.open && begun_ == operations_) continue;
            event.records.clear();
            event = Event{};
            event.time = static_cast<std::int64_t>(++events_) * 1000;
            event.client = static_cast<std::int32_t>(index);
            client.open ? finish(client, event) : begin(client, event);
            return true;
        }
    }

  private:
    struct Client {
        bool open = false;
        bool sends = false;
        std::uint64_t operation = 0;
        std::size_t partition = 0;
        std::vector<std::int64_t> positions;
    };

    std::uint64_t below(std::uint64_t bound) {
        return draws_.below(bound, draw_domain("bench"), 0, drawn_++);
    }
    void begin(Client& client, Event& event) {
        client.open = true;
        client.sends = below(2) == 0;
        client.operation = ++begun_;
        client.partition = below(logs_.size());
        ++open_;
        event.operation = client.operation;
        event.partition = static_cast<std::int32_t>(client.partition);
        event.kind = client.sends ? Kind::send_invoked : Kind::poll_invoked;
        if (client.sends) {
            event.value = client.operation;
        } else {
            event.offset = client.positions[client.partition];
        }
    }
    void finish(Client& client, Event& event) {
        client.open = false;
        --open_;
        event.operation = client.operation;
        std::vector<std::uint64_t>& log = logs_[client.partition];
        event.kind = client.sends ? Kind::send_returned : Kind::poll_returned;
        if (client.sends) {
            const bool unknown = draws_.happens(unknown_, draw_domain("unknown"), 0, drawn_++);
            if (unknown) event.outcome = Outcome::unknown;
            if (unknown && below(2) == 0) return;
            log.push_back(client.operation);
            if (!unknown) event.offset = static_cast<std::int64_t>(log.size()) - 1;
            return;
        }
        std::int64_t& position = client.positions[client.partition];
        event.log_start = 0;
        event.high_watermark = static_cast<std::int64_t>(log.size());
        for (; position < event.high_watermark; ++position) {
            event.records.push_back({position, log[static_cast<std::size_t>(position)]});
        }
    }

    std::uint64_t operations_;
    std::int64_t unknown_;
    std::vector<std::vector<std::uint64_t>> logs_;
    std::vector<Client> clients_;
    Draws draws_{17};
    std::uint64_t drawn_ = 0;
    std::uint64_t events_ = 0;
    std::uint64_t begun_ = 0;
    std::uint64_t open_ = 0;
};

std::uint64_t number(std::string_view text) {
    std::uint64_t out = 0;
    std::from_chars(text.data(), text.data() + text.size(), out);
    return out;
}

int bench_log(const std::vector<std::string_view>& words) {
    const std::string_view source = words.size() > 5 ? words[5] : "memory";
    LogClients clients(number(words[1]), number(words[2]), number(words[3]), number(words[4]));
    History history;
    std::string text;
    Event event;
    if (source == "memory") {
        while (clients.next(event)) history.push_back(event);
    } else if (source == "jsonl") {
        while (clients.next(event)) text += write_event(event);
    } else {
        BinaryWriter writer(text);
        while (clients.next(event)) writer.write(event);
        writer.finish();
    }
    const double before = peak_megabytes();
    Totals totals;
    const Times times = measure([&] {
        LogChecker checker;
        std::int64_t time = 0;
        const auto feed = [&](const Event& one) {
            time = one.time;
            checker.feed(one);
        };
        if (source == "memory") {
            for (const Event& one : history) feed(one);
        } else {
            const Status read =
                source == "jsonl" ? read_events(text, feed) : read_binary(text, feed);
            if (!read.ok()) fmt::print("{}\n", read.error().text);
        }
        checker.finish(time);
        totals = checker.totals();
    });
    // What nobody came to read is LOST to a history without final reads; nothing else may be found.
    fmt::print(
        "log {} operations, {} clients, {} partitions, {} unknown a million, from {}: {} sends, "
        "{} records read, {} violations: min {:.4f} s, median {:.4f} s; peak {:.1f} MB, of it "
        "{:.1f} "
        "MB before judging\n",
        words[1], words[2], words[3], words[4], source, totals.sends, totals.records_read,
        totals.violations, times.least, times.median, peak_megabytes(), before);
    return 0;
}

/// Transactions on a perfect store, as Elle's own benchmark has them: one or two actions on ten
/// lists, each of which is given up after 32 appends for a new one; effects come at the end.
std::string list_transactions(std::uint64_t count, std::size_t clients, bool edn) {
    struct List {
        std::uint64_t key = 0;
        std::uint64_t asked = 0;  // appends
    };
    struct Action {
        bool append = false;
        std::size_t list = 0;
        std::uint64_t key = 0;
        std::uint64_t element = 0;
    };
    Draws draws{23};
    std::uint64_t drawn = 0;
    const auto below = [&](std::uint64_t bound) {
        return draws.below(bound, draw_domain("bench"), 0, drawn++);
    };
    std::vector<List> lists(10);
    std::uint64_t keys = 0;
    for (List& one : lists) one.key = keys++;
    std::vector<std::vector<Action>> open(clients);
    std::map<std::uint64_t, std::vector<std::uint64_t>> stored;
    std::string out;
    std::uint64_t begun = 0;
    std::uint64_t busy = 0;
    for (std::uint64_t time = 1; begun < count || busy > 0;) {
        const std::size_t client = below(clients);
        std::vector<Action>& actions = open[client];
        const bool invokes = actions.empty();
        if (invokes && begun == count) continue;
        if (invokes) {
            ++begun;
            ++busy;
            for (std::uint64_t n = 1 + below(2); n > 0; --n) {
                Action one;
                one.append = below(2) == 0;
                one.list = below(lists.size());
                List& list = lists[one.list];
                one.key = list.key;
                if (one.append) one.element = ++list.asked;
                if (list.asked == 32) list = {keys++, 0};
                actions.push_back(one);
            }
        }
        auto to = std::back_inserter(out);
        const char* const type = invokes ? "invoke" : "ok";
        if (edn) {
            fmt::format_to(to, "{{:type :{}, :process {}, :f :txn, :value [", type, client);
        } else {
            fmt::format_to(to,
                           R"({{"time":{},"client":{},"operation":{},"kind":"transaction_{}",{})",
                           time++, client, 1, invokes ? "invoked" : "returned",
                           invokes ? R"("actions":[)" : R"("outcome":"ok","actions":[)");
        }
        for (std::size_t i = 0; i < actions.size(); ++i) {
            const Action& one = actions[i];
            if (i > 0) out += edn ? " " : ",";
            std::vector<std::uint64_t>& elements = stored[one.key];
            if (one.append) {
                if (!invokes) elements.push_back(one.element);
                fmt::format_to(to, fmt::runtime(edn ? "[:append {} {}]" : R"(["append",{},{}])"),
                               one.key, one.element);
                continue;
            }
            fmt::format_to(to, fmt::runtime(edn ? "[:r {} " : R"(["read",{},)"), one.key);
            if (invokes) {
                out += edn ? "nil]" : "null]";
            } else {
                fmt::format_to(to, "[{}]]", fmt::join(elements, edn ? " " : ","));
            }
        }
        out += "]}\n";
        if (!invokes) {
            actions.clear();
            --busy;
        }
    }
    return out;
}

int bench_transactions(const std::vector<std::string_view>& words) {
    const std::string_view source = words.size() > 3 ? words[3] : "memory";
    std::string text = list_transactions(number(words[1]), number(words[2]), source != "jsonl");
    TransactionHistory history;
    if (source == "memory") {
        auto read = read_transactions(text);
        if (!read.ok()) return 4;
        history = std::move(*read);
        std::string().swap(text);
    }
    const double before = peak_megabytes();
    TransactionJudgement judgement;
    const Times times = measure([&] {
        if (source == "memory") {
            judgement = check_transactions(history);
            return;
        }
        const auto read = read_transactions(text);
        if (read.ok()) judgement = check_transactions(*read);
    });
    fmt::print(
        "{} transactions, {} clients, from {}: {} appends, {} reads of {} elements, strict "
        "serializability, {} anomalies: min {:.3f} s, median {:.3f} s; peak {:.0f} MB, of it "
        "{:.0f} MB before judging\n",
        judgement.transactions, words[2], source, judgement.appends, judgement.reads,
        judgement.elements_read, judgement.found, times.least, times.median, peak_megabytes(),
        before);
    return judgement.found == 0 && judgement.transactions > 0 ? 0 : 1;
}

int bench_files(const std::vector<std::string_view>& words) {
    const ModelName model = words[0] == "register" ? ModelName::reg : ModelName::kv;
    double least = 0;
    double median = 0;
    for (std::size_t i = 1; i < words.size(); ++i) {
        std::ifstream file{std::string(words[i])};
        std::ostringstream text;
        text << file.rdbuf();
        const auto history = read_operations(text.str());
        if (!history) {
            fmt::print(stderr, "{}: {}\n", words[i], history.error().text);
            return 4;
        }
        LinearizabilityOptions options;
        options.shrink = false;  // Porcupine tells a verdict, so this is what is compared
        Linearizability result;
        const Times times =
            measure([&] { result = check_linearizability(model, *history, options); });
        least += times.least;
        median += times.median;
        const std::string_view name = words[i].substr(words[i].rfind('/') + 1);
        fmt::print("{} {} {:.1f} {:.1f} {}\n", name,
                   result.verdict == Verdict::linearizable       ? "Ok"
                   : result.verdict == Verdict::not_linearizable ? "Illegal"
                                                                 : "Unknown",
                   times.least * 1e6, times.median * 1e6, result.steps);
    }
    fmt::print(stderr, "{} files of {}: {:.1f} us least, {:.1f} us median in all; peak {:.1f} MB\n",
               words.size() - 1, words[0], least * 1e6, median * 1e6, peak_megabytes());
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string_view> words(argv + 1, argv + argc);
    if (words.size() >= 5 && words[0] == "log") return bench_log(words);
    if (words.size() >= 3 && words[0] == "transactions") return bench_transactions(words);
    if (words.size() >= 2 && words[0] != "log") return bench_files(words);
    fmt::print(stderr,
               "usage: bench_checkers log OPERATIONS CLIENTS PARTITIONS UNKNOWN [FORM]\n"
               "       bench_checkers transactions COUNT CLIENTS [FORM]\n"
               "       bench_checkers register|kv FILE...\n");
    return 64;
}

#pragma once
// A world that Python drives step by step: the simulated cluster of sim/run under its judge and its
// storm, clients that do what they are told (core/workload/driven.h), and deeds in the words of
// scenario files. Nothing is decided here.
//
// Always: what happens is a function of the setup, the seed and the calls made. Time passes only in
// run(), in calls that wait for an answer, when a client is added, and in verdict(). Callbacks run
// between two events; they may act on the world but not let its time pass.
//
// Throws Trouble (trouble.h); whatever a callback throws passes through.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/time.h"

namespace klamm::python {

struct Setup {
    std::string scenario;  // a scenario file without a story; see klamm/_world.py
    std::string topic = "trial";
    std::uint32_t replication = 0;  // 0: on every broker
    std::uint64_t seed = 1;
    std::string plant;  // the code or name of a bug; empty: none
    bool idempotent = true;
    bool keep_history = true;
    bool keep_trace = false;
    bool watch_requests = false;  // for the deed "on"
    /// Asked now and then while time passes; throws to stop.
    std::function<void()> pulse;
};

/// What came of a send.
struct Sent {
    std::uint32_t number = 0;
    bool over = false;  // the rest is known
    std::string outcome;
    std::int64_t offset = -1;
    std::string error;  // Kafka's name
};

struct Read {
    std::int64_t offset = -1;
    std::int64_t timestamp = -1;  // milliseconds
    std::optional<Bytes> key;
    Bytes value;
};

struct Polled {
    bool over = false;
    std::string error;
    bool reset = false;
    std::int64_t offset = -1;  // of a question for LATEST
    std::int64_t log_start = -1;
    std::int64_t high_watermark = -1;
    std::vector<Read> records;
};

class DrivenWorld {
  public:
    explicit DrivenWorld(Setup setup);
    ~DrivenWorld();
    DrivenWorld(const DrivenWorld&) = delete;
    DrivenWorld& operator=(const DrivenWorld&) = delete;

    // --- Time, in nanoseconds of virtual time
    [[nodiscard]] std::int64_t now() const;
    [[nodiscard]] std::uint64_t events() const;
    [[nodiscard]] std::uint64_t hash() const;
    /// Until `until`, and no further than the event of this number, if one is given.
    void run_to(std::int64_t until, std::optional<std::uint64_t> event = {});
    /// Until every partition has a leader, a full ISR and nothing that is not replicated; false at
    /// the limit.
    bool run_until_well(std::int64_t limit);

    // --- Deeds
    /// One step of a story, as JSON, at once. Refused where it makes no sense, Missed where it hit
    /// nobody.
    void act(const std::string& step);
    void mend();

    // --- Clients, by the number that adding one gave
    std::uint32_t add_producer(const std::vector<std::pair<std::string, std::string>>& options);
    std::uint32_t add_consumer(const std::vector<std::pair<std::string, std::string>>& options,
                               bool from_earliest);
    std::uint32_t send(std::uint32_t client, std::int32_t partition, std::optional<Bytes> key,
                       Bytes value);
    /// For tests: an order out of its turn, by which an assertion fails in the producer's node.
    void send_out_of_turn(std::uint32_t client);
    /// What came of it, waiting until `limit` for it.
    Sent sent(std::uint32_t client, std::uint32_t number, std::int64_t limit);
    /// `what`: "poll", "latest", "start", "end", "offset". Gives the operation's number.
    std::uint64_t read(std::uint32_t client, std::string_view what, std::int32_t partition,
                       std::int64_t offset);
    Polled polled(std::uint32_t client, std::uint64_t operation, std::int64_t limit);
    [[nodiscard]] std::optional<std::int64_t> position(std::uint32_t client,
                                                       std::int32_t partition);

    // --- What there is. Documents are JSON.
    [[nodiscard]] std::string partition(std::int32_t partition);
    [[nodiscard]] std::string nodes();
    [[nodiscard]] std::string bill() const;
    [[nodiscard]] std::string counts() const;
    [[nodiscard]] std::string violations() const;
    [[nodiscard]] std::string history() const;  // JSON lines
    [[nodiscard]] std::string trace() const;    // JSON lines
    [[nodiscard]] std::string checkpoints() const;
    /// Calls `take` with each fact of these kinds (names as in the trace; empty: all) as JSON,
    /// after the event that brought it. Gives a number for unsubscribe().
    std::uint64_t subscribe(const std::vector<std::string>& kinds,
                            std::function<void(const std::string&)> take);
    void unsubscribe(std::uint64_t subscription);
    /// Lines of all events `from` to `to` are kept, for comparing two runs.
    void keep_events(std::uint64_t from, std::uint64_t to);
    [[nodiscard]] std::vector<std::string> kept_events() const;

    /// Heals, reads everything back and judges; the world is over. A document: the report as JSON,
    /// with "text" for a person and "excuse", "liveness_failures".
    std::string verdict();
    [[nodiscard]] bool over() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

/// The names of facts, in the order of facts::Fact.
std::vector<std::string> fact_names();

}  // namespace klamm::python

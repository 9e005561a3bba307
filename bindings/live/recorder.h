#pragma once
// A workload against a live cluster: the nodes of core/workload on real sockets, what they state as
// a history (checkers/FORMAT.md), and what the log checker says of it.
//
// Always: events stand in the order in which they were stated, under one lock: an operation is
// there before its request leaves, and its end after the answer came, so what the order says about
// real time is true. The topic is empty when the recording begins. What was lost lawfully (power
// that failed, unclean elections) no history tells: whoever brought that about knows.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings/live/admin.h"
#include "checkers/log_checker.h"
#include "core/base/result.h"
#include "core/workload/options.h"

namespace klamm::live {

struct RecordPlan {
    std::string topic;              // empty: one of its own, deleted again when nothing is wrong
    std::int32_t partitions = 1;    // of a topic that is made; one that exists has its own
    std::int16_t replication = -1;  // -1: as the brokers have it
    std::vector<std::pair<std::string, std::string>> configs;  // of a topic that is made
    std::vector<workload::ProducerWorkload> producers;
    std::vector<workload::ConsumerWorkload> consumers;
    Duration length = seconds(10);     // operations begin within it
    Duration patience = seconds(120);  // then for answers, and again for the final reads

    /// Another length, also of clients that go on to its end.
    void set_length(Duration wanted);
};

/// A workload as a document: of scenarios/SCHEMA.md the keys `length`, `topic`, `producers`,
/// `consumers` and of `cluster` only `partitions`; whatever else a scenario has does not matter
/// here. `path` names it in sentences. `invalid` with one of them.
Result<RecordPlan> read_workload(const std::string& text, const std::string& path);

struct Recording {
    std::string topic;
    checkers::History history;
    checkers::Options rules;
    checkers::Judgement judgement;
    /// The final reads came to the end of every partition; if not, nothing is said of losses.
    bool read_to_end = false;
    std::string complaint;  // empty, or why the recording proves less than it should
};

class Recorder {
  public:
    /// Makes the topic and lets the clients begin. `pulse` is asked while it waits, here and in
    /// finish(), and may throw.
    static Told<std::unique_ptr<Recorder>> begin(std::vector<std::string> bootstrap,
                                                 RecordPlan plan, std::function<void()> pulse);
    /// Ends what runs as a killed process would.
    ~Recorder();

    /// Whether clients still have something to do.
    [[nodiscard]] bool running() const;
    /// The clients end now; what they have under way is of unknown outcome.
    void stop_early();
    /// Waits for the clients, reads everything back, judges. Once.
    Recording finish();
    [[nodiscard]] const std::string& topic() const;

  private:
    struct State;
    explicit Recorder(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace klamm::live

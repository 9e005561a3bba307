#include "bindings/live/recorder.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "bindings/live/hosted.h"
#include "bindings/live/live_consumer.h"
#include "core/runtime/runtime.h"
#include "core/workload/consumer_node.h"
#include "core/workload/final_reader_node.h"
#include "core/workload/producer_node.h"
#include "sim/judge/client_events.h"
#include "sim/scenario/parse.h"

namespace klamm::live {

namespace recording {

using Clock = std::chrono::steady_clock;

inline Clock::duration on_clock(Duration duration) {
    return std::chrono::nanoseconds(duration.nanoseconds);
}

/// The history as all clients' threads state it.
class Log {
  public:
    void add(std::int32_t client, const facts::Fact& fact) {
        const std::lock_guard lock(mutex_);
        for (checkers::Event& event : sim::client_events(now(), BrokerId(client), fact))
            events_.push_back(std::move(event));
    }
    void add_final_reads() {
        const std::lock_guard lock(mutex_);
        checkers::Event& event = events_.emplace_back();
        event.time = now().nanoseconds;
        event.kind = checkers::Kind::final_reads;
    }
    /// Once nobody states anything any more.
    checkers::History take() { return std::move(events_); }

  private:
    [[nodiscard]] Instant now() const {
        return {std::chrono::nanoseconds(Clock::now() - began_).count()};
    }

    const Clock::time_point began_ = Clock::now();
    std::mutex mutex_;
    checkers::History events_;
};

class FactsOf final : public facts::Facts {
  public:
    FactsOf(Log& log, std::int32_t client) : Facts(true), log_(log), client_(client) {}
    void emit(const facts::Fact& fact) override { log_.add(client_, fact); }

  private:
    Log& log_;
    std::int32_t client_;
};

/// A node of a workload that ends when it has nothing more to do.
template <class Inner>
class EndsWhenDone final : public env::Node {
  public:
    template <class Workload>
    explicit EndsWhenDone(const Workload& workload) : inner_(workload) {}
    void handle(env::Env& env, env::Event event) override {
        inner_.handle(env, std::move(event));
        if (inner_.done()) env.stop(0);
    }

  private:
    Inner inner_;
};

/// Nodes that run until they are done, or until patience ends.
class Crew {
  public:
    explicit Crew(Log& log) : log_(log) {}
    ~Crew() {
        if (::getpid() != process_) (void)runtime_.release();  // its threads are not here
    }
    Crew(const Crew&) = delete;
    Crew& operator=(const Crew&) = delete;

    template <class Inner, class Workload>
    void add(std::int32_t client, const Workload& workload) {
        facts_.push_back(std::make_unique<FactsOf>(log_, client));
        runtime::NodeSpec spec;
        spec.name = fmt::format("client-{}", client);
        spec.log = {};
        spec.facts = facts_.back().get();
        spec.factory = [this, workload](env::ShardIndex, env::ShardIndex) {
            return guarded(std::make_unique<EndsWhenDone<Inner>>(workload),
                           [this](const char* what) { failed(what); });
        };
        nodes_.push_back(runtime_->add_node(std::move(spec)));
    }
    void start() {
        const Status started = runtime_->start();
        KLAMM_ASSERT(started.ok());  // without a root nothing can fail
    }
    [[nodiscard]] bool done() const {
        return std::all_of(nodes_.begin(), nodes_.end(),
                           [this](auto node) { return runtime_->status(node).has_value(); });
    }
    void ask_stop() { runtime_->ask_stop(); }
    /// False when it took too long; then they are asked to stop, and have.
    bool wait(Clock::time_point until, const std::function<void()>& pulse) {
        while (!done() && Clock::now() < until) {
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
            if (pulse) pulse();
        }
        const bool in_time = done();
        if (!in_time) ask_stop();
        (void)runtime_->run();
        return in_time;
    }
    [[nodiscard]] std::string failure() const {
        const std::lock_guard lock(mutex_);
        return failure_;
    }

  private:
    void failed(const char* what) {
        const std::lock_guard lock(mutex_);
        failure_ = what;
    }

    Log& log_;
    std::vector<std::unique_ptr<FactsOf>> facts_;
    std::vector<runtime::NodeHandle> nodes_;
    mutable std::mutex mutex_;
    std::string failure_;
    std::unique_ptr<runtime::Runtime> runtime_ = std::make_unique<runtime::Runtime>();
    pid_t process_ = ::getpid();
};

}  // namespace recording

namespace {

using nlohmann::json;
using recording::Clock;
using recording::Crew;
using recording::on_clock;

constexpr std::int32_t final_client = 91;
constexpr Duration leaders_within = seconds(30);

/// A document that is a scenario in form: what tells of faults is left out, what a workload need
/// not have is put in.
std::string as_scenario(const json& document) {
    json scenario = document;
    for (const char* key : {"by_chance", "expect", "network", "disks", "healing"})
        scenario.erase(key);
    scenario["says"] = "a workload";
    scenario["turned_red_by"] = "R1";
    scenario["goal"] = {{"name", "somebody leads"}, {"reached_by", {{"fact", "leads"}}}};
    scenario["story"] = json::array();
    if (!scenario.contains("length")) scenario["length"] = "10s";
    return scenario.dump(1);
}

std::string text_of_option(const json& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
}

std::string fresh_name() {
    std::random_device chance;
    return fmt::format("klamm-record-{:08x}", chance());
}

}  // namespace

Result<RecordPlan> read_workload(const std::string& text, const std::string& path) {
    const json document = json::parse(text, nullptr, false);
    if (!document.is_object())
        return Error{Failure::invalid, fmt::format("{}: expected an object of JSON", path)};
    const auto scenario = sim::parse_scenario(as_scenario(document), path);
    if (!scenario.ok()) return scenario.error();
    RecordPlan plan;
    plan.partitions = static_cast<std::int32_t>(scenario->cluster.partitions);
    plan.length = scenario->length;
    plan.producers = scenario->workload.producers;
    plan.consumers = scenario->workload.consumers;
    if (const auto topic = document.find("topic"); topic != document.end())
        for (const auto& [key, value] : topic->items())
            plan.configs.emplace_back(key, text_of_option(value));
    return plan;
}

void RecordPlan::set_length(Duration wanted) {
    constexpr std::uint32_t operations_max = 2'000'000;
    const auto change = [&](workload::Pacing& pacing) {
        if (pacing.stop_after >= length) pacing.stop_after = wanted;
        pacing.operations = operations_max;
    };
    for (auto& producer : producers) change(producer.pacing);
    for (auto& consumer : consumers) change(consumer.pacing);
    length = wanted;
}

struct Recorder::State {
    State(std::vector<std::string> servers, RecordPlan given, std::function<void()> asked)
        : bootstrap(std::move(servers)), plan(std::move(given)), pulse(std::move(asked)) {}

    [[nodiscard]] Admin admin() const { return Admin(bootstrap, seconds(30), pulse); }
    std::optional<Refusal> make_topic();
    std::optional<Refusal> check_empty();
    std::optional<Refusal> await_leaders();
    void start();

    std::vector<std::string> bootstrap;
    RecordPlan plan;
    std::function<void()> pulse;
    bool own_topic = false;
    recording::Log log;
    Crew crew{log};
    Clock::time_point until;
};

std::optional<Refusal> Recorder::State::make_topic() {
    const bool named = !plan.topic.empty();
    if (!named) plan.topic = fresh_name();
    NewTopic topic;
    topic.name = plan.topic;
    topic.partitions = plan.partitions;
    topic.replication = plan.replication;
    topic.configs = plan.configs;
    const auto made = admin().create(topic);
    own_topic = made && !named;
    if (made) return std::nullopt;
    if (made.refusal().error != protocol::ErrorCode::topic_already_exists) return made.refusal();
    const auto count = admin().partitions(plan.topic, false);
    if (!count) return count.refusal();
    plan.partitions = *count;
    return check_empty();
}

std::optional<Refusal> Recorder::State::check_empty() {
    config::ConsumerOptions options;
    options.client.bootstrap_servers = bootstrap;
    LiveConsumer consumer(options, {}, config::OffsetReset::earliest);
    for (std::int32_t p = 0; p < plan.partitions; ++p) {
        const std::uint64_t asked = consumer.ask_offset({plan.topic, p}, Timestamp(-1));
        std::optional<Done> end;
        for (int tenths = 0; tenths < 400 && !end; ++tenths) {
            end = consumer.mailbox().wait(asked, milliseconds(100));
            if (pulse) pulse();
        }
        if (!end || end->error != protocol::ErrorCode::none)
            return Refusal{end ? end->error : protocol::ErrorCode::none,
                           fmt::format("{}-{}: nobody tells where it ends", plan.topic, p)};
        if (end->offset > Offset(0))
            return Refusal{protocol::ErrorCode::none,
                           fmt::format("topic {} holds records: a history begins with an empty log",
                                       plan.topic)};
    }
    return std::nullopt;
}

std::optional<Refusal> Recorder::State::await_leaders() {
    const auto last = Clock::now() + on_clock(leaders_within);
    for (;;) {
        const auto told = admin().describe({plan.topic});
        std::size_t led = 0;
        if (told)
            for (const TopicInfo& topic : *told)
                for (const PartitionInfo& one : topic.partitions) led += one.leader != no_broker;
        if (led == static_cast<std::size_t>(plan.partitions)) return std::nullopt;
        if (Clock::now() > last)
            return told ? Refusal{protocol::ErrorCode::leader_not_available,
                                  fmt::format("topic {} has leaders for {} of {} partitions",
                                              plan.topic, led, plan.partitions)}
                        : told.refusal();
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        if (pulse) pulse();
    }
}

void Recorder::State::start() {
    for (workload::ProducerWorkload producer : plan.producers) {
        producer.topic = plan.topic;
        producer.partitions = plan.partitions;
        producer.options.client.bootstrap_servers = bootstrap;
        crew.add<workload::ProducerNode>(static_cast<std::int32_t>(producer.client), producer);
    }
    for (workload::ConsumerWorkload consumer : plan.consumers) {
        consumer.topic = plan.topic;
        consumer.partitions = plan.partitions;
        consumer.options.client.bootstrap_servers = bootstrap;
        crew.add<workload::ConsumerNode>(static_cast<std::int32_t>(consumer.client), consumer);
    }
    until = Clock::now() + on_clock(plan.length) + on_clock(plan.patience);
    crew.start();
}

Recorder::Recorder(std::unique_ptr<State> state) : state_(std::move(state)) {}
Recorder::~Recorder() = default;

Told<std::unique_ptr<Recorder>> Recorder::begin(std::vector<std::string> bootstrap, RecordPlan plan,
                                                std::function<void()> pulse) {
    auto state = std::make_unique<State>(std::move(bootstrap), std::move(plan), std::move(pulse));
    if (const auto refused = state->make_topic()) return *refused;
    if (const auto refused = state->await_leaders()) return *refused;
    state->start();
    return std::unique_ptr<Recorder>(new Recorder(std::move(state)));
}

bool Recorder::running() const { return !state_->crew.done(); }
void Recorder::stop_early() { state_->crew.ask_stop(); }
const std::string& Recorder::topic() const { return state_->plan.topic; }

Recording Recorder::finish() {
    State& state = *state_;
    Recording recording;
    recording.topic = state.plan.topic;
    if (!state.crew.wait(state.until, state.pulse))
        recording.complaint = "some operations had no answer when patience ended";
    state.log.add_final_reads();

    workload::FinalReaderWorkload reader;
    reader.client = final_client;
    reader.topic = state.plan.topic;
    reader.partitions = state.plan.partitions;
    reader.options.client.bootstrap_servers = state.bootstrap;
    reader.options.client.request_timeout_ms = 5'000;
    reader.options.client.metadata_max_age_ms = 1'000;
    reader.options.fetch_max_wait_ms = 100;
    Crew last(state.log);
    last.add<workload::FinalReaderNode>(final_client, reader);
    last.start();
    recording.read_to_end = last.wait(Clock::now() + on_clock(state.plan.patience), state.pulse);
    if (!recording.read_to_end)
        recording.complaint =
            "the final reads did not come to their end: nothing is said of losses";
    for (const std::string& failure : {state.crew.failure(), last.failure()})
        if (!failure.empty()) recording.complaint = failure;

    recording.history = state.log.take();
    recording.rules.idempotent =
        std::all_of(state.plan.producers.begin(), state.plan.producers.end(),
                    [](const auto& one) { return one.options.enable_idempotence; });
    checkers::LogChecker checker(recording.rules);
    for (const checkers::Event& event : recording.history) checker.feed(event);
    if (recording.read_to_end) checker.finish(recording.history.back().time);
    recording.judgement = {checker.violations(), checker.totals()};
    if (state.own_topic && recording.complaint.empty() && recording.judgement.violations.empty())
        (void)state.admin().remove(state.plan.topic);
    return recording;
}

}  // namespace klamm::live

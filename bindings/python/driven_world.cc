#include "bindings/python/driven_world.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "bindings/python/driven_state.h"
#include "checkers/jsonl.h"
#include "core/base/plants.h"
#include "sim/run/diverge.h"
#include "sim/run/report.h"
#include "sim/scenario/driver.h"
#include "sim/scenario/parse.h"
#include "sim/scenario/spec.h"

namespace klamm::python {

namespace {

using nlohmann::json;

constexpr std::uint64_t driven_tag = 0x6472'6976'656e'0000ULL;

template <std::size_t... index>
std::vector<std::string> names_of_facts(std::index_sequence<index...>) {
    return {json::parse(sim::trace_line(Instant{}, "", facts::Fact(std::in_place_index<index>)))
                .at("fact")
                .get<std::string>()...};
}

sim::Scenario scenario_of(const Setup& setup) {
    sim::Scenario scenario = value_of(sim::parse_scenario(setup.scenario, "world"));
    scenario.cluster.topic_name = setup.topic;
    if (setup.replication > scenario.cluster.shards.size())
        refuse(fmt::format("replication {}: there are {} brokers", setup.replication,
                           scenario.cluster.shards.size()));
    scenario.cluster.replication = setup.replication;
    for (auto& producer : scenario.workload.producers) producer.topic = setup.topic;
    for (auto& consumer : scenario.workload.consumers) consumer.topic = setup.topic;
    return scenario;
}

/// The last of them: in the setup it is a pattern for those that are added.
template <class Client>
Client take_last(std::vector<Client>& clients) {
    Client last = clients.back();
    clients.pop_back();
    return last;
}

sim::RunPlan plan_of(const sim::Scenario& scenario, const Setup& setup) {
    sim::ScenarioRun run;
    run.seed = setup.seed;
    if (!setup.plant.empty()) {
        run.plant = bug_from_name(setup.plant);
        if (!run.plant) refuse(fmt::format("there is no bug '{}'", setup.plant));
    }
    sim::RunPlan plan = sim::plan_of(scenario, run);
    plan.director = {};
    plan.token = "a world that is driven step by step has no token";
    return plan;
}

sim::RunHooks hooks_of(const Setup& setup) {
    sim::RunHooks hooks;
    hooks.keep_history = setup.keep_history;
    hooks.repeats_lawful = !setup.idempotent;
    hooks.events_max = ~std::uint64_t{0};
    return hooks;
}

/// Whoever tells of moments asks for these names.
std::uint64_t mask_of(const std::vector<std::string>& kinds) {
    if (kinds.empty()) return ~std::uint64_t{0};
    const std::vector<std::string> names = fact_names();
    std::uint64_t mask = 0;
    for (const std::string& kind : kinds) {
        const auto found = std::find(names.begin(), names.end(), kind);
        if (found == names.end()) {
            const std::vector<std::string_view> known(names.begin(), names.end());
            const std::string_view near = sim::near_miss(kind, known);
            refuse(near.empty()
                       ? fmt::format("there is no fact '{}'", kind)
                       : fmt::format("there is no fact '{}'; did you mean '{}'?", kind, near));
        }
        mask |= std::uint64_t{1} << static_cast<unsigned>(found - names.begin());
    }
    return mask;
}

}  // namespace

std::vector<std::string> fact_names() {
    static_assert(std::variant_size_v<facts::Fact> <= 64);
    return names_of_facts(std::make_index_sequence<std::variant_size_v<facts::Fact>>());
}

DrivenWorld::State::State(Setup given)
    : setup(std::move(given)),
      scenario(scenario_of(setup)),
      producer_pattern(take_last(scenario.workload.producers)),
      consumer_pattern(take_last(scenario.workload.consumers)),
      plan(plan_of(scenario, setup)),
      hooks(hooks_of(setup)),
      reader(scenario) {
    hooks.fact_sink = [this](Instant time, const std::string& node, const facts::Fact& fact) {
        if (setup.keep_trace) trace += sim::trace_line(time, node, fact);
        if ((wanted >> fact.index() & 1) != 0) pending.emplace_back(time, node, fact);
    };
    hooks.event_sink = [this](const sim::EventRecord& record) {
        if (setup.keep_trace) trace += sim::trace_line(record);
        if (record.number >= kept_from && record.number <= kept_to)
            kept.push_back(to_string(record));
    };
    hooks.after_event = [this](sim::World&) {
        if (setup.pulse && ++beats % 1024 == 0) setup.pulse();
        if (!pending.empty()) deliver();
    };
    if (setup.keep_trace) {
        hooks.fault_sink = [this](Instant time, const sim::FaultEvent& fault) {
            trace += sim::trace_line(time, fault);
        };
        hooks.truth_sink = [this](const sim::Truth& truth) { trace += sim::trace_line(truth); };
    }
}

DrivenWorld::DrivenWorld(Setup setup) : state_(std::make_unique<State>(std::move(setup))) {
    State& state = *state_;
    state.session = std::make_unique<sim::Session>(state.plan, state.hooks);
    const sim::Stage stage = state.session->stage();
    state.cast.emplace(stage.cluster);
    state.deeds.emplace(stage, *state.cast);
    state.producers = static_cast<std::uint32_t>(state.plan.workload.producers.size());
    state.consumers = static_cast<std::uint32_t>(state.plan.workload.consumers.size());
    if (state.setup.watch_requests) stage.storm.requests().watch();
    state.session->begin();
}
DrivenWorld::~DrivenWorld() = default;

std::int64_t DrivenWorld::now() const { return state_->session->world().now().nanoseconds; }
std::uint64_t DrivenWorld::events() const { return state_->session->world().events(); }
std::uint64_t DrivenWorld::hash() const { return state_->session->world().hash(); }
bool DrivenWorld::over() const { return state_->finished; }

void DrivenWorld::run_to(std::int64_t until, std::optional<std::uint64_t> event) {
    if (until < now()) refuse("time does not go back");
    if (event && *event <= events()) return;
    std::function<bool()> done;
    if (event) done = [this, event] { return events() >= *event; };
    state_->pump(Instant{until}, done);
}

bool DrivenWorld::run_until_well(std::int64_t limit) {
    State& state = *state_;
    while (!state.session->well()) {
        if (now() >= limit) return false;
        state.pump(std::min(Instant{limit}, Instant{now()} + milliseconds(50)), {});
    }
    return true;
}

void DrivenWorld::act(const std::string& step) {
    State& state = *state_;
    state.must_live();
    const std::string text = fmt::format(
        "{{\"says\":\"a "
        "deed\",\"turned_red_by\":\"R1\",\"goal\":{{\"name\":\"none\",\"reached_by\":"
        "{{\"fact\":\"leads\"}}}},\"story\":[{}]}}",
        step);
    sim::Located root;
    sim::TextError error;
    if (!sim::read_json(text, root, error) || !conforms(root, sim::scenario_spec(), error))
        refuse(error.sentence);
    const sim::Located& story = *root.find("story");
    if (story.items.size() != 1) refuse("expected one step");
    sim::Step read;
    try {
        read = state.reader.step(story.items.front());
    } catch (const sim::ParseError& wrong) {
        refuse(wrong.sentence);
    }
    if (read.when != sim::Step::When::now)
        refuse("a world does at once what it is told; for moments there are scenarios");
    if (read.deed.verb == sim::Verb::on && !state.setup.watch_requests)
        refuse("\"on\" needs a world that reads requests along: World(requests=True)");
    const std::size_t missed = state.deeds->misses().size();
    state.deeds->act(read.deed, fold64(driven_tag, ++state.deeds_done), 1);
    if (state.deeds->misses().size() > missed) {
        std::string sentence = state.deeds->misses().back();
        throw Trouble("Missed", sentence.substr(sentence.find(": ") + 2));
    }
}

void DrivenWorld::mend() {
    state_->must_live();
    state_->deeds->heal();
    state_->session->mend();
}

std::string DrivenWorld::partition(std::int32_t partition) {
    State& state = *state_;
    state.check_partition(partition);
    const TopicPartition which = state.cluster().partitions()[static_cast<std::size_t>(partition)];
    json out = {{"partition", partition}};
    const metadata::PartitionImage* image = state.cluster().partition(which);
    const auto names = [](const metadata::BrokerIds& ids) {
        json all = json::array();
        for (const BrokerId id : ids) all.push_back(fmt::format("broker-{}", id.value));
        return all;
    };
    out["leader"] = nullptr;
    if (image != nullptr) {
        if (image->leader != no_broker)
            out["leader"] = fmt::format("broker-{}", image->leader.value);
        out["leader_epoch"] = image->leader_epoch.value;
        out["replicas"] = names(image->replicas);
        out["isr"] = names(image->isr);
        out["elr"] = names(image->elr);
    }
    json& ends = out["ends"] = json::object();
    for (std::size_t i = 0; i < state.cluster().brokers().size(); ++i) {
        const auto found = state.cluster().ends(i, which);
        if (!found.has_value()) continue;
        ends[fmt::format("broker-{}", i + 1)] = {{"log_end", found->log_end.value},
                                                 {"high_watermark", found->high_watermark.value}};
    }
    return out.dump();
}

std::string DrivenWorld::nodes() {
    sim::World& world = state_->world();
    json all = json::array();
    for (std::uint32_t i = 0; i < world.nodes(); ++i) {
        const sim::NodeId node(i);
        all.push_back({{"name", world.name(node)},
                       {"up", world.alive(node)},
                       {"paused", world.paused(node)},
                       {"incarnation", world.incarnation(node)},
                       {"disk_bytes", world.disk_bytes(node)}});
    }
    return all.dump();
}

std::string DrivenWorld::bill() const {
    return to_json(state_->session->stage().judge.bill()).dump();
}
std::string DrivenWorld::counts() const {
    return to_json(state_->session->stage().judge.counts()).dump();
}
std::string DrivenWorld::violations() const {
    json all = json::array();
    for (const sim::Violation& one : state_->session->stage().judge.violations())
        all.push_back({{"rule", one.rule},
                       {"sentence", one.sentence},
                       {"time_ns", one.time.nanoseconds},
                       {"node", one.node.value}});
    return all.dump();
}
std::string DrivenWorld::history() const {
    return checkers::write_history(state_->session->stage().judge.history());
}
std::string DrivenWorld::trace() const { return state_->trace; }
std::string DrivenWorld::checkpoints() const {
    std::vector<sim::Checkpoint> all = state_->session->world().checkpoints();
    all.push_back({events(), hash()});
    return sim::checkpoints_text(all);
}

std::uint64_t DrivenWorld::subscribe(const std::vector<std::string>& kinds,
                                     std::function<void(const std::string&)> take) {
    State& state = *state_;
    const std::uint64_t mask = mask_of(kinds);
    state.subscriptions[++state.subscribed] = {mask, std::move(take)};
    state.wanted |= mask;
    return state.subscribed;
}

void DrivenWorld::unsubscribe(std::uint64_t subscription) {
    State& state = *state_;
    state.subscriptions.erase(subscription);
    state.wanted = 0;
    for (const auto& [number, one] : state.subscriptions) state.wanted |= one.mask;
}

void DrivenWorld::keep_events(std::uint64_t from, std::uint64_t to) {
    state_->kept_from = from;
    state_->kept_to = to;
}
std::vector<std::string> DrivenWorld::kept_events() const { return state_->kept; }

std::string DrivenWorld::verdict() {
    State& state = *state_;
    state.must_live();
    if (state.in_callback) refuse("a world is not judged within a callback");
    state.deeds->heal();
    const bool read_to_end = !state.world().ended().has_value() && state.session->heal_and_read();
    state.finished = true;
    const sim::RunResult result = state.session->finish(read_to_end);
    if (state.setup.keep_trace) state.trace += sim::trace_line(result.bill);
    json out = to_json(state.plan, result);
    out.erase("plan");
    out.erase("token");
    std::string text = to_text(state.plan, result);
    text.resize(text.rfind("replay "));
    out["text"] = text;
    out["first_violation_ns"] = result.first_violation == instant_never
                                    ? json(nullptr)
                                    : json(result.first_violation.nanoseconds);
    json& timeline = out["timeline"] = json::array();
    for (const sim::TimelineEntry& one : result.timeline)
        timeline.push_back(
            {{"time_ns", one.time.nanoseconds}, {"node", one.node}, {"text", one.text}});
    return out.dump();
}

}  // namespace klamm::python

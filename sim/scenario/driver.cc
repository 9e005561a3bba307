#include "sim/scenario/driver.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "sim/run/fault_rates.h"
#include "sim/run/run.h"
#include "sim/run/token.h"
#include "sim/scenario/deeds.h"
#include "sim/scenario/expectations.h"
#include "sim/scenario/matching.h"

namespace klamm::sim {

namespace {

constexpr DrawDomain chance_domain = draw_domain("scenario.chance");
constexpr std::uint64_t story_tag = 0x7374'6f72'7900'0000ULL;

/// One performance of a scenario.
class Performance final : public Director {
  public:
    Performance(std::shared_ptr<const Scenario> scenario, bool demanding,
                std::vector<std::uint64_t> moments)
        : scenario_(std::move(scenario)), demanding_(demanding), moments_(std::move(moments)) {}

    void begin(const Stage& stage) override {
        cluster_ = &stage.cluster;
        cast_.emplace(stage.cluster);
        deeds_.emplace(stage, *cast_);
        record_.emplace(*scenario_, *cast_);
        const auto about_requests = [](const auto& one) { return one.deed.verb == Verb::on; };
        if (std::any_of(scenario_->story.begin(), scenario_->story.end(), about_requests) ||
            std::any_of(scenario_->by_chance.begin(), scenario_->by_chance.end(), about_requests))
            stage.storm.requests().watch();
        for (std::size_t i = 0; i < scenario_->by_chance.size(); ++i) {
            const ByChance& chance = scenario_->by_chance[i];
            for (std::uint32_t n = 0; n < chance.times; ++n) {
                const std::int64_t at = world().draws().between(
                    chance.from.nanoseconds, chance.to.nanoseconds, chance_domain, i, n);
                const std::uint64_t key = fold64(fold64(1, i), n);
                world().schedule(Instant{at}, fold64(story_tag, key), [this, &chance, key] {
                    // By chance it may find nobody.
                    if (!over_) deeds_->act(chance.deed, key, 0);
                });
            }
        }
        go_on();
    }

    void on_fact(NodeId node, env::ShardIndex shard, Instant time,
                 const facts::Fact& fact) override {
        record_->on_fact(node, time, fact, over_);
        const Step* step = awaited();
        if (step != nullptr && is_moment(step->moment, node, fact, *cast_)) came(node, shard);
    }
    void on_start(NodeId node, std::uint64_t) override { on_word(node, "started"); }
    void on_stop(NodeId node, int) override { on_word(node, "ended"); }
    void on_crash(NodeId node, CrashKind, const DamageReport&) override { on_word(node, "ended"); }

    void on_turn_end(NodeId node, env::ShardIndex shard) override {
        if (after_ != std::pair{node, shard}) return;
        after_.reset();
        soon();
    }

    void between_events() override {
        ++calls_;
        if (calls_ == act_before_) {
            act_before_ = never_rehearsed;
            act();
        }
    }
    [[nodiscard]] std::optional<std::uint64_t> rehearsed() const override { return rehearsed_; }

    void before_healing() override {
        over_ = true;
        record_->on_healing(world().now());
        deeds_->heal();
    }

    void finish(RunResult& result) override {
        const std::size_t steps = scenario_->story.size();
        result.script.push_back(fmt::format("story: {} of {} steps", at_, steps));
        std::vector<std::string> wrong;
        if (at_ < steps)
            wrong.push_back(fmt::format("step {} of the story (line {}) never came", at_ + 1,
                                        scenario_->story[at_].line));
        wrong.insert(wrong.end(), deeds_->misses().begin(), deeds_->misses().end());
        record_->finish(result, wrong);
        for (const std::string& one : wrong) result.script.push_back("not as expected: " + one);
        if (wrong.empty() || !demanding_ || result.red()) return;
        result.verdict = Verdict::harness_error;
        for (const std::string& one : wrong)
            result.complaint += (result.complaint.empty() ? "" : "; ") + one;
    }

  private:
    World& world() { return cluster_->world(); }

    /// The step that waits for a fact, if it still does.
    [[nodiscard]] const Step* awaited() const {
        if (!listening_ || over_) return nullptr;
        return &scenario_->story[at_];
    }

    void on_word(NodeId node, std::string_view word) {
        record_->on_word(node, word, world().now());
        const Step* step = awaited();
        if (step != nullptr && is_moment(step->moment, node, word, *cast_)) came(node, 0);
    }

    void came(NodeId node, env::ShardIndex shard) {
        const Step& step = scenario_->story[at_];
        if (++seen_ < step.moment.nth) return;
        listening_ = false;
        if (step.when == Step::When::before)
            rehearsed_ = calls_;
        else if (step.when == Step::When::after)
            after_ = {node, shard};
        else
            soon();
    }

    /// At this moment, but outside of the turn that is being handled.
    void soon() {
        world().schedule(world().now(), fold64(story_tag, at_), [this] { act(); });
    }

    void act() {
        if (over_) return;
        const Step& step = scenario_->story[at_];
        deeds_->act(step.deed, fold64(0, at_), step.line);
        ++at_;
        go_on();
    }

    /// Waits for the next step, or does it when there is nothing to wait for.
    void go_on() {
        for (; at_ < scenario_->story.size(); ++at_) {
            const Step& step = scenario_->story[at_];
            seen_ = 0;
            switch (step.when) {
                case Step::When::now: deeds_->act(step.deed, fold64(0, at_), step.line); continue;
                case Step::When::at:
                    world().schedule(std::max(world().now(), Instant{} + step.time),
                                     fold64(story_tag, at_), [this] { act(); });
                    return;
                case Step::When::wait:
                    world().schedule(world().now() + step.time, fold64(story_tag, at_),
                                     [this] { act(); });
                    return;
                case Step::When::before:
                    if (befores_ < moments_.size()) {
                        act_before_ = moments_[befores_++];
                        return;
                    }
                    listening_ = true;
                    return;
                default: listening_ = true; return;
            }
        }
    }

    std::shared_ptr<const Scenario> scenario_;
    bool demanding_;
    std::vector<std::uint64_t> moments_;
    Cluster* cluster_ = nullptr;
    std::optional<Cast> cast_;
    std::optional<Deeds> deeds_;
    std::optional<Record> record_;
    std::size_t at_ = 0;      // the step that is next
    std::uint32_t seen_ = 0;  // of its moments
    bool listening_ = false;
    bool over_ = false;
    std::optional<std::pair<NodeId, env::ShardIndex>> after_;  // whose turn's end is waited for
    std::uint64_t calls_ = 0;                                  // of between_events
    std::size_t befores_ = 0;
    std::uint64_t act_before_ = never_rehearsed;
    std::optional<std::uint64_t> rehearsed_;
};

std::string token_of(const ScenarioRun& run) {
    std::string token =
        fmt::format("2.{:x}.{}.{:016x}", run.seed, to_string(run.profile), run.digest);
    if (run.plant.has_value())
        token += fmt::format(".p{}", bug_catalogue()[static_cast<std::size_t>(*run.plant)].code);
    for (const std::string& field : print_edits(run.edits)) token += "." + field;
    return token + ".f" + run.path;
}

}  // namespace

namespace {

template <class Client>
void skip_operations(std::vector<Client>& clients, const PlanEdits& edits) {
    for (Client& client : clients)
        if (const auto skipped = edits.skipped.find(client.client); skipped != edits.skipped.end())
            client.pacing.skip = skipped->second;
}

RunPlan plan_of(const std::shared_ptr<const Scenario>& shared, const ScenarioRun& run) {
    const Scenario& scenario = *shared;
    RunPlan plan;
    plan.seed = run.seed;
    plan.options.profile = run.profile;
    plan.options.plant = run.plant;
    plan.cluster = scenario.cluster;
    plan.workload = scenario.workload;
    plan.warm_up = milliseconds(1'500);
    plan.safety = scenario.length;
    plan.liveness_bound = scenario.within;
    plan.left_down = scenario.left_down;
    if (run.profile != Profile::calm) plan.faults = draw_faults(plan);
    plan.faults_drawn = plan.faults.size();
    plan.edits = run.edits;
    std::erase_if(plan.faults, [&](const FaultEvent& fault) {
        return run.edits.removed.contains(fault.id) ||
               fault.at > run.edits.cut.value_or(instant_never);
    });
    skip_operations(plan.workload.producers, run.edits);
    skip_operations(plan.workload.consumers, run.edits);
    plan.edited = [shared, run](const PlanEdits& edits) {
        ScenarioRun again = run;
        again.edits = edits;
        return plan_of(shared, again);
    };
    plan.token = token_of(run);
    const auto befores = [](const Step& step) { return step.when == Step::When::before; };
    plan.director.rehearsals = static_cast<std::size_t>(
        std::count_if(scenario.story.begin(), scenario.story.end(), befores));
    // A run that is cut does not tell its story to the end.
    const bool demanding = run.profile == Profile::calm && !run.edits.cut.has_value();
    plan.director.make = [shared, demanding](const std::vector<std::uint64_t>& moments) {
        return std::make_unique<Performance>(shared, demanding, moments);
    };
    return plan;
}

}  // namespace

RunPlan plan_of(const Scenario& scenario, const ScenarioRun& run) {
    return plan_of(std::make_shared<const Scenario>(scenario), run);
}

}  // namespace klamm::sim

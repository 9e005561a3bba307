// A search in breadth: schedules of one fault, then of two; each run in a process of its own.
#include "sim/scenario/distance.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "core/base/assert.h"
#include "sim/run/forked.h"
#include "sim/run/run.h"
#include "sim/scenario/driver.h"
#include "sim/scenario/located_json.h"
#include "sim/scenario/parse.h"

namespace klamm::sim {

namespace {

constexpr int settle_seconds = 4;  // the timers are short: ISR and leader are decided in two

/// One step of a schedule: what is hit at one moment.
struct Hit {
    bool cut = false;                   // the links to the others; else the machines fail
    std::vector<std::int32_t> brokers;  // ascending
    bool soon = false;                  // mended before the next step; else when all is over

    [[nodiscard]] std::uint32_t faults() const {
        return static_cast<std::uint32_t>(brokers.size());
    }
};
using Schedule = std::vector<Hit>;

std::uint32_t faults_of(const Schedule& schedule) {
    std::uint32_t sum = 0;
    for (const Hit& hit : schedule) sum += hit.faults();
    return sum;
}

std::vector<std::string> broker_names(const std::vector<std::int32_t>& brokers) {
    std::vector<std::string> names;
    for (const std::int32_t id : brokers) names.push_back(fmt::format("broker-{}", id));
    return names;
}

std::vector<std::int32_t> brokers_but(const DistanceConfig& config, std::int32_t broker) {
    std::vector<std::int32_t> others;
    for (std::int32_t id = 1; id <= config.replication_factor; ++id)
        if (id != broker) others.push_back(id);
    return others;
}

std::string sentence_of(const DistanceConfig& config, const Hit& hit) {
    const std::string whom = fmt::format("{}", fmt::join(broker_names(hit.brokers), " and "));
    const char* until = hit.soon ? "for a while" : "until all is over";
    if (hit.cut) return fmt::format("{} is cut off from the other brokers {}", whom, until);
    const bool one = hit.brokers.size() == 1;
    const char* back = hit.soon ? "soon" : "when all is over";
    if (config.disks_die)
        return fmt::format("{} {} and {} back empty {}", whom,
                           one ? "loses its disk" : "lose their disks", one ? "comes" : "come",
                           back);
    return fmt::format("{} {} power and {} back {}", whom, one ? "loses" : "lose",
                       one ? "comes" : "come", back);
}

/// The file of a run of this schedule.
std::string scenario_of(const DistanceConfig& config, const Schedule& schedule) {
    nlohmann::json story = nlohmann::json::array();
    int at = 3;
    const auto moment = [&](nlohmann::json step) {
        if (story.empty())
            step["at"] = "3s";
        else if (!step.contains("wait"))
            step["wait"] = fmt::format("{}s", settle_seconds);
        story.push_back(std::move(step));
    };
    for (const Hit& hit : schedule) {
        const auto whom = broker_names(hit.brokers);
        if (hit.cut) {
            moment({{"cut",
                     {{"between", whom.front()},
                      {"and", broker_names(brokers_but(config, hit.brokers.front()))}}}});
            if (hit.soon) story.push_back({{"wait", "3s"}, {"mend", {{"all", true}}}});
        } else {
            moment({{config.disks_die ? "wipe" : "power", whom}});
            if (hit.soon) story.push_back({{"wait", "500ms"}, {"start", whom}});
        }
        at += settle_seconds + 3;
    }
    if (story.empty()) story.push_back({{"at", "3s"}, {"mend", {{"all", true}}}});
    nlohmann::json topic = {{"min.insync.replicas", config.min_insync_replicas},
                            {"unclean.leader.election.enable", config.unclean}};
    if (config.flush_each) topic["flush.messages"] = 1;
    std::string says;
    for (const Hit& hit : schedule) says += (says.empty() ? "" : "; ") + sentence_of(config, hit);
    const nlohmann::json root = {
        {"says", says + "."},
        {"goal", {{"name", "somebody leads"}, {"reached_by", {{"fact", "leads"}}}}},
        {"turned_red_by", "R1"},
        {"length", fmt::format("{}s", at + 2)},
        {"cluster",
         {{"brokers", config.replication_factor}, {"eligible_leader_replicas", config.elr}}},
        {"topic", topic},
        {"disks", {{"unsynced", "lost"}}},
        {"producers", {{{"every", "10ms"}, {"acks", config.acks}}}},
        {"story", story}};
    return root.dump(2) + "\n";
}

/// What a run comes to, small enough for a pipe.
struct Came {
    std::string loss;   // empty: nothing was lost
    std::string state;  // the partition's newest metadata before the healing
    std::vector<std::int32_t> isr;
    bool red = false;
};

Came run_of(const DistanceConfig& config, const Schedule& schedule) {
    const std::string text = scenario_of(config, schedule);
    const auto scenario = parse_scenario(text, "distance.json");
    if (!scenario) return {scenario.error().text, {}, {}, true};
    Came came;
    RunHooks hooks;
    Instant over = Instant{} + scenario->length;
    hooks.fact_sink = [&](Instant at, const std::string&, const facts::Fact& fact) {
        const auto* committed = std::get_if<facts::PartitionCommitted>(&fact);
        if (committed == nullptr || at > over) return;
        const auto list = [](const std::vector<BrokerId>& nodes) {
            std::set<std::int32_t> ids;
            for (const BrokerId node : nodes) ids.insert(node.value);
            return fmt::format("{}", fmt::join(ids, ","));
        };
        came.isr.clear();
        for (const BrokerId node : committed->isr) came.isr.push_back(node.value);
        came.state = fmt::format("leader {} isr {} elr {} last {}", committed->leader.value,
                                 list(committed->isr), list(committed->elr),
                                 list(committed->last_known_elr));
    };
    const RunResult result = run_plan(plan_of(*scenario, {}), hooks);
    came.red = result.red();
    if (!result.bill.losses.empty()) came.loss = to_sentence(result.bill.losses.front(), "trial");
    return came;
}

/// What distinguishes where a schedule has led: metadata, and what became of each machine.
std::string state_of(const Came& came, const Schedule& schedule) {
    std::map<std::int32_t, std::string> fate;
    for (const Hit& hit : schedule)
        for (const std::int32_t id : hit.brokers) {
            std::string& said = fate[id];
            if (hit.soon)
                said += hit.cut ? "" : "b";  // back again: what it holds is what it copied
            else
                said += hit.cut ? "c" : "d";
            if (said.ends_with("bb")) said.pop_back();
        }
    return fmt::format("{} {}", came.state, fate);
}

bool usable(const DistanceConfig& config, const Schedule& before, const Hit& hit) {
    for (const Hit& earlier : before) {
        // A mend mends all: one that comes after a cut for good would end it.
        if (hit.cut && hit.soon && earlier.cut && !earlier.soon) return false;
        for (const std::int32_t id : earlier.brokers) {
            const bool again =
                std::find(hit.brokers.begin(), hit.brokers.end(), id) != hit.brokers.end();
            if (again && !earlier.soon && !(earlier.cut && !hit.cut)) return false;
        }
    }
    // Followers that nothing has happened to are alike: the first of them stands for them.
    std::set<std::int32_t> touched{1};
    for (const Hit& earlier : before)
        touched.insert(earlier.brokers.begin(), earlier.brokers.end());
    for (const std::int32_t id : hit.brokers) {
        if (touched.contains(id)) continue;
        for (std::int32_t smaller = 2; smaller < id; ++smaller) {
            const bool hit_too =
                std::find(hit.brokers.begin(), hit.brokers.end(), smaller) != hit.brokers.end();
            if (!touched.contains(smaller) && !hit_too) return false;
        }
    }
    return hit.brokers.back() <= config.replication_factor;
}

/// What may be done with exactly so many faults.
std::vector<Hit> hits_of(const DistanceConfig& config, std::uint32_t faults) {
    std::vector<Hit> hits;
    const auto sets = std::uint32_t{1} << config.replication_factor;
    for (std::uint32_t set = 1; set < sets; ++set) {
        std::vector<std::int32_t> brokers;
        for (std::int32_t id = 1; id <= config.replication_factor; ++id)
            if ((set >> (id - 1) & 1) != 0) brokers.push_back(id);
        if (brokers.size() != faults) continue;
        for (const bool soon : {true, false}) {
            hits.push_back({false, brokers, soon});
            if (faults == 1 && config.replication_factor > 1) hits.push_back({true, brokers, soon});
        }
    }
    return hits;
}

class Search {
  public:
    Search(const DistanceConfig& config, const DistanceOptions& options)
        : config_(config), options_(options) {}

    Distance take() {
        nodes_.push_back({});
        for (std::uint32_t total = 1; total <= options_.faults_max; ++total) {
            std::vector<Schedule> tried;
            for (const Schedule& node : nodes_) {
                const std::uint32_t spent = faults_of(node);
                if (spent >= total) continue;
                for (const Hit& hit : hits_of(config_, total - spent)) {
                    if (!usable(config_, node, hit)) continue;
                    tried.push_back(node);
                    tried.back().push_back(hit);
                }
            }
            if (options_.progress)
                options_.progress(fmt::format("{} schedules of {} fault{}", tried.size(), total,
                                              total == 1 ? "" : "s"));
            if (!run_all(tried) || found_.faults || found_.red) return std::move(found_);
            found_.searched = total;
        }
        return std::move(found_);
    }

  private:
    /// False when it was stopped.
    bool run_all(const std::vector<Schedule>& tried) {
        ForkedJobs jobs(options_.jobs);
        std::map<std::size_t, Came> came;
        std::size_t next = 0;
        std::size_t taken = 0;
        while (taken < tried.size() && !found_.faults && !found_.red) {
            if (options_.stopped && options_.stopped()) return false;
            while (next < tried.size() && !jobs.full()) {
                const Schedule& schedule = tried[next];
                jobs.start(next++, [&] {
                    const Came one = run_of(config_, schedule);
                    return nlohmann::json{one.loss, one.state, one.isr, one.red}.dump();
                });
            }
            const auto result = jobs.wait(milliseconds(200));
            if (!result) continue;
            ++found_.runs;
            Came& one = came[result->index];
            if (result->end == JobEnd::finished) {
                const nlohmann::json fields = nlohmann::json::parse(result->bytes);
                one = {fields.at(0), fields.at(1), fields.at(2), fields.at(3)};
            } else {
                one = {result->complaint, {}, {}, true};
            }
            // In the order of schedules, so that the answer is the same for any number of jobs.
            for (; came.contains(taken) && !found_.faults && !found_.red; ++taken)
                judge(tried[taken], came.at(taken));
        }
        return true;
    }

    void judge(const Schedule& schedule, const Came& came) {
        if (came.loss.empty() && !came.red) {
            if (seen_.insert(state_of(came, schedule)).second) nodes_.push_back(schedule);
            return;
        }
        found_.red = came.red;
        found_.loss = came.loss;
        if (!came.red) found_.faults = faults_of(schedule);
        found_.scenario = scenario_of(config_, schedule);
        for (const Hit& hit : schedule) found_.schedule.push_back(sentence_of(config_, hit));
    }

    const DistanceConfig& config_;
    const DistanceOptions& options_;
    Distance found_;
    std::vector<Schedule> nodes_;
    std::set<std::string> seen_;
};

}  // namespace

Result<DistanceConfig> parse_distance_config(std::string_view text, std::string_view file) {
    Located root;
    TextError error;
    const auto wrong = [&](std::size_t line, const std::string& sentence) {
        return Error{Failure::invalid, fmt::format("{}:{}: {}", file, line, sentence)};
    };
    if (!read_json(text, root, error)) return wrong(error.line, error.sentence);
    if (root.kind != Located::Kind::object)
        return wrong(root.line, "expected an object of settings");
    DistanceConfig config;
    for (const LocatedMember& member : root.members) {
        const Located& value = member.value;
        const auto number = [&](std::int32_t& into, std::int64_t most) {
            if (value.kind != Located::Kind::integer || value.integer < 1 || value.integer > most)
                return false;
            into = static_cast<std::int32_t>(value.integer);
            return true;
        };
        const auto flag = [&](bool& into) {
            into = value.boolean;
            return value.kind == Located::Kind::boolean;
        };
        bool good = false;
        std::string expected = "true or false";
        if (member.key == "replication.factor") {
            good = number(config.replication_factor, 5);
            expected = "a whole number from 1 to 5";
        } else if (member.key == "min.insync.replicas") {
            good = number(config.min_insync_replicas, 5);
            expected = "a whole number from 1 to 5";
        } else if (member.key == "acks") {
            good = value.kind == Located::Kind::text && (value.text == "all" || value.text == "1");
            config.acks = value.text;
            expected = "\"all\" or \"1\"";
        } else if (member.key == "flush.messages") {
            good = value.kind == Located::Kind::integer && value.integer >= 1;
            config.flush_each = value.integer == 1;
            expected = "a whole number from 1";
        } else if (member.key == "unclean.leader.election.enable") {
            good = flag(config.unclean);
        } else if (member.key == "eligible.leader.replicas") {
            good = flag(config.elr);
        } else if (member.key == "disks.die") {
            good = flag(config.disks_die);
        } else {
            return wrong(member.line,
                         fmt::format("\"{}\" is no setting that matters here", member.key));
        }
        if (!good)
            return wrong(member.line, fmt::format("\"{}\": expected {}", member.key, expected));
    }
    if (config.min_insync_replicas > config.replication_factor)
        return wrong(root.line, "min.insync.replicas exceeds replication.factor");
    return config;
}

Distance distance(const DistanceConfig& config, const DistanceOptions& options) {
    return Search(config, options).take();
}

std::vector<Remedy> remedies(const DistanceConfig& config) {
    std::vector<Remedy> all;
    const auto add = [&](std::string setting, std::string costs, auto change) {
        Remedy remedy{std::move(setting), std::move(costs), config};
        change(remedy.config);
        all.push_back(std::move(remedy));
    };
    if (config.unclean)
        add("unclean.leader.election.enable=false", "availability when nobody in sync is left",
            [](DistanceConfig& one) { one.unclean = false; });
    if (!config.elr)
        add("eligible.leader.replicas=true", "nothing but the feature's level",
            [](DistanceConfig& one) { one.elr = true; });
    if (config.acks != "all")
        add("acks=all", "the latency of one replication",
            [](DistanceConfig& one) { one.acks = "all"; });
    if (config.min_insync_replicas < config.replication_factor)
        add(fmt::format("min.insync.replicas={}", config.min_insync_replicas + 1),
            fmt::format("writes stop when {} replicas are out",
                        config.replication_factor - config.min_insync_replicas),
            [](DistanceConfig& one) { ++one.min_insync_replicas; });
    if (!config.flush_each)
        add("flush.messages=1", "a sync before each acknowledgement",
            [](DistanceConfig& one) { one.flush_each = true; });
    if (config.replication_factor < 5)
        add(fmt::format("replication.factor={}", config.replication_factor + 1),
            "a machine and a copy of everything",
            [](DistanceConfig& one) { ++one.replication_factor; });
    return all;
}

std::string to_text(const DistanceConfig& config) {
    return fmt::format(
        "replication.factor={} min.insync.replicas={} acks={}{} unclean.leader.election.enable={} "
        "eligible.leader.replicas={}{}",
        config.replication_factor, config.min_insync_replicas, config.acks,
        config.flush_each ? " flush.messages=1" : "", config.unclean, config.elr,
        config.disks_die ? ", disks die" : "");
}

}  // namespace klamm::sim

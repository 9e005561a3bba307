#pragma once
// What a driven world holds, and the one way in which its time passes; for driven_world.cc and
// driven_clients.cc alone.

#include <fmt/format.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "bindings/python/driven_world.h"
#include "bindings/python/trouble.h"
#include "sim/run/session.h"
#include "sim/run/trace_json.h"
#include "sim/scenario/deeds.h"
#include "sim/scenario/parse_step.h"
#include "sim/scenario/scenario.h"

namespace klamm::python {

struct DrivenWorld::State {
    explicit State(Setup given);

    struct Client {
        sim::NodeId node;
        std::string name;
        bool producer = false;
        std::uint64_t operations = 0;
    };
    struct Subscription {
        std::uint64_t mask;
        std::function<void(const std::string&)> take;
    };

    void deliver() {
        for (std::size_t i = 0; i < pending.size(); ++i) {
            const auto [time, node, fact] = pending[i];
            const std::string line = sim::trace_line(time, node, fact);
            const auto all = subscriptions;  // a callback may subscribe or unsubscribe
            for (const auto& [number, one] : all) {
                if ((one.mask >> fact.index() & 1) == 0 || !subscriptions.contains(number))
                    continue;
                in_callback = true;
                try {
                    one.take(line);
                } catch (...) {
                    in_callback = false;
                    pending.clear();
                    throw;
                }
                in_callback = false;
            }
        }
        pending.clear();
    }

    /// The one way in which time passes.
    void pump(Instant until, const std::function<bool()>& done) {
        must_live();
        if (in_callback)
            refuse("time does not pass within a callback: note what to do, and do it afterwards");
        session->run_to(until, done);
        raise_if_ended();
    }
    /// A process takes about a millisecond to begin; what is posted before is lost.
    void start(sim::NodeId node) {
        world().start(node);
        pump(world().now() + seconds(10), [this, node] { return world().alive(node); });
    }
    void must_live() const {
        if (finished) throw Trouble("WorldOver", "this world is over: verdict() has judged it");
    }
    void raise_if_ended() {
        const auto& ended = session->world().ended();
        if (!ended.has_value()) return;
        throw Trouble("AssertionFailed",
                      fmt::format("an assertion failed in {} at {:.3f} s: {} ({}:{})",
                                  ended->node == sim::no_node ? "the harness"
                                                              : session->world().name(ended->node),
                                  static_cast<double>(ended->time.nanoseconds) / 1e9,
                                  ended->condition, ended->file, ended->line));
    }
    Client& client(std::uint32_t number, bool producer) {
        const auto found = clients.find(number);
        if (found == clients.end() || found->second.producer != producer)
            refuse(fmt::format("there is no {} {}", producer ? "producer" : "consumer", number));
        return found->second;
    }
    void check_partition(std::int32_t partition) const {
        if (partition < 0 || static_cast<std::uint32_t>(partition) >= plan.cluster.partitions)
            refuse(fmt::format("partition {}: topic {} has {} partitions", partition, setup.topic,
                               plan.cluster.partitions));
    }
    sim::Cluster& cluster() { return session->stage().cluster; }
    sim::World& world() { return session->world(); }

    Setup setup;
    sim::Scenario scenario;
    workload::ProducerWorkload producer_pattern;
    workload::ConsumerWorkload consumer_pattern;
    sim::RunPlan plan;
    sim::RunHooks hooks;
    sim::StepReader reader;
    std::uint64_t wanted = 0;
    std::vector<std::tuple<Instant, std::string, facts::Fact>> pending;
    std::map<std::uint64_t, Subscription> subscriptions;
    std::uint64_t subscribed = 0;
    std::string trace;
    std::vector<std::string> kept;
    std::uint64_t kept_from = 1;
    std::uint64_t kept_to = 0;
    std::map<std::uint32_t, Client> clients;
    std::uint32_t producers = 0;
    std::uint32_t consumers = 0;
    std::uint64_t deeds_done = 0;
    std::uint64_t beats = 0;
    bool in_callback = false;
    bool finished = false;
    // Built last: they refer to what is above.
    std::unique_ptr<sim::Session> session;
    std::optional<sim::Cast> cast;
    std::optional<sim::Deeds> deeds;
};

}  // namespace klamm::python

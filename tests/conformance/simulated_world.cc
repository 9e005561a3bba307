// The simulated world behind the harness of the conformance suite.

#include <utility>

#include "sim/world/world.h"
#include "tests/conformance/harness.h"

namespace klamm::conformance {

namespace {

class SimulatedWorld final : public TestWorld {
  public:
    explicit SimulatedWorld(bool in_pieces) : in_pieces_(in_pieces), world_(options(in_pieces)) {}

    std::string_view name() const override {
        return in_pieces_ ? "simulated, in pieces" : "simulated";
    }

    Recorder& start(const std::string& node, Script script, env::ShardIndex shards) override {
        Row& row = rows_[node];
        row.script = std::make_shared<Script>(std::move(script));
        if (row.record == nullptr) {
            row.record = std::make_unique<Recorder>([] {});
            sim::NodeSpec spec;
            spec.name = node;
            spec.shards = shards;
            spec.factory = [&row](env::ShardIndex, env::ShardIndex) {
                return std::make_unique<ScriptedNode>(*row.script, *row.record);
            };
            if (in_pieces_) spec.disk.would_block_rate = per_million;
            row.id = world_.add_node(std::move(spec));
        }
        world_.kill(row.id);
        world_.start(row.id);
        return *row.record;
    }

    void ask_stop(const std::string& node) override { world_.ask_stop(rows_.at(node).id); }
    std::optional<int> status(const std::string& node) override {
        return world_.stop_status(rows_.at(node).id);
    }
    std::string host(const std::string& node) const override { return node; }
    bool run_until(const std::function<bool()>& done) override {
        return world_.run_until(done, seconds(300));
    }

  private:
    struct Row {
        sim::NodeId id = sim::no_node;
        std::shared_ptr<Script> script;
        std::unique_ptr<Recorder> record;
    };

    static sim::WorldOptions options(bool in_pieces) {
        sim::WorldOptions made;
        if (in_pieces) {
            made.seed = 2;
            made.network.packet_bytes_max = 1;
            made.network.short_receive_rate = per_million / 2;
            made.network.link.delay_base = microseconds(1);
            made.network.link.delay_mean = microseconds(1);
            made.network.file_range_lag_rate = per_million;
        }
        return made;
    }

    const bool in_pieces_;
    std::map<std::string, Row> rows_;
    sim::World world_;  // last: its nodes refer to the rows
};

}  // namespace

std::unique_ptr<TestWorld> make_simulated_world(bool in_pieces) {
    return std::make_unique<SimulatedWorld>(in_pieces);
}

}  // namespace klamm::conformance

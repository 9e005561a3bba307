// The files of a run's machines as real directories: our own storage opens them on the real disk,
// and reads the batches that the run's brokers held.
#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <thread>

#include "core/record/batch.h"
#include "core/runtime/runtime.h"
#include "core/storage/log_directory.h"
#include "sim/run/cluster.h"
#include "tests/picture/room.h"

using namespace klamm;
using namespace klamm::sim;
using namespace klamm::tests;
namespace fs = std::filesystem;

namespace {

/// A batch's identity.
using Held = std::tuple<std::int64_t, std::int64_t, std::int32_t, std::uint32_t>;

/// What each broker's log of partition 0 holds, by its own facts.
struct Holdings {
    std::map<std::string, std::vector<Held>> held;
    void take(const std::string& node, const facts::Fact& fact) {
        if (const auto* one = std::get_if<facts::BatchAppended>(&fact))
            held[node].emplace_back(one->base_offset.value, one->last_offset.value,
                                    one->epoch.value, one->crc);
        if (const auto* cut = std::get_if<facts::LogTruncated>(&fact))
            std::erase_if(held[node],
                          [&](const Held& one) { return std::get<1>(one) >= cut->end.value; });
    }
};

/// Opens the log of partition 0 in the directory below its root, says where it ends, and stops.
class Opener final : public env::Node {
  public:
    struct Answer {
        std::atomic<std::int64_t> end{-1};
        std::atomic<bool> failed{false};
    };
    Opener(std::int32_t node, Answer& answer)
        : node_(node), answer_(answer), directory_("data-0", 1, 1000) {}

    void handle(env::Env& env, env::Event event) override {
        if (std::holds_alternative<env::Started>(event))
            directory_.start(env, {"trial", BrokerId(node_), uuid_from_halves(1, 2)});
        else if (auto* read = std::get_if<env::ReadDone>(&event))
            (void)directory_.on_event(env, *read);
        else if (auto* synced = std::get_if<env::Synced>(&event))
            (void)directory_.on_event(env, *synced);
        else if (auto* listed = std::get_if<env::Listed>(&event))
            (void)directory_.on_event(env, *listed);
        const TopicPartition opened{trial_topic, PartitionIndex(0)};
        if (directory_.phase() == storage::DirectoryPhase::offline) {
            answer_.failed = true;
            env.stop(1);
        } else if (directory_.phase() == storage::DirectoryPhase::ready && log_ == nullptr) {
            log_ = &directory_.open_log(env, opened, "trial-0", {});
        } else if (log_ != nullptr && log_->opened()) {
            answer_.end = log_->log_end().value;
            env.stop(0);
        }
    }

  private:
    std::int32_t node_;
    Answer& answer_;
    storage::LogDirectory directory_;
    storage::PartitionLog* log_ = nullptr;
};

std::vector<Held> batches_of(const fs::path& partition) {
    std::vector<fs::path> logs;
    for (const auto& entry : fs::directory_iterator(partition))
        if (entry.path().extension() == ".log") logs.push_back(entry.path());
    std::sort(logs.begin(), logs.end());
    std::vector<Held> all;
    for (const fs::path& path : logs) {
        const std::string text = text_of(path.string());
        ByteView rest = as_bytes(text);
        ByteView bytes;
        while (record::next_batch(rest, bytes) == record::Peek::ok) {
            const record::BatchView batch(bytes);
            REQUIRE(batch.crc_holds());
            all.emplace_back(batch.base_offset().value, batch.last_offset().value,
                             batch.leader_epoch().value, batch.crc());
        }
        REQUIRE(rest.empty());
    }
    return all;
}

}  // namespace

TEST_CASE("disks: an exported directory recovers on the real disk with the batches of the run") {
    const conformance::TemporaryDirectory room;
    std::size_t opened = 0;
    for (const auto& [seed, profile] : std::vector<std::pair<std::uint64_t, Profile>>{
             {1, Profile::calm}, {4, Profile::weather}}) {
        RunPlan plan = small_plan(seed, profile);
        OutputPaths paths;
        paths.disks = room.path() + "/" + std::to_string(seed);
        REQUIRE(prepare(paths).ok());
        Outputs outputs(paths);
        RunHooks hooks;
        outputs.attach(hooks);
        Holdings holdings;
        hooks.fact_sink = [&](Instant, const std::string& node, const facts::Fact& fact) {
            if (std::visit(
                    [](const auto& one) {
                        if constexpr (requires { one.partition.partition; })
                            return one.partition == TopicPartition{trial_topic, PartitionIndex(0)};
                        else
                            return false;
                    },
                    fact))
                holdings.take(node, fact);
        };
        const RunResult result = run_plan(plan, hooks);
        REQUIRE(outputs.finish(plan, result).ok());
        REQUIRE(result.verdict == Verdict::passed);
        for (const auto& [node, held] : holdings.held) {
            const fs::path root = fs::path(*paths.disks) / node;
            if (!fs::exists(root / "data-0" / "trial-0")) continue;  // its shard has another one
            REQUIRE(!held.empty());
            REQUIRE(batches_of(root / "data-0" / "trial-0") == held);
            Opener::Answer answer;
            runtime::Runtime real;
            runtime::NodeSpec spec;
            spec.name = node;
            spec.root = root.string();
            spec.log = {};
            const std::int32_t id = node.back() - '0';
            spec.factory = [&](env::ShardIndex, env::ShardIndex) {
                return std::make_unique<Opener>(id, answer);
            };
            (void)real.add_node(std::move(spec));
            REQUIRE(real.start().ok());
            REQUIRE(real.run() == 0);
            REQUIRE(answer.end == std::get<1>(held.back()) + 1);
            REQUIRE(batches_of(root / "data-0" / "trial-0") == held);
            ++opened;
        }
    }
    REQUIRE(opened >= 2);
}

TEST_CASE("disks: every file of every node is there as its machine has it") {
    const conformance::TemporaryDirectory room;
    OutputPaths paths;
    paths.disks = room.path() + "/out";
    REQUIRE(prepare(paths).ok());
    Outputs outputs(paths);
    RunHooks hooks;
    outputs.attach(hooks);
    std::map<std::string, std::string> expected;
    const auto write = hooks.end_sink;
    hooks.end_sink = [&](const World& world) {
        write(world);
        for (std::uint32_t i = 0; i < world.nodes(); ++i)
            for (const std::string& path : world.paths(NodeId(i)))
                if (const Bytes* bytes = world.file_bytes(NodeId(i), path))
                    expected[world.name(NodeId(i)) + "/" + path] = as_text(*bytes);
    };
    const RunPlan plan = small_plan(8, Profile::power);
    const RunResult result = run_plan(plan, hooks);
    REQUIRE(outputs.finish(plan, result).ok());
    std::map<std::string, std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(*paths.disks))
        if (entry.is_regular_file())
            found[fs::relative(entry.path(), *paths.disks).string()] =
                text_of(entry.path().string());
    REQUIRE(expected.size() > 10);
    REQUIRE(found == expected);
}

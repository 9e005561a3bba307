// The real world behind the harness of the conformance suite: one runtime a node, loopback, a
// temporary directory for all roots.

#include <chrono>
#include <condition_variable>
#include <utility>

#include "core/runtime/runtime.h"
#include "tests/conformance/harness.h"
#include "tests/conformance/temporary_directory.h"

namespace klamm::conformance {

namespace {

class RealWorld final : public TestWorld {
  public:
    ~RealWorld() override {
        // A node may look at another one's record: all end before any record does.
        for (auto& [name, row] : rows_) row.runtime.reset();
    }

    std::string_view name() const override { return "real"; }

    Recorder& start(const std::string& node, Script script, env::ShardIndex shards) override {
        Row& row = rows_[node];
        row.runtime.reset();
        if (row.record == nullptr) {
            row.record = std::make_unique<Recorder>([this] {
                const std::lock_guard lock(mutex_);
                changed_.notify_all();
            });
        }
        row.runtime = std::make_unique<runtime::Runtime>();
        runtime::NodeSpec spec;
        spec.name = node;
        spec.shards = shards;
        spec.root = directory_.path() + "/" + node;
        Recorder* record = row.record.get();
        spec.factory = [script = std::move(script), record](env::ShardIndex, env::ShardIndex) {
            return std::make_unique<ScriptedNode>(script, *record);
        };
        row.handle = row.runtime->add_node(std::move(spec));
        const Status started = row.runtime->start();
        KLAMM_ASSERT(started.ok());
        return *row.record;
    }

    void ask_stop(const std::string& node) override { rows_.at(node).runtime->ask_stop(); }
    std::optional<int> status(const std::string& node) override {
        const Row& row = rows_.at(node);
        return row.runtime->status(row.handle);
    }
    std::string host(const std::string&) const override { return "localhost"; }

    bool run_until(const std::function<bool()>& done) override {
        const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
        std::unique_lock lock(mutex_);
        while (!done()) {
            if (std::chrono::steady_clock::now() >= limit) return false;
            // Not every change is told (a status is not): look again before long.
            changed_.wait_for(lock, std::chrono::milliseconds(5));
        }
        return true;
    }

  private:
    struct Row {
        std::unique_ptr<Recorder> record;
        std::unique_ptr<runtime::Runtime> runtime;  // after the record that it writes to
        runtime::NodeHandle handle{};
    };

    TemporaryDirectory directory_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<std::string, Row> rows_;
};

}  // namespace

std::unique_ptr<TestWorld> make_real_world() { return std::make_unique<RealWorld>(); }

}  // namespace klamm::conformance

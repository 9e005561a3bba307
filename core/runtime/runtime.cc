// See runtime.h.

#include "core/runtime/runtime.h"

#include <malloc.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

#include "core/runtime/shard.h"

namespace klamm::runtime {

namespace {

std::uint64_t seed_of_the_machine() {
    std::uint64_t seed = 0;
    const ssize_t n = ::getrandom(&seed, sizeof seed, 0);
    KLAMM_ASSERT(n == sizeof seed);
    return seed;
}

/// Buffers of a request's size come and go all the time: their pages stay in the heap, instead of
/// being given back and faulted in again for each.
void keep_pages_in_the_heap() {
    constexpr int mmapped_from_bytes = 32 << 20;
    constexpr int trimmed_from_bytes = 64 << 20;
    ::mallopt(M_MMAP_THRESHOLD, mmapped_from_bytes);
    ::mallopt(M_TRIM_THRESHOLD, trimmed_from_bytes);
}

/// While it lives, threads that are started take no signals: those are for the program's own
/// threads, and a broken connection is told by an error.
class SignalsBlocked {
  public:
    SignalsBlocked() {
        sigset_t all;
        ::sigfillset(&all);
        // What a thread does to itself stays deadly.
        for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP}) {
            ::sigdelset(&all, fault);
        }
        ::pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

  private:
    sigset_t before_{};
};

}  // namespace

class Runtime::World {
  public:
    World() : stop_event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
        KLAMM_ASSERT(stop_event_ >= 0);
        keep_pages_in_the_heap();
    }

    ~World() {
        for (const Row& row : rows_) end_shards(*row.host);
        join();
        if (pools_ != nullptr) {
            pools_->disk.stop();
            pools_->compute.stop();
            pools_->disk.join();
            pools_->compute.join();
        }
        ::close(stop_event_);
    }

    World(const World&) = delete;
    World& operator=(const World&) = delete;

    NodeHandle add_node(NodeSpec spec) {
        KLAMM_ASSERT(!started_);
        KLAMM_ASSERT(spec.shards > 0);
        KLAMM_ASSERT(spec.factory != nullptr);
        const NodeHandle handle{rows_.size()};
        Row row;
        row.host = std::make_unique<Host>();
        row.host->spec = std::move(spec);
        row.shards_left = row.host->spec.shards;
        rows_.push_back(std::move(row));
        return handle;
    }

    Status start() {
        KLAMM_ASSERT(!started_);
        for (Row& row : rows_) {
            Host& host = *row.host;
            if (!host.spec.root.empty()) {
                Result<DirectoryPointer> root = Directory::make(host.spec.root);
                if (!root.ok()) return root.error();
                host.root = *std::move(root);
                const Result<std::uint64_t> incarnation = host.root->next_incarnation();
                if (!incarnation.ok()) return incarnation.error();
                host.incarnation = *incarnation;
            }
        }
        started_ = true;
        const SignalsBlocked blocked;
        pools_ = std::make_unique<Pools>();
        for (std::size_t index = 0; index < rows_.size(); ++index) set_up(index);
        for (const Row& row : rows_) {
            for (const auto& shard : row.host->shards) shard->start(stop_event_);
        }
        return {};
    }

    int run() {
        KLAMM_ASSERT(started_);
        {
            std::unique_lock lock(mutex_);
            ended_.wait(lock, [this] { return served(); });
            ask_stop();
            for (const Row& row : rows_) {
                ended_.wait(lock, [&row] { return row.shards_left == 0; });
            }
        }
        join();
        for (const Row& row : rows_) {
            if (row.status.value_or(0) != 0) return *row.status;
        }
        return 0;
    }

    void ask_stop() {
        const std::uint64_t one = 1;
        // A second request finds the counter raised already; it can only fail by overflowing.
        [[maybe_unused]] const ssize_t n = ::write(stop_event_, &one, sizeof one);
    }

    void post(NodeHandle node, env::Mail mail) {
        KLAMM_ASSERT(started_);
        rows_[static_cast<std::size_t>(node)].host->shards.front()->post(
            env::MailArrived{0, std::move(mail)});
    }

    std::optional<int> status(NodeHandle node) const {
        const std::lock_guard lock(mutex_);
        const Row& row = rows_[static_cast<std::size_t>(node)];
        return row.shards_left == 0 ? row.status : std::nullopt;
    }

  private:
    struct Row {
        std::unique_ptr<Host> host;
        env::ShardIndex shards_left = 0;  // under mutex_
        std::optional<int> status;        // under mutex_; of the first shard that stopped
    };

    /// Nobody is left to attend, or one that attends has failed. Under mutex_.
    [[nodiscard]] bool served() const {
        bool left = false;
        for (const Row& row : rows_) {
            const bool ended = row.shards_left == 0;
            if (row.host->spec.attends && ended && row.status.value_or(0) != 0) return true;
            left = left || (!row.host->spec.attends && !ended);
        }
        return !left;
    }

    void set_up(std::size_t index) {
        Host& host = *rows_[index].host;
        host.seed = host.spec.seed.has_value() ? *host.spec.seed : seed_of_the_machine();
        host.pools = pools_.get();
        host.stop_asked = [this, index](int status) {
            {
                const std::lock_guard lock(mutex_);
                if (!rows_[index].status.has_value()) rows_[index].status = status;
            }
            end_shards(*rows_[index].host);
        };
        host.shard_ended = [this, index] {
            const std::lock_guard lock(mutex_);
            --rows_[index].shards_left;
            ended_.notify_all();
        };
        for (env::ShardIndex shard = 0; shard < host.spec.shards; ++shard) {
            host.shards.push_back(std::make_unique<Shard>(host, shard));
        }
    }

    static void end_shards(const Host& host) {
        for (const auto& shard : host.shards) shard->end();
    }

    void join() {
        for (const Row& row : rows_) {
            for (const auto& shard : row.host->shards) shard->join();
        }
    }

    int stop_event_;
    bool started_ = false;
    std::unique_ptr<Pools> pools_;
    mutable std::mutex mutex_;
    std::condition_variable ended_;
    std::vector<Row> rows_;
};

Runtime::Runtime() : world_(std::make_unique<World>()) {}
Runtime::~Runtime() = default;
NodeHandle Runtime::add_node(NodeSpec spec) { return world_->add_node(std::move(spec)); }
Status Runtime::start() { return world_->start(); }
int Runtime::run() { return world_->run(); }
void Runtime::ask_stop() { world_->ask_stop(); }
void Runtime::post(NodeHandle node, env::Mail mail) { world_->post(node, std::move(mail)); }
std::optional<int> Runtime::status(NodeHandle node) const { return world_->status(node); }

}  // namespace klamm::runtime

#pragma once
// What storage tests share: an Env over a RecordingDisk, batches, and a log directory that is
// pumped from outside.

#include <memory>
#include <string>
#include <vector>

#include "core/record/builder.h"
#include "core/storage/log_directory.h"
#include "tests/storage/recording_disk.h"

namespace klamm::tests {

class FactList final : public facts::Facts {
  public:
    FactList() : Facts(true) {}
    void emit(const facts::Fact& fact) override { all.push_back(fact); }
    template <class T>
    [[nodiscard]] std::vector<T> of() const {
        std::vector<T> found;
        for (const facts::Fact& fact : all) {
            if (const T* one = std::get_if<T>(&fact)) found.push_back(*one);
        }
        return found;
    }
    std::vector<facts::Fact> all;
};

class TestEnv final : public env::Env {
  public:
    explicit TestEnv(RecordingDisk& disk) : disk_(disk) {
        turn_.facts = &facts;
        turn_.plants = &plants;
    }
    [[nodiscard]] const Turn& turn() const override { return turn_; }
    [[nodiscard]] env::ShardIndex shard() const override { return 0; }
    [[nodiscard]] env::ShardIndex shards() const override { return 1; }
    env::Disk& disk() override { return disk_; }
    env::Network& network() override { KLAMM_UNREACHABLE(); }
    void wake_at(Instant) override {}
    void mail(env::ShardIndex, env::Mail) override { KLAMM_UNREACHABLE(); }
    void compute(std::unique_ptr<env::Job>, env::Token) override { KLAMM_UNREACHABLE(); }
    void stop(int) override { KLAMM_UNREACHABLE(); }
    void log(std::string_view) override {}

    void set_now(Instant now, Timestamp wall) {
        turn_.now = now;
        turn_.wall = wall;
    }

    FactList facts;
    Plants plants;

  private:
    RecordingDisk& disk_;
    Turn turn_{Instant{}, Timestamp(0), Draws(1)};
};

inline const TopicPartition trial{uuid_from_halves(7, 9), PartitionIndex(0)};
inline const std::string trial_name = "trial-0";
inline const std::string root = "d";

/// A batch of `records` records of about `bytes` each; its offsets are given by the log.
inline Buffer batch(int records, std::size_t bytes, Timestamp timestamp,
                    record::BatchOptions options = {}) {
    record::BatchBuilder builder(options);
    const std::string value(bytes, static_cast<char>('a' + timestamp.value % 26));
    for (int i = 0; i < records; ++i) {
        builder.append(timestamp + i, std::nullopt, as_bytes(value));
    }
    return Buffer::from(builder.build());
}

inline record::BatchOptions from_producer(std::int64_t id, std::int16_t epoch,
                                          std::int32_t sequence) {
    record::BatchOptions options;
    options.producer_id = ProducerId(id);
    options.producer_epoch = ProducerEpoch(epoch);
    options.base_sequence = sequence;
    return options;
}

/// One process over a disk: a log directory with the log of `trial`.
class Rig {
  public:
    Rig(RecordingDisk& disk, const storage::LogConfig& config)
        : env(disk), directory(root, 10, 1000), disk_(disk), config_(config) {}

    /// Starts and opens; false when the directory or the log is offline then.
    bool open(LeaderEpoch leader_epoch_max = LeaderEpoch(INT32_MAX)) {
        directory.start(env, {"cluster", BrokerId(1), uuid_from_halves(1, 2)});
        pump();
        if (directory.phase() != storage::DirectoryPhase::ready) return false;
        log = &directory.open_log(env, trial, trial_name, config_, leader_epoch_max);
        pump();
        return log->phase() == storage::LogPhase::open;
    }
    bool step() {
        auto event = disk_.answer();
        if (!event) return false;
        if (auto* read = std::get_if<env::ReadDone>(&*event)) directory.on_event(env, *read);
        if (auto* synced = std::get_if<env::Synced>(&*event)) directory.on_event(env, *synced);
        if (auto* listed = std::get_if<env::Listed>(&*event)) directory.on_event(env, *listed);
        return true;
    }
    void pump() {
        while (step()) {
        }
    }
    storage::Appended lead(const Buffer& one, int epoch) {
        auto appended = log->append_as_leader(env.turn(), env.disk(), one, LeaderEpoch(epoch));
        directory.settle(env.turn());
        return appended;
    }
    /// All bytes of the log's segment files, one after another.
    [[nodiscard]] Bytes bytes() const {
        Bytes all;
        for (const storage::Segment& segment : log->segments()) {
            const Bytes part = disk_.content(segment.log);
            all.insert(all.end(), part.begin(), part.end());
        }
        return all;
    }

    TestEnv env;
    storage::LogDirectory directory;
    storage::PartitionLog* log = nullptr;

  private:
    RecordingDisk& disk_;
    storage::LogConfig config_;
};

/// Whether indexes, epochs and producers of an open log are what its bytes say.
std::string inconsistency(const Rig& rig, const RecordingDisk& disk,
                          const storage::LogConfig& config);

}  // namespace klamm::tests

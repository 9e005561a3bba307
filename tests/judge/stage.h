#pragma once
// A stage for hand-written schedules: three brokers 1, 2 and 3 with one partition, every step a
// fact or a physical truth, one second apart. Each batch holds one record of 100 bytes; offset o
// lies at position 100 × o of the segment 0.

#include <string>
#include <utility>
#include <vector>

#include "sim/judge/judge.h"

namespace klamm::sim::stage {

constexpr BrokerId a{1};
constexpr BrokerId b{2};
constexpr BrokerId c{3};
constexpr std::int64_t batch_bytes = 100;
using Nodes = std::vector<BrokerId>;
using Cause = facts::PartitionChangeCause;

struct Settings {
    bool elr = true;
    bool unclean = false;
    std::int32_t min_isr = 2;
    std::int64_t flush = INT64_MAX;
    Slip slip = Slip::none;
};

class Stage {
  public:
    explicit Stage(Settings settings = {}) : judge(options_of(settings)), settings_(settings) {
        partition.topic = uuid_from_halves(0, 7);
        for (const BrokerId node : {a, b, c}) {
            fact(node, facts::BrokerRegistered{metadata_++, node, BrokerEpoch{node.value}, true});
            fact(node, facts::BrokerFencing{metadata_++, node, BrokerEpoch{node.value}, false});
        }
    }

    TopicPartition partition;
    Judge judge;

    void fact(BrokerId node, const facts::Fact& what) {
        now_ = now_ + seconds(1);
        judge.on_fact(now_, node, 1, what);
    }
    [[nodiscard]] Instant now() const { return now_; }

    bool restating = false;  // what is committed is no record of the partition's: its epoch stays
    /// Metadata commits this state.
    void commit(BrokerId leader, std::int32_t epoch, Nodes isr, Nodes elr, Cause cause,
                Nodes last_known = {}) {
        facts::PartitionCommitted state{};
        state.metadata_offset = metadata_++;
        state.partition = partition;
        state.leader = leader;
        state.leader_epoch = LeaderEpoch{epoch};
        if (!restating) ++partition_epoch_;
        state.partition_epoch = PartitionEpoch{partition_epoch_};
        state.replicas = {a, b, c};
        state.isr = isr;
        state.elr = std::move(elr);
        state.last_known_elr = std::move(last_known);
        state.elr_enabled = settings_.elr;
        state.unclean_enabled = settings_.unclean;
        state.min_isr = settings_.min_isr;
        state.flush_messages = settings_.flush;
        state.cause = cause;
        isr_ = std::move(isr);
        epoch_ = epoch;
        fact(leader, state);
    }
    void lead(BrokerId node, std::int32_t epoch, std::int64_t start) {
        fact(node, facts::Leading{partition, LeaderEpoch{epoch}, Offset{start}});
    }
    /// `a` leads in epoch 0 with everybody in the ISR.
    void open(Nodes isr = {a, b, c}, Nodes elr = {}) {
        commit(a, 0, std::move(isr), std::move(elr), Cause::created);
        lead(a, 0, 0);
    }
    void append(BrokerId node, std::int64_t offset, std::int32_t epoch,
                std::int32_t sequence = -1) {
        facts::BatchAppended batch{};
        batch.partition = partition;
        batch.epoch = LeaderEpoch{epoch};
        batch.base_offset = Offset{offset};
        batch.last_offset = Offset{offset};
        batch.crc = static_cast<std::uint32_t>(1000 * epoch + offset);
        batch.producer_id = sequence < 0 ? no_producer_id : ProducerId{9};
        batch.producer_epoch = ProducerEpoch{0};
        batch.base_sequence = sequence;
        batch.as_leader = epoch == epoch_ && node == a;
        batch.segment_base = Offset{0};
        batch.position = static_cast<std::uint64_t>(offset * batch_bytes);
        batch.size = batch_bytes;
        fact(node, batch);
    }
    void replicate(const Nodes& nodes, std::int64_t offset, std::int32_t epoch) {
        for (const BrokerId node : nodes) append(node, offset, epoch);
    }
    void flushed(const Nodes& nodes, std::int64_t end) {
        for (const BrokerId node : nodes) fact(node, facts::LogFlushed{partition, Offset{end}});
    }
    void watermark(BrokerId node, std::int32_t epoch, std::int64_t from, std::int64_t to) {
        fact(node, facts::HighWatermarkMoved{partition, LeaderEpoch{epoch}, Offset{from},
                                             Offset{to}, isr_, isr_, settings_.min_isr});
    }
    void answer(BrokerId node, std::int32_t epoch, std::int64_t offset, std::int16_t acks = -1) {
        fact(node, facts::ProduceAnswered{partition, LeaderEpoch{epoch}, Offset{offset},
                                          Offset{offset}, acks, 0, false, isr_, settings_.min_isr});
    }
    void serve(BrokerId node, std::int32_t epoch, std::int64_t from, std::int64_t to) {
        fact(node, facts::ConsumerServed{partition, LeaderEpoch{epoch}, Offset{from}, Offset{to},
                                         Offset{to}});
    }
    /// Writes offset o on `nodes`, moves the watermark and acknowledges with acks=all.
    void promise(const Nodes& nodes, std::int64_t offset, std::int32_t epoch = 0) {
        replicate(nodes, offset, epoch);
        watermark(nodes.front(), epoch, offset, offset + 1);
        answer(nodes.front(), epoch, offset);
    }
    void kill(BrokerId node) { judge.on_kill(now_ = now_ + seconds(1), node, 1); }
    /// Power goes; of the segment `kept` bytes are left, `synced` of them by a sync.
    void power(BrokerId node, std::int64_t batches_before, std::int64_t batches_kept,
               std::int64_t batches_synced = 0, std::vector<UndoneTruncate> undone = {}) {
        Damage damage;
        damage.partition = partition;
        damage.segment_base = Offset{0};
        damage.synced_length = static_cast<std::uint64_t>(batches_synced * batch_bytes);
        damage.length_before = static_cast<std::uint64_t>(batches_before * batch_bytes);
        damage.length_after = static_cast<std::uint64_t>(batches_kept * batch_bytes);
        judge.on_power_loss(now_ = now_ + seconds(1), node, 2, {&damage, 1}, undone);
    }
    void truncated(BrokerId node, std::int64_t end,
                   facts::TruncateReason reason = facts::TruncateReason::divergence) {
        fact(node, facts::LogTruncated{partition, Offset{end}, reason});
    }
    /// The node starts again, unproven, recovers up to `end` and registers.
    void restart(BrokerId node, std::int64_t end, std::int64_t recovery_point = 0) {
        judge.on_start(now_, node, 2);
        fact(node, facts::LogOpened{partition, Offset{0}, Offset{end}, Offset{recovery_point},
                                    false, false});
        fact(node, facts::BrokerRegistered{metadata_++, node, BrokerEpoch{metadata_}, false});
    }
    void unfence(BrokerId node) {
        fact(node, facts::BrokerFencing{metadata_++, node, BrokerEpoch{metadata_}, false});
    }

    [[nodiscard]] std::int64_t lost(Rule rule) const {
        return judge.bill().records_lost[static_cast<std::size_t>(rule)];
    }
    [[nodiscard]] std::int64_t avoidable(Rule rule) const {
        return judge.bill().records_avoidable[static_cast<std::size_t>(rule)];
    }
    [[nodiscard]] bool red(const std::string& rule) const {
        for (const Violation& one : judge.violations()) {
            if (one.rule == rule) return true;
        }
        return false;
    }
    /// All that is red, for a failing test's message.
    [[nodiscard]] std::string all_red() const {
        std::string out;
        for (const Violation& one : judge.violations())
            out += one.rule + ": " + one.sentence + "\n";
        return out;
    }

  private:
    static JudgeOptions options_of(const Settings& settings) {
        JudgeOptions options;
        options.slip = settings.slip;
        return options;
    }

    Settings settings_;
    Instant now_;
    std::int64_t metadata_ = 1;
    std::int32_t partition_epoch_ = 0;
    std::int32_t epoch_ = 0;
    Nodes isr_;
};

}  // namespace klamm::sim::stage

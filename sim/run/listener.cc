#include "sim/run/listener.h"

#include <fmt/format.h>

#include "sim/run/disk_aim.h"
#include "sim/run/disk_troubles.h"

namespace klamm::sim {

namespace {

constexpr std::size_t recent_max = 60;

/// Facts that a reader of a violation wants to see; the rest come by the thousand.
bool telling(const facts::Fact& fact) {
    return std::holds_alternative<facts::LogTruncated>(fact) ||
           std::holds_alternative<facts::LogOpened>(fact) ||
           std::holds_alternative<facts::LogOffline>(fact) ||
           std::holds_alternative<facts::Leading>(fact) ||
           std::holds_alternative<facts::Following>(fact) ||
           std::holds_alternative<facts::IsrProposed>(fact) ||
           std::holds_alternative<facts::PartitionCommitted>(fact) ||
           std::holds_alternative<facts::BrokerRegistered>(fact) ||
           std::holds_alternative<facts::BrokerFencing>(fact) ||
           std::holds_alternative<facts::CorruptReceived>(fact) ||
           std::holds_alternative<facts::QuorumStarted>(fact) ||
           std::holds_alternative<facts::QuorumVoted>(fact) ||
           std::holds_alternative<facts::QuorumLeading>(fact);
}

std::vector<UndoneTruncate> undone_of(const World& world, NodeId node, const DamageReport& report) {
    std::vector<UndoneTruncate> all;
    const auto add = [&](const std::string& name, std::uint64_t cut_to, std::uint64_t length_now) {
        const auto path = segment_path(name);
        const auto partition = path.has_value() ? judged_partition(*path) : std::nullopt;
        if (partition) all.push_back({*partition, path->base, cut_to, length_now});
    };
    for (const TruncateUndone& undone : report.truncates_undone)
        add(undone.path, undone.cut_to, undone.length_now);
    // A segment that was taken away whole and is there again.
    for (const NameDamage& name : report.names) {
        if (name.change != NameChange::came_back) continue;
        if (const Bytes* bytes = world.file_bytes(node, name.path))
            add(name.path, 0, bytes->size());
    }
    return all;
}

}  // namespace

void Listener::on_fact(NodeId node, env::ShardIndex shard, Instant time, const facts::Fact& fact) {
    if (hooks_.observer != nullptr) hooks_.observer->on_fact(node, shard, time, fact);
    if (director_ != nullptr) director_->on_fact(node, shard, time, fact);
    if (telling(fact)) keep({time, cluster_.world().name(node), fact, {}});
    if (hooks_.fact_sink) hooks_.fact_sink(time, cluster_.world().name(node), fact);
    if (const auto* committed = std::get_if<facts::PartitionCommitted>(&fact);
        committed != nullptr && watch_ != nullptr)
        watch_->committed(*committed);
    if (hooks_.judging) hooks_.judging(true);
    const bool red =
        judge_.on_fact(time, cluster_.id_of(node), cluster_.world().incarnation(node), fact);
    if (hooks_.judging) hooks_.judging(false);
    if (red) look();
    for (const facts::Fact& decided : judge_.take_decided()) on_fact(node, shard, time, decided);
}

void Listener::on_start(NodeId node, std::uint64_t incarnation) {
    if (hooks_.observer != nullptr) hooks_.observer->on_start(node, incarnation);
    if (director_ != nullptr) director_->on_start(node, incarnation);
    if (cluster_.target_of(node) < 0) return;
    note(cluster_.world().name(node), fmt::format("starts, incarnation {}", incarnation));
    judge_.on_start(cluster_.world().now(), cluster_.id_of(node), incarnation);
}

void Listener::on_stop(NodeId node, int status) {
    if (hooks_.observer != nullptr) hooks_.observer->on_stop(node, status);
    if (director_ != nullptr) director_->on_stop(node, status);
    const std::int32_t broker = cluster_.target_of(node);
    if (broker < 0) return;
    const auto index = static_cast<std::size_t>(broker);
    const Instant now = cluster_.world().now();
    note(cluster_.world().name(node), fmt::format("ends by itself, status {}", status));
    judge_.on_stop(now, cluster_.id_of(node));
    if (status != 0 && index < first_member)
        judge_.on_directory_offline(now, cluster_.id_of(node),
                                    watch_ != nullptr ? watch_->disk_fault(index) : fault_none);
    if (watch_ != nullptr) watch_->stopped(index, status);
    look();
}

void Listener::on_crash(NodeId node, CrashKind kind, const DamageReport& report) {
    if (hooks_.observer != nullptr) hooks_.observer->on_crash(node, kind, report);
    if (director_ != nullptr) director_->on_crash(node, kind, report);
    const std::int32_t broker = cluster_.target_of(node);
    if (broker < 0) return;
    const Instant now = cluster_.world().now();
    const BrokerId id = cluster_.id_of(node);
    std::vector<Damage> damages = damages_of(report.files);
    if (slips(hooks_.slip, Slip::damage_untold)) damages.clear();
    const FaultId fault =
        watch_ != nullptr ? watch_->crashed(static_cast<std::size_t>(broker), kind, report.any())
                          : fault_none;
    std::string text = to_string(kind);
    for (const Damage& damage : damages)
        text +=
            fmt::format("; segment {} from {} to {} bytes, synced {}", damage.segment_base.value,
                        damage.length_before, damage.length_after, damage.synced_length);
    note(cluster_.world().name(node), std::move(text));
    if (watch_ != nullptr) {
        const FaultId medium = watch_->disk_fault(static_cast<std::size_t>(broker));
        for (const auto& by_medium :
             {wrong_above_syncs(report.blemished), lied_about(report.files)})
            if (!by_medium.empty()) judge_.on_rot(now, id, medium, by_medium);
    }
    switch (kind) {
        case CrashKind::kill: judge_.on_kill(now, id, fault, damages); break;
        case CrashKind::power:
            judge_.on_power_loss(now, id, fault, damages,
                                 undone_of(cluster_.world(), node, report));
            break;
        case CrashKind::wipe: judge_.on_wipe(now, id, fault); break;
    }
    look();
}

void Listener::on_misdirected(NodeId node, const FileDamage& file) {
    if (hooks_.observer != nullptr) hooks_.observer->on_misdirected(node, file);
    if (director_ != nullptr) director_->on_misdirected(node, file);
    const std::int32_t broker = cluster_.target_of(node);
    if (broker < 0 || watch_ == nullptr) return;
    FileDamage hit = file;  // while the process lives, nothing above is lost
    hit.synced_length = hit.answered_length = file.length_before;
    judge_.on_rot(cluster_.world().now(), cluster_.id_of(node),
                  watch_->went_astray(static_cast<std::size_t>(broker)), damages_of({hit}));
    look();
}

void Listener::on_range_cut(NodeId node, const FileDamage& file) {
    if (hooks_.observer != nullptr) hooks_.observer->on_range_cut(node, file);
    if (cluster_.target_of(node) < 0) return;
    for (const ByteRange range : file.changed)
        judge_.on_range_cut(cluster_.world().now(), cluster_.id_of(node), file.path, range.from,
                            range.to);
    look();
}

void Listener::on_log(NodeId node, env::ShardIndex shard, Instant time, std::string_view line) {
    if (hooks_.observer != nullptr) hooks_.observer->on_log(node, shard, time, line);
    if (hooks_.log_sink) hooks_.log_sink(time, cluster_.world().name(node), line);
}

void Listener::on_turn_end(NodeId node, env::ShardIndex shard) {
    if (director_ != nullptr) director_->on_turn_end(node, shard);
}

void Listener::note(const std::string& node, std::string text) {
    keep({cluster_.world().now(), node, {}, std::move(text)});
}

void Listener::keep(Entry entry) {
    if (first_violation_ != instant_never && entry.time > first_violation_) return;
    recent_.push_back(std::move(entry));
    if (recent_.size() > recent_max) recent_.pop_front();
}

void Listener::look() {
    const std::uint64_t total = judge_.violations_total();
    if (total == violations_seen_) return;
    violations_seen_ = total;
    if (first_violation_ == instant_never) first_violation_ = cluster_.world().now();
}

std::vector<TimelineEntry> Listener::timeline() const {
    std::vector<TimelineEntry> all;
    for (const Entry& entry : recent_)
        all.push_back(
            {entry.time, entry.node, entry.text.empty() ? describe(entry.fact) : entry.text});
    return all;
}

}  // namespace klamm::sim

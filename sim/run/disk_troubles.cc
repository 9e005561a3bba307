#include "sim/run/disk_troubles.h"

#include <algorithm>

#include "core/metadata/metadata_topic.h"
#include "sim/judge/groups.h"
#include "sim/run/disk_aim.h"

namespace klamm::sim {

namespace {

constexpr std::uint64_t sector = 512;
constexpr std::uint64_t unreadable_sizes = 8;  // 512 B to 64 KiB
constexpr std::uint64_t rotten_bytes_max = 8;

std::optional<Damage> damage_of(const FileDamage& file) {
    const auto path = segment_path(file.path);
    const auto partition = path.has_value() ? judged_partition(*path) : std::nullopt;
    if (!partition.has_value()) return std::nullopt;
    Damage damage;
    damage.partition = *partition;
    damage.segment_base = path->base;
    for (const ByteRange& range : file.changed) damage.ranges.push_back({range.from, range.to});
    damage.synced_length = std::max(file.synced_length, file.answered_length);
    damage.length_before = file.length_before;
    damage.length_after = file.length_after;
    return damage;
}

}  // namespace

std::optional<TopicPartition> judged_partition(const SegmentPath& path) {
    if (path.topic == metadata::metadata_topic_name)
        return TopicPartition{metadata::metadata_topic, path.partition};
    if (path.topic == offsets_topic_name) return TopicPartition{offsets_topic, path.partition};
    if (is_internal(path.topic)) return std::nullopt;
    return TopicPartition{trial_topic, path.partition};
}

std::vector<Damage> damages_of(const std::vector<FileDamage>& files) {
    std::vector<Damage> all;
    for (const FileDamage& file : files)
        if (auto damage = damage_of(file)) all.push_back(std::move(*damage));
    return all;
}

std::vector<Damage> lied_about(const std::vector<FileDamage>& files) {
    std::vector<Damage> all;
    for (const FileDamage& file : files) {
        if (file.answered_length <= file.synced_length) continue;
        auto damage = damage_of(file);
        if (!damage) continue;
        for (DamagedBytes& range : damage->ranges)
            range.to = std::min(range.to, file.answered_length);
        std::erase_if(damage->ranges, [&](const DamagedBytes& range) {
            return range.from >= range.to || range.to <= file.synced_length;
        });
        damage->length_before = std::min(file.length_before, file.answered_length);
        damage->length_after = std::min(file.length_after, file.answered_length);
        if (!damage->ranges.empty() || damage->length_after < damage->length_before)
            all.push_back(std::move(*damage));
    }
    return all;
}

std::vector<Damage> wrong_above_syncs(const std::vector<FileDamage>& blemished) {
    std::vector<Damage> all;
    for (Damage& damage : damages_of(blemished)) {
        std::erase_if(damage.ranges,
                      [&](const DamagedBytes& range) { return range.to <= damage.synced_length; });
        if (!damage.ranges.empty()) all.push_back(std::move(damage));
    }
    return all;
}

bool DiskTroubles::handles(FaultKind kind) {
    switch (kind) {
        case FaultKind::disk_rot:
        case FaultKind::disk_unreadable:
        case FaultKind::disk_misdirect:
        case FaultKind::disk_write_back: return true;
        default: return kills(kind);
    }
}

bool DiskTroubles::kills(FaultKind kind) {
    return kind == FaultKind::disk_rollback || kind == FaultKind::disk_swap ||
           kind == FaultKind::disk_lost_directory;
}

void DiskTroubles::remember(const FaultEvent& fault) {
    const NodeId target = node(fault.targets.front());
    images_[fault.id] = world().disk_contents(target);
    judge_.on_image(cluster_.id_of(target), fault.id);
}

bool DiskTroubles::strike(const FaultEvent& fault) {
    const std::size_t broker = fault.targets.front();
    switch (fault.kind) {
        case FaultKind::disk_rot: return rot(fault);
        case FaultKind::disk_unreadable: return make_unreadable(fault);
        case FaultKind::disk_misdirect: {
            if (astray_.contains(broker)) return false;  // one at a time, so that it is known whose
            const auto place =
                aimed_at_written(world(), node(broker), fault.aim, fault.draw, false);
            if (!place) return false;
            const std::uint64_t lands_at = mix64(fault.draw) % place->to;
            if (world().misdirect_next_write(node(broker), place->path, lands_at))
                astray_[broker] = &fault;
            return false;  // counted when it happens
        }
        case FaultKind::disk_write_back: {
            const auto place = aimed_at_written(world(), node(broker), fault.aim, fault.draw, true);
            return place && world().fail_write_back(node(broker), place->path);
        }
        case FaultKind::disk_rollback: return roll_back(fault);
        case FaultKind::disk_lost_directory: return lose_directory(fault);
        default:
            swapped_.emplace(fault.id, &fault);
            swap(fault);
            return true;
    }
}

bool DiskTroubles::rot(const FaultEvent& fault) {
    const NodeId target = node(fault.targets.front());
    const auto place = aimed(world(), target, fault.aim, fault.draw);
    if (!place) return false;
    const std::uint64_t size = place->to - place->from;
    const std::uint64_t from = place->from + mix64(fault.draw) % size;
    const std::uint64_t count =
        std::min(place->to - from, 1 + mix64(fault.draw + 1) % rotten_bytes_max);
    const Bytes& good = *world().file_bytes(target, place->path);
    Bytes seen(good.begin() + static_cast<std::ptrdiff_t>(from),
               good.begin() + static_cast<std::ptrdiff_t>(from + count));
    for (std::uint64_t i = 0; i < count; ++i)
        seen[i] ^= static_cast<std::uint8_t>(1 + mix64(fault.draw + 2 + i) % 255);
    if (!world().rot_file(target, place->path, from, seen)) return false;
    FileDamage file = *world().file_state(target, place->path);
    file.changed = {{from, from + count}};
    // While the process lives, only what is hit is lost; a crash tells what it costs above.
    file.synced_length = file.answered_length = file.length_before;
    judge_.on_rot(world().now(), cluster_.id_of(target), fault.id, damages_of({file}));
    return true;
}

bool DiskTroubles::make_unreadable(const FaultEvent& fault) {
    const std::size_t broker = fault.targets.front();
    const auto place = aimed(world(), node(broker), fault.aim, fault.draw);
    if (!place) return false;
    const std::uint64_t at = place->from + mix64(fault.draw) % (place->to - place->from);
    const std::uint64_t from = at / sector * sector;
    const std::uint64_t size = sector << (mix64(fault.draw + 1) % unreadable_sizes);
    if (!world().break_file(node(broker), place->path, {from, from + size})) return false;
    unreadable_[broker].insert(fault.id);
    return true;
}

bool DiskTroubles::roll_back(const FaultEvent& fault) {
    const auto image = images_.find(fault.id);
    if (image == images_.end()) return false;
    const NodeId target = node(fault.targets.front());
    world().set_disk_contents(target, image->second);
    images_.erase(image);
    judge_.on_rollback(world().now(), cluster_.id_of(target), fault.id);
    return true;
}

bool DiskTroubles::lose_directory(const FaultEvent& fault) {
    const NodeId target = node(fault.targets.front());
    const auto directory = aimed_directory(world(), target, fault.draw);
    if (!directory) return false;
    auto contents = world().disk_contents(target);
    std::vector<TopicPartition> lost;
    for (const auto& [path, bytes] : contents) {
        if (!path.starts_with(*directory + "/")) continue;
        const auto partition = partition_of(path);
        if (!partition) continue;
        const TopicPartition which{trial_topic, PartitionIndex(*partition)};
        if (lost.empty() || lost.back() != which) lost.push_back(which);
    }
    std::erase_if(contents,
                  [&](const auto& file) { return file.first.starts_with(*directory + "/"); });
    world().set_disk_contents(target, contents);
    judge_.on_lost(world().now(), cluster_.id_of(target), fault.id, lost);
    return true;
}

void DiskTroubles::swap(const FaultEvent& fault) {
    const NodeId one = node(fault.targets.front());
    const NodeId other = node(fault.targets.back());
    const auto kept = world().disk_contents(one);
    world().set_disk_contents(one, world().disk_contents(other));
    world().set_disk_contents(other, kept);
}

void DiskTroubles::end(const FaultEvent& fault) {
    if (fault.kind == FaultKind::disk_swap) {
        if (swapped_.erase(fault.id) > 0) swap(fault);
        return;
    }
    if (fault.kind != FaultKind::disk_unreadable) return;
    auto& ranges = unreadable_[fault.targets.front()];
    ranges.erase(fault.id);
    if (ranges.empty()) world().mend_medium(node(fault.targets.front()));
}

void DiskTroubles::heal() {
    for (const auto& [id, fault] : std::exchange(swapped_, {})) swap(*fault);  // none twice
    unreadable_.clear();
    astray_.clear();
    for (const std::uint32_t target : cluster_.targets()) world().mend_medium(node(target));
}

const FaultEvent* DiskTroubles::went_astray(std::size_t broker) {
    const auto armed = astray_.find(broker);
    if (armed == astray_.end()) return nullptr;
    const FaultEvent* fault = armed->second;
    astray_.erase(armed);
    return fault;
}

bool DiskTroubles::away(std::size_t broker) const {
    return std::any_of(swapped_.begin(), swapped_.end(), [broker](const auto& one) {
        const auto& targets = one.second->targets;
        return std::find(targets.begin(), targets.end(), broker) != targets.end();
    });
}

}  // namespace klamm::sim

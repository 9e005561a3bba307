// The books: appending, taking away, damaging. Batches are found by binary search; ordinary facts
// touch only the end of one replica's vector.
#include "sim/judge/books.h"

#include <algorithm>

#include "core/base/assert.h"

namespace klamm::sim {

namespace {

std::uint64_t place_key(LeaderEpoch epoch, Offset base) {
    return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(epoch.value)) << 40) ^
           static_cast<std::uint64_t>(base.value);
}

std::int32_t producer_index(PartitionBook& book, ProducerId id) {
    if (id.value < 0) return -1;
    const auto next = static_cast<std::int32_t>(book.producers.size());
    return book.producers.emplace(id.value, next).first->second;
}

BatchId make_batch(PartitionBook& book, const facts::BatchAppended& fact) {
    Batch batch;
    batch.epoch = fact.epoch;
    batch.base = fact.base_offset;
    batch.last = fact.last_offset;
    batch.crc = fact.crc;
    batch.producer = producer_index(book, fact.producer_id);
    batch.producer_epoch = fact.producer_epoch;
    batch.base_sequence = fact.base_sequence;
    book.batches.push_back(batch);
    return static_cast<BatchId>(book.batches.size() - 1);
}

bool same(const Batch& batch, const facts::BatchAppended& fact) {
    return batch.epoch == fact.epoch && batch.base == fact.base_offset &&
           batch.last == fact.last_offset && batch.crc == fact.crc;
}

void put(PartitionBook& book, std::size_t slot, Held held) {
    ReplicaBook& replica = book.replicas[slot];
    Batch& batch = book.batches[held.id];
    if (batch.producer >= 0) {
        const auto producer = static_cast<std::size_t>(batch.producer);
        if (replica.producer_last.size() <= producer)
            replica.producer_last.resize(producer + 1, -1);
        held.producer_previous = replica.producer_last[producer];
        replica.producer_last[producer] =
            replica.number_base + static_cast<std::int64_t>(replica.held.size());
    }
    if (held.health == Health::good) batch.good |= bit_of(slot);
    replica.end = held.last + 1;
    replica.held.push_back(held);
}

void spoil(PartitionBook& book, std::size_t slot, Held& held, Health health) {
    if (held.health == Health::bad) return;
    held.health = health;
    book.batches[held.id].good &= ~bit_of(slot);
}

}  // namespace

std::size_t ReplicaBook::find(Offset offset) const {
    const auto from = held.begin() + static_cast<std::ptrdiff_t>(first);
    const auto found = std::partition_point(
        from, held.end(), [offset](const Held& one) { return one.last < offset; });
    return static_cast<std::size_t>(found - held.begin());
}

const Held* ReplicaBook::at(Offset offset) const {
    const std::size_t index = find(offset);
    if (index == held.size() || held[index].base > offset) return nullptr;
    return &held[index];
}

const DamagedRange* ReplicaBook::damage_at(Offset offset) const {
    for (std::size_t i = damaged.size(); i > 0; --i) {
        if (damaged[i - 1].from <= offset && offset < damaged[i - 1].to) return &damaged[i - 1];
    }
    return nullptr;
}

std::size_t PartitionBook::slot(BrokerId node) {
    for (std::size_t i = 0; i < replicas.size(); ++i) {
        if (replicas[i].node == node) return i;
    }
    KLAMM_ASSERT(replicas.size() < replicas_max);
    replicas.emplace_back().node = node;
    return replicas.size() - 1;
}

const ReplicaBook* PartitionBook::replica(BrokerId node) const {
    for (const ReplicaBook& one : replicas) {
        if (one.node == node) return &one;
    }
    return nullptr;
}

ReplicaMask PartitionBook::mask_of(std::span<const BrokerId> nodes) {
    ReplicaMask mask = 0;
    for (const BrokerId node : nodes) mask |= bit_of(slot(node));
    return mask;
}

ReplicaMask PartitionBook::covering(const Batch& batch) const {
    if (!durable_only()) return batch.good;
    ReplicaMask mask = batch.good;
    for (std::size_t i = 0; i < replicas.size(); ++i) {
        if (batch.last >= replicas[i].flushed) mask &= ~bit_of(i);
    }
    return mask;
}

Appended append(PartitionBook& book, std::size_t slot, const facts::BatchAppended& fact,
                Instant now) {
    ReplicaBook& replica = book.replicas[slot];
    Appended result;
    const auto [place, fresh] = book.by_place.try_emplace(
        place_key(fact.epoch, fact.base_offset), static_cast<BatchId>(book.batches.size()));
    if (fresh) {
        result.id = make_batch(book, fact);
    } else if (same(book.batches[place->second], fact)) {
        result.id = place->second;
    } else {
        result.conflict = place->second;
        for (std::size_t i = book.batches.size(); i > 0 && result.id == batch_none; --i) {
            if (same(book.batches[i - 1], fact)) result.id = static_cast<BatchId>(i - 1);
        }
        if (result.id == batch_none) result.id = make_batch(book, fact);
    }
    if (replica.empty()) {
        replica.start = fact.base_offset;
    } else {
        result.gap = fact.base_offset != replica.end;
    }
    for (DamagedRange& range : replica.damaged) {  // what was lost is replaced
        // Rot lies amid what is sound: who writes above it has not replaced it.
        if (range.kind == DamageKind::rot && fact.base_offset >= range.to) continue;
        if (range.from <= fact.base_offset) range.from = std::max(range.from, fact.last_offset + 1);
    }
    std::erase_if(replica.damaged, [](const DamagedRange& one) { return one.from >= one.to; });
    if (result.gap && fact.base_offset < replica.end) truncate(book, slot, fact.base_offset, false);
    Held held;
    held.id = result.id;
    held.base = fact.base_offset;
    held.last = fact.last_offset;
    held.segment_base = fact.segment_base;
    held.position = fact.position;
    held.size = fact.size;
    held.appended = now;
    put(book, slot, held);
    return result;
}

std::vector<Removed> truncate(PartitionBook& book, std::size_t slot, Offset end, bool may_return) {
    ReplicaBook& replica = book.replicas[slot];
    std::vector<Removed> removed;
    while (!replica.empty() && replica.held.back().last >= end) {
        const Held held = replica.held.back();
        replica.held.pop_back();
        Batch& batch = book.batches[held.id];
        if (batch.producer >= 0) {
            replica.producer_last[static_cast<std::size_t>(batch.producer)] =
                held.producer_previous;
        }
        removed.push_back({held.id, held.health});
        batch.good &= ~bit_of(slot);
        if (may_return && held.health == Health::good) replica.ghosts.push_back(held);
    }
    std::reverse(removed.begin(), removed.end());
    replica.end = replica.empty() ? std::max(replica.start, end) : replica.held.back().last + 1;
    if (replica.empty()) replica.start = end;
    replica.flushed = std::min(replica.flushed, end);
    replica.claimed = std::min(replica.claimed, end);
    return removed;
}

std::vector<Removed> trim(PartitionBook& book, std::size_t slot, Offset start) {
    ReplicaBook& replica = book.replicas[slot];
    std::vector<Removed> removed;
    while (!replica.empty() && replica.held[replica.first].last < start) {
        const Held& held = replica.held[replica.first++];
        removed.push_back({held.id, held.health});
        book.batches[held.id].good &= ~bit_of(slot);
    }
    replica.start = std::max(replica.start, start);
    if (replica.empty()) replica.end = std::max(replica.end, start);
    if (replica.first > 4096 && replica.first * 2 > replica.held.size()) {
        replica.held.erase(replica.held.begin(),
                           replica.held.begin() + static_cast<std::ptrdiff_t>(replica.first));
        replica.number_base += static_cast<std::int64_t>(replica.first);
        replica.first = 0;
    }
    return removed;
}

namespace {
/// Sorted and merged, so that their ends ascend too.
std::vector<DamagedBytes> merged(std::vector<DamagedBytes> ranges) {
    std::sort(ranges.begin(), ranges.end(),
              [](const DamagedBytes& a, const DamagedBytes& b) { return a.from < b.from; });
    std::size_t last = 0;
    for (std::size_t i = 1; i < ranges.size(); ++i) {
        if (ranges[i].from <= ranges[last].to)
            ranges[last].to = std::max(ranges[last].to, ranges[i].to);
        else
            ranges[++last] = ranges[i];
    }
    if (!ranges.empty()) ranges.resize(last + 1);
    return ranges;
}

/// Whether one of the merged ranges reaches into [from, end).
bool overlaps(const std::vector<DamagedBytes>& ranges, std::uint64_t from, std::uint64_t end) {
    const auto first =
        std::upper_bound(ranges.begin(), ranges.end(), from,
                         [](std::uint64_t at, const DamagedBytes& range) { return at < range.to; });
    return first != ranges.end() && first->from < end;
}
}  // namespace

std::vector<BatchId> damage(PartitionBook& book, std::size_t slot, const Damage& what,
                            DamageKind kind, FaultId fault, Instant now) {
    ReplicaBook& replica = book.replicas[slot];
    replica.fault = fault;
    replica.fault_time = now;
    std::vector<DamagedBytes> ranges = what.ranges;
    if (what.length_after < what.length_before) {
        ranges.push_back({what.length_after, what.length_before});
    }
    constexpr std::uint64_t nowhere = UINT64_MAX;
    std::uint64_t cut = nowhere;  // from here up everything is cost
    for (const DamagedBytes& range : ranges) {
        if (range.from >= range.to) continue;
        if (range.to > what.synced_length) {
            cut = std::min(cut, std::max(range.from, what.synced_length));
        }
    }
    ranges = merged(std::move(ranges));
    std::vector<BatchId> claimed;
    Offset from{INT64_MAX};
    Offset to{0};
    const auto hit = [&](Held& held, bool above_synced) {
        if (held.health == Health::bad) return;
        if (kind == DamageKind::power && above_synced && held.last < replica.claimed) {
            claimed.push_back(held.id);
        }
        spoil(book, slot, held, Health::bad);
        if (kind == DamageKind::rot) {
            replica.damaged.push_back({held.base, held.last + 1, kind, now, fault});
            return;
        }
        from = std::min(from, held.base);
        to = std::max(to, held.last + 1);
    };
    for (std::size_t i = replica.find(what.segment_base); i < replica.held.size(); ++i) {
        Held& held = replica.held[i];
        if (held.segment_base < what.segment_base) continue;
        if (held.segment_base > what.segment_base) {
            if (cut == nowhere) break;
            hit(held, false);
            continue;
        }
        const std::uint64_t end = held.position + held.size;
        if (cut != nowhere && end > cut) {
            hit(held, end > what.synced_length);
            continue;
        }
        if (overlaps(ranges, held.position, end)) hit(held, false);
    }
    if (from < to) replica.damaged.push_back({from, to, kind, now, fault});
    return claimed;
}

void undo_truncate(PartitionBook& book, std::size_t slot, const UndoneTruncate& what) {
    ReplicaBook& replica = book.replicas[slot];
    // The bytes that replaced them, if any, did not survive.
    while (!replica.empty() && replica.held.back().health == Health::bad &&
           replica.held.back().segment_base == what.segment_base &&
           replica.held.back().position >= what.cut_to) {
        truncate(book, slot, replica.held.back().base, false);
    }
    for (std::size_t i = replica.ghosts.size(); i > 0; --i) {
        const Held ghost = replica.ghosts[i - 1];
        const bool inside = ghost.segment_base == what.segment_base &&
                            ghost.position >= what.cut_to &&
                            ghost.position + ghost.size <= what.length_now;
        if (inside && ghost.base == replica.end) put(book, slot, ghost);
    }
}

bool extend_to(PartitionBook& book, std::size_t slot, Offset end) {
    ReplicaBook& replica = book.replicas[slot];
    for (std::size_t i = replica.ghosts.size(); i > 0 && replica.end < end; --i) {
        const Held ghost = replica.ghosts[i - 1];
        if (ghost.base == replica.end && ghost.last < end) put(book, slot, ghost);
    }
    return replica.end == end;
}

void wipe(PartitionBook& book, std::size_t slot, FaultId fault, Instant now) {
    ReplicaBook& replica = book.replicas[slot];
    if (!replica.empty()) {
        replica.damaged.push_back(
            {replica.held[replica.first].base, replica.end, DamageKind::wipe, now, fault});
    }
    truncate(book, slot, replica.start, false);
    replica.fault = fault;
    replica.fault_time = now;
    replica.ghosts.clear();
    replica.start = Offset{0};
    replica.end = Offset{0};
    replica.flushed = Offset{0};
    replica.claimed = Offset{0};
    replica.flushed_max = Offset{0};
}

void roll_back(PartitionBook& book, std::size_t slot, const ReplicaBook& image, FaultId fault,
               Instant now) {
    const ReplicaBook before = book.replicas[slot];
    // Up to here nothing changes.
    Offset same = image.start;
    for (std::size_t i = image.first; i < image.held.size(); ++i) {
        const Held* held = before.at(image.held[i].base);
        if (held == nullptr || held->id != image.held[i].id) break;
        same = held->last + 1;
    }
    wipe(book, slot, fault, now);
    ReplicaBook& replica = book.replicas[slot];
    replica.damaged = image.damaged;
    const Offset from = std::max(same, before.start);
    if (from < before.end)
        replica.damaged.push_back({from, before.end, DamageKind::wipe, now, fault});
    replica.start = image.start;
    replica.end = image.end;
    for (std::size_t i = image.first; i < image.held.size(); ++i) put(book, slot, image.held[i]);
    replica.flushed = replica.end;  // an image is whole
    replica.flushed_max = image.flushed_max;
    replica.matched = 0;
}

void doubt(PartitionBook& book, std::size_t slot, Instant now) {
    ReplicaBook& replica = book.replicas[slot];
    for (std::size_t i = replica.held.size(); i > replica.first; --i) {
        Held& held = replica.held[i - 1];
        if (held.appended != now) break;
        spoil(book, slot, held, Health::doubtful);
    }
}

bool holds_rotten(const ReplicaBook& replica, const Batch& batch, BatchId id) {
    const Held* held = replica.at(batch.base);
    const DamagedRange* damage = replica.damage_at(batch.base);
    return held != nullptr && held->id == id && damage != nullptr &&
           damage->kind == DamageKind::rot;
}

bool candidate_spoiled(const PartitionBook& book, const Batch& batch) {
    for (std::size_t slot = 0; slot < book.replicas.size(); ++slot) {
        const DamagedRange* damage = book.replicas[slot].damage_at(batch.base);
        const bool spoiled = damage != nullptr &&
                             (damage->kind == DamageKind::rot || damage->kind == DamageKind::wipe);
        if (spoiled && (book.candidates & bit_of(slot)) != 0) return true;
    }
    return false;
}

void trust(PartitionBook& book, std::size_t slot) {
    ReplicaBook& replica = book.replicas[slot];
    for (std::size_t i = replica.held.size(); i > replica.first; --i) {
        Held& held = replica.held[i - 1];
        if (held.health == Health::good) break;
        if (held.health != Health::doubtful) continue;
        held.health = Health::good;
        book.batches[held.id].good |= bit_of(slot);
    }
}

std::vector<const Election*> never_led_between(const PartitionBook& book, LeaderEpoch after,
                                               LeaderEpoch until) {
    std::vector<const Election*> found;
    auto at = book.elections.upper_bound(after);
    for (; at != book.elections.end() && at->first < until; ++at)
        if (at->second.kind != ElectionClass::clean && !book.leaders.contains(at->first))
            found.push_back(&at->second);
    return found;
}

bool had_then(const PartitionBook& book, const Batch& batch, const Election& then) {
    const ReplicaBook* elected = book.replica(then.leader);
    if (elected == nullptr) return false;
    const auto slot = static_cast<std::size_t>(elected - book.replicas.data());
    if ((batch.good & bit_of(slot)) != 0) return true;
    const DamagedRange* damage = elected->damage_at(batch.base);
    if (damage == nullptr || damage->time < then.time) return false;
    const bool volatile_loss =
        damage->kind == DamageKind::power || damage->kind == DamageKind::kill;
    return !(book.durable_only() && volatile_loss);
}

}  // namespace klamm::sim

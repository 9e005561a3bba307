// See leader_epoch_cache.h. The file's parser accepts exactly what to_text writes, but for the last
// newline.

#include "core/log/leader_epoch_cache.h"

#include <algorithm>
#include <charconv>

#include "core/base/checksum.h"

namespace klamm::log {

void LeaderEpochCache::changed() {
    digest_ = 0;
    for (const EpochEntry& entry : entries_) {
        digest_ = fold64(digest_, static_cast<std::uint64_t>(entry.epoch.value));
        digest_ = fold64(digest_, static_cast<std::uint64_t>(entry.start.value));
    }
}

bool LeaderEpochCache::assign(LeaderEpoch epoch, Offset start) {
    KLAMM_ASSERT(epoch.value >= 0);
    KLAMM_ASSERT(start.value >= 0);
    if (!entries_.empty()) {
        const EpochEntry& last = entries_.back();
        if (last.epoch == epoch && start >= last.start) return false;
    }
    while (!entries_.empty() &&
           (entries_.back().epoch >= epoch || entries_.back().start >= start)) {
        entries_.pop_back();
    }
    entries_.push_back({epoch, start});
    changed();
    return true;
}

bool LeaderEpochCache::truncate_from_end(Offset end) {
    const std::size_t before = entries_.size();
    while (!entries_.empty() && entries_.back().start >= end) entries_.pop_back();
    if (entries_.size() == before) return false;
    changed();
    return true;
}

bool LeaderEpochCache::truncate_from_start(Offset start) {
    const auto above = std::find_if(entries_.begin(), entries_.end(),
                                    [&](const EpochEntry& entry) { return entry.start > start; });
    if (above == entries_.begin()) return false;
    const auto covering = above - 1;
    if (covering == entries_.begin() && covering->start == start) return false;
    covering->start = start;
    entries_.erase(entries_.begin(), covering);
    changed();
    return true;
}

std::optional<EpochEntry> LeaderEpochCache::latest() const {
    if (entries_.empty()) return std::nullopt;
    return entries_.back();
}

std::optional<EpochEntry> LeaderEpochCache::earliest() const {
    if (entries_.empty()) return std::nullopt;
    return entries_.front();
}

LeaderEpoch LeaderEpochCache::latest_epoch() const {
    return entries_.empty() ? no_leader_epoch : entries_.back().epoch;
}

LeaderEpoch LeaderEpochCache::epoch_for(Offset offset) const {
    const auto above =
        std::upper_bound(entries_.begin(), entries_.end(), offset,
                         [](Offset value, const EpochEntry& entry) { return value < entry.start; });
    return above == entries_.begin() ? no_leader_epoch : (above - 1)->epoch;
}

EpochEnd LeaderEpochCache::end_offset_for(LeaderEpoch requested, Offset log_end) const {
    if (requested == no_leader_epoch) return {};
    if (!entries_.empty() && latest_epoch() == requested) return {requested, log_end};
    const auto higher = std::upper_bound(
        entries_.begin(), entries_.end(), requested,
        [](LeaderEpoch value, const EpochEntry& entry) { return value < entry.epoch; });
    if (higher == entries_.end()) return {};
    if (higher == entries_.begin()) return {requested, higher->start};
    return {(higher - 1)->epoch, higher->start};
}

std::string LeaderEpochCache::to_text() const {
    std::string text = "0\n" + std::to_string(entries_.size()) + "\n";
    for (const EpochEntry& entry : entries_) {
        text += std::to_string(entry.epoch.value) + " " + std::to_string(entry.start.value) + "\n";
    }
    return text;
}

namespace {

/// Takes digits, then one `end` character (or the end of the text when `end` is a newline).
template <class Number>
bool take_number(std::string_view& text, char end, Number& out) {
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (error != std::errc{} || out < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
    if (text.empty()) return end == '\n';
    if (text.front() != end) return false;
    text.remove_prefix(1);
    return true;
}

}  // namespace

Result<LeaderEpochCache> LeaderEpochCache::from_text(std::string_view text) {
    const Error malformed{Failure::invalid, "the leader epoch checkpoint is malformed"};
    std::int32_t version = 0;
    std::int64_t count = 0;
    if (!take_number(text, '\n', version) || version != 0) return malformed;
    if (!take_number(text, '\n', count)) return malformed;
    LeaderEpochCache cache;
    for (std::int64_t i = 0; i < count; ++i) {
        EpochEntry entry;
        if (!take_number(text, ' ', entry.epoch.value)) return malformed;
        if (!take_number(text, '\n', entry.start.value)) return malformed;
        if (!cache.entries_.empty()) {
            const EpochEntry& last = cache.entries_.back();
            if (entry.epoch <= last.epoch || entry.start <= last.start) return malformed;
        }
        cache.entries_.push_back(entry);
    }
    if (!text.empty()) return malformed;
    cache.changed();
    return cache;
}

}  // namespace klamm::log

// The search as a loop over frames. A frame is a return event whose operation is not done yet: its
// candidates are that operation first, then the other open ones, then those that never return.
#include "checkers/search.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/base/assert.h"

namespace klamm::checkers {

namespace {

constexpr std::size_t buckets_min = 64;

bool equal_effect(const Operation& a, const Operation& b) {
    return a.function == b.function && a.key == b.key && a.input == b.input &&
           a.expected == b.expected && a.outcome == b.outcome && a.swapped == b.swapped &&
           a.output == b.output;
}

}  // namespace

void Search::start(Model& model, std::span<const Operation> operations,
                   std::span<const HalfEvent> events) {
    model_ = &model;
    operations_ = operations;
    events_ = events;
    assign_slots();
    link_equals();
    pure_.resize(operations.size());
    resets_.resize(operations.size());
    for (std::size_t i = 0; i < operations.size(); ++i) {
        pure_[i] = !model.changes(operations[i]);
        resets_[i] = !pure_[i] && model.resets(operations[i]);
    }
    find_guards();
    event_ = 0;
    state_ = model.initial();
    live_words_ = (live_slots_ + 63) / 64;
    words_ = live_words_ + (lost_.size() + 63) / 64;
    mask_.assign(words_, 0);
    occupants_.assign(live_slots_, 0);
    lost_called_ = 0;
    frames_.clear();
    frame_masks_.clear();
    deepest_ = 0;
    steps_ = 0;
    begun_ = false;
    arena_.clear();
    chain_.clear();
    buckets_.assign(buckets_min, 0);
    entries_ = 0;
}

/// Slots are used again, so there are as many as operations are ever open at once.
void Search::assign_slots() {
    places_.assign(operations_.size(), {});
    lost_.clear();
    scratch_.clear();  // free slots, or the slots not used yet when empty
    live_slots_ = 0;
    for (const HalfEvent half : events_) {
        const std::uint32_t operation = half / 2;
        if (!returns(operation)) {
            places_[operation].slot = static_cast<std::uint32_t>(lost_.size());
            lost_.push_back(operation);
        } else if (half % 2 == 1) {
            scratch_.push_back(places_[operation].slot);
        } else if (scratch_.empty()) {
            places_[operation].slot = static_cast<std::uint32_t>(live_slots_++);
        } else {
            places_[operation].slot = scratch_.back();
            scratch_.pop_back();
        }
    }
}

void Search::find_guards() {
    guards_.assign(events_.size() + 1, 0);
    for (std::size_t i = events_.size(); i-- > 0;) {
        const std::uint32_t operation = events_[i] / 2;
        guards_[i] = guards_[i + 1];
        if (events_[i] % 2 == 0 && resets_[operation]) guards_[i] = 0;
        if (events_[i] % 2 == 1 && pure_[operation]) guards_[i] = i + 1;
    }
}

/// Whether some read that is to return before any further reset can no longer come true.
bool Search::hopeless() {
    if (guards_[event_] == 0) return false;
    const std::size_t event = guards_[event_] - 1;
    const std::uint32_t guard = events_[event] / 2;
    bool guard_done = false;
    for (std::uint32_t slot = 0; slot < occupants_.size(); ++slot) {
        if (occupants_[slot] == 0) continue;
        const std::uint32_t operation = occupants_[slot] - 1;
        if (resets_[operation] && !bit(slot)) return false;
        if (operation == guard) guard_done = bit(slot);
    }
    for (std::uint32_t slot = 0; slot < lost_called_; ++slot) {
        if (resets_[lost_[slot]] && !bit(lost_bit(slot))) return false;
    }
    if (guard_done || model_->within_reach(state_, operations_[guard])) return false;
    deepest_ = std::max(deepest_, event);
    return true;
}

/// Of equal operations that never return, each names the one before it.
void Search::link_equals() {
    if (lost_.size() < 2) return;
    scratch_.resize(lost_.size());
    for (std::uint32_t i = 0; i < lost_.size(); ++i) scratch_[i] = i;
    const auto key = [&](std::uint32_t i) {
        const Operation& one = operations_[lost_[i]];
        return (std::uint64_t{one.input} << 32 | one.expected) ^
               (static_cast<std::uint64_t>(one.function) << 60);
    };
    std::sort(scratch_.begin(), scratch_.end(), [&](std::uint32_t a, std::uint32_t b) {
        const std::uint64_t one = key(a);
        const std::uint64_t other = key(b);
        return one != other ? one < other : a < b;
    });
    for (std::size_t i = 1; i < scratch_.size(); ++i) {
        const std::uint32_t before = lost_[scratch_[i - 1]];
        const std::uint32_t operation = lost_[scratch_[i]];
        if (equal_effect(operations_[before], operations_[operation])) {
            places_[operation].previous = scratch_[i - 1] + 1;
        }
    }
}

void Search::forward(HalfEvent half) {
    const std::uint32_t operation = half / 2;
    if (!returns(operation)) {
        ++lost_called_;
        return;
    }
    occupants_[places_[operation].slot] = half % 2 == 1 ? 0 : operation + 1;
}

void Search::backward(HalfEvent half) {
    const std::uint32_t operation = half / 2;
    if (!returns(operation)) {
        --lost_called_;
        return;
    }
    occupants_[places_[operation].slot] = half % 2 == 1 ? operation + 1 : 0;
}

void Search::backtrack_to(std::size_t event) {
    while (event_ > event) backward(events_[--event_]);
}

/// Does every open operation that is legal and can never change anything.
void Search::settle() {
    for (std::uint32_t slot = 0; slot < occupants_.size(); ++slot) {
        if (occupants_[slot] == 0 || bit(slot)) continue;
        const std::uint32_t operation = occupants_[slot] - 1;
        if (!pure_[operation]) continue;
        if (model_->step(state_, operations_[operation]) == state_) set_bit(slot);
    }
}

/// Goes forward to the next return of an operation that is not done. False: there is none.
bool Search::advance() {
    for (; event_ < events_.size(); ++event_) {
        const HalfEvent half = events_[event_];
        const std::uint32_t operation = half / 2;
        if (!returns(operation)) {
            forward(half);
            continue;
        }
        const std::uint32_t slot = places_[operation].slot;
        if (half % 2 == 0) {
            forward(half);
            if (pure_[operation] && model_->step(state_, operations_[operation]) == state_) {
                set_bit(slot);
            }
        } else {
            if (!bit(slot)) return true;
            clear_bit(slot);
            forward(half);
        }
    }
    return false;
}

std::uint64_t Search::hash(const std::uint64_t* key, std::size_t words) const {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < words; ++i) {
        sum = (sum ^ key[i]) * 0x9e3779b97f4a7c15ULL;
        sum ^= sum >> 29;
    }
    return sum;
}

void Search::grow() {
    const std::size_t stride = 1 + words_;
    std::vector<std::uint32_t> old(buckets_.size() * 4, 0);
    buckets_.swap(old);
    for (std::uint32_t entry = 0; entry < entries_; ++entry) {
        const std::uint64_t at =
            hash(&arena_[entry * stride], 1 + live_words_) & (buckets_.size() - 1);
        chain_[entry] = buckets_[at];
        buckets_[at] = entry + 1;
    }
}

/// Whether a configuration no worse than the present one was tried; else it is noted.
bool Search::seen() {
    const std::size_t stride = 1 + words_;
    const std::size_t fixed = 1 + live_words_;
    arena_.resize((entries_ + 1) * stride);
    std::uint64_t* key = &arena_[entries_ * stride];
    key[0] = (static_cast<std::uint64_t>(event_) << 32) | state_;
    std::copy(mask_.begin(), mask_.end(), key + 1);
    const std::uint64_t sum = hash(key, fixed);
    std::uint64_t at = sum & (buckets_.size() - 1);
    for (std::uint32_t entry = buckets_[at]; entry != 0; entry = chain_[entry - 1]) {
        const std::uint64_t* other = &arena_[(entry - 1) * stride];
        if (std::memcmp(other, key, fixed * sizeof *key) != 0) continue;
        bool fewer = true;
        for (std::size_t i = fixed; i < stride && fewer; ++i) fewer = (other[i] & ~key[i]) == 0;
        if (fewer) return true;
    }
    if (entries_ >= buckets_.size()) {
        chain_.resize(entries_);
        grow();
        at = sum & (buckets_.size() - 1);
    }
    chain_.push_back(buckets_[at]);
    buckets_[at] = static_cast<std::uint32_t>(++entries_);
    return false;
}

/// Enters the present configuration, which waits at a return. False: it was tried.
bool Search::push() {
    deepest_ = std::max(deepest_, event_);
    ++steps_;
    if (hopeless() || seen()) return false;
    frames_.push_back({event_, state_, 0});
    frame_masks_.insert(frame_masks_.end(), mask_.begin(), mask_.end());
    return true;
}

/// Takes the next candidate of the top frame and leaves the configuration it leads to as the
/// present one. False: no candidate is left.
bool Search::try_next() {
    Frame& top = frames_.back();
    backtrack_to(top.event);
    const std::uint64_t* saved = &frame_masks_[frame_masks_.size() - words_];
    std::copy(saved, saved + words_, mask_.begin());
    const std::uint32_t wanted = events_[top.event] / 2;
    const std::uint32_t wanted_slot = places_[wanted].slot;
    const auto live = static_cast<std::uint32_t>(live_slots_);
    while (top.next < 1 + live + lost_called_) {
        const std::uint32_t candidate = top.next++;
        std::uint32_t operation = wanted;
        std::uint32_t at = wanted_slot;
        if (candidate > live) {
            const std::uint32_t slot = candidate - 1 - live;
            operation = lost_[slot];
            at = lost_bit(slot);
            if (bit(at)) continue;
            const std::uint32_t before = places_[operation].previous;
            if (before > 0 && !bit(lost_bit(before - 1))) continue;
        } else if (candidate > 0) {
            at = candidate - 1;
            if (at == wanted_slot || occupants_[at] == 0 || bit(at)) continue;
            operation = occupants_[at] - 1;
        }
        if (pure_[operation]) continue;  // legal ones are done already
        const StateId next = model_->step(top.state, operations_[operation]);
        if (next == illegal || (next == top.state && candidate > live)) continue;
        set_bit(at);
        if (next != top.state) {
            state_ = next;
            settle();
        } else {
            state_ = top.state;
        }
        return true;
    }
    return false;
}

Found Search::run(std::uint64_t steps) {
    const std::uint64_t end = steps_ + steps;
    if (!begun_) {
        begun_ = true;
        if (!advance()) return Found::order;
        push();
    }
    while (!frames_.empty()) {
        if (steps_ >= end) return Found::unknown;
        if (!try_next()) {
            frames_.pop_back();
            frame_masks_.resize(frame_masks_.size() - words_);
            continue;
        }
        if (!advance()) return Found::order;
        push();
    }
    return Found::none;
}

}  // namespace klamm::checkers

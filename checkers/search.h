#pragma once
// The search: whether some order of the operations agrees with real time and with a model. Wing and
// Gong's depth-first search, in Lowe's just-in-time form: an operation is put in order only when
// one must return, and what was tried without success is remembered.
//
// Five things keep it small. A configuration is the state and which of the *open* operations are
// done already, so its hash and its size do not grow with the history. An operation that can never
// change the object is done as soon as it is legal. Operations that never returned are told apart
// from the others: one that would change nothing is never done, of equal ones the first is done
// first, and a configuration is given up when a tried one had the same state and used no more of
// them; so is one from which the answer of the next read is out of reach. And the search can stop
// after a number of steps and go on later, so parts share a budget.
//
// Always: `run` answers `unknown` only when its steps are used up.

#include <cstdint>
#include <span>
#include <vector>

#include "checkers/model.h"
#include "checkers/operation.h"

namespace klamm::checkers {

enum class Found : std::uint8_t { order, none, unknown };

/// Half of an operation: 2 * index + (0 call, 1 return).
using HalfEvent = std::uint32_t;

class Search {
  public:
    /// Begins anew. `events` are the halves of `operations` in order of real time; an operation
    /// without return is of unknown outcome. The three must outlive the search.
    void start(Model& model, std::span<const Operation> operations,
               std::span<const HalfEvent> events);

    /// Goes on for at most `steps` configurations.
    Found run(std::uint64_t steps);

    /// After Found::none: the index in `events` of a return that no order outlives.
    [[nodiscard]] std::size_t stuck_at() const { return deepest_; }
    /// Configurations looked at so far.
    [[nodiscard]] std::uint64_t steps() const { return steps_; }

  private:
    struct Place {
        std::uint32_t slot = 0;      // of the open operations, or of those that never return
        std::uint32_t previous = 0;  // 1 + the slot of an equal one that never returns; 0: none
    };
    struct Frame {
        std::size_t event = 0;
        StateId state = 0;
        std::uint32_t next = 0;  // the candidate to try next
    };

    [[nodiscard]] bool returns(std::uint32_t operation) const {
        return operations_[operation].ret != never;
    }
    void assign_slots();
    void find_guards();
    bool hopeless();
    void link_equals();
    bool advance();
    void forward(HalfEvent half);
    void backward(HalfEvent half);
    void backtrack_to(std::size_t event);
    void settle();
    bool push();
    bool try_next();
    bool seen();
    void grow();
    [[nodiscard]] std::uint64_t hash(const std::uint64_t* key, std::size_t words) const;

    [[nodiscard]] bool bit(std::uint32_t at) const { return (mask_[at / 64] >> (at % 64)) & 1; }
    void set_bit(std::uint32_t at) { mask_[at / 64] |= std::uint64_t{1} << (at % 64); }
    void clear_bit(std::uint32_t at) { mask_[at / 64] &= ~(std::uint64_t{1} << (at % 64)); }
    [[nodiscard]] std::uint32_t lost_bit(std::uint32_t slot) const {
        return static_cast<std::uint32_t>(live_words_ * 64) + slot;
    }

    Model* model_ = nullptr;
    std::span<const Operation> operations_;
    std::span<const HalfEvent> events_;
    std::vector<Place> places_;             // by operation
    std::vector<std::uint32_t> occupants_;  // operation + 1 by live slot, 0 free
    std::vector<std::uint32_t> lost_;       // operations that never return, by call
    std::vector<bool> pure_;                // by operation: can never change the object
    std::vector<bool> resets_;              // by operation: makes it forget what it was
    std::vector<std::uint32_t> scratch_;
    // By event: 1 + the next return of one that can never change the object, when no reset is
    // called before that; else 0.
    std::vector<std::size_t> guards_;
    std::size_t lost_called_ = 0;
    std::size_t live_slots_ = 0;
    std::size_t live_words_ = 1;
    std::size_t words_ = 1;

    // Where the search is.
    std::size_t event_ = 0;
    StateId state_ = 0;
    std::vector<std::uint64_t> mask_;  // done: live slots, then those that never return
    std::vector<Frame> frames_;
    std::vector<std::uint64_t> frame_masks_;
    std::size_t deepest_ = 0;
    std::uint64_t steps_ = 0;
    bool begun_ = false;

    // What was tried: keys of event and state, live words, lost words, in one arena.
    std::vector<std::uint64_t> arena_;
    std::vector<std::uint32_t> buckets_;  // entry + 1
    std::vector<std::uint32_t> chain_;    // by entry, next entry + 1
    std::size_t entries_ = 0;
};

}  // namespace klamm::checkers

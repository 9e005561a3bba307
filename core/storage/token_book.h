#pragma once
// The tokens that one object has out: each is its owner's number above, a running number below, and
// remembers what it was asked for.

#include <cstdint>
#include <unordered_map>

#include "core/env/disk.h"

namespace klamm::storage {

/// The high half of every token of one object; the low half is its own affair.
using TokenOwner = std::uint32_t;
constexpr TokenOwner owner_of(env::Token token) { return static_cast<TokenOwner>(token >> 32); }

enum class Work : std::uint8_t {
    none,         // not ours, or answered already
    recovery,     // opening
    rescan,       // reading what a cut leaves
    flush_file,   // a file of the running flush
    flush_names,  // its directory
    cut_file,     // a file of the running cut
    cut_names,    // its directory
    chunk,        // bytes that a reader waits for
    cleaning,     // what the cleaner reads and syncs
    swap_names,   // the directory, between the steps of a swap
    front_names,  // the directory, after segments at the front were renamed
};

class TokenBook {
  public:
    explicit TokenBook(TokenOwner owner) : owner_(owner) {}

    env::Token issue(Work work) {
        ++issued_;
        out_.emplace(issued_, work);
        return (env::Token{owner_} << 32) | issued_;
    }
    /// What the token was issued for; it is spent then.
    Work take(env::Token token) {
        if (owner_of(token) != owner_) return Work::none;
        const auto row = out_.find(static_cast<std::uint32_t>(token));
        if (row == out_.end()) return Work::none;
        const Work work = row->second;
        out_.erase(row);
        return work;
    }
    [[nodiscard]] TokenOwner owner() const { return owner_; }
    /// The low half of the token last issued.
    [[nodiscard]] std::uint32_t last() const { return issued_; }

  private:
    TokenOwner owner_;
    std::uint32_t issued_ = 0;
    std::unordered_map<std::uint32_t, Work> out_;
};

}  // namespace klamm::storage

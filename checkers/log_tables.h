#pragma once
// Containers of the log checker's hot path (internal to checkers/): they are there because each
// event looks a few things up, and ten million events should not wait for an allocator.
//
// Always: references into Chunks and Dense stay good while they grow; those into OpenTable do not.

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "core/base/assert.h"

namespace klamm::checkers {

/// A vector that grows without moving what it holds.
template <class T, std::size_t bits>
class Chunks {
  public:
    [[nodiscard]] std::size_t size() const { return size_; }
    T& operator[](std::size_t at) { return chunks_[at >> bits][at & mask]; }
    const T& operator[](std::size_t at) const { return chunks_[at >> bits][at & mask]; }
    void push_back(const T& one) {
        if (size_ >> bits == chunks_.size()) {
            chunks_.push_back(std::make_unique<T[]>(std::size_t{1} << bits));
        }
        ++size_;
        (*this)[size_ - 1] = one;
    }

  private:
    static constexpr std::size_t mask = (std::size_t{1} << bits) - 1;

    std::vector<std::unique_ptr<T[]>> chunks_;
    std::size_t size_ = 0;
};

/// By a number that is mostly small: those are found by index, others by search.
template <class T>
class Dense {
  public:
    T& operator[](std::int32_t number) {
        if (number < 0 || number >= dense_max) return rest_[number];
        const auto at = static_cast<std::size_t>(number);
        if (at >= dense_.size()) dense_.resize(at + 1);
        if (dense_[at] == nullptr) dense_[at] = std::make_unique<T>();
        return *dense_[at];
    }

  private:
    static constexpr std::int32_t dense_max = 1 << 16;

    std::vector<std::unique_ptr<T>> dense_;
    std::map<std::int32_t, T> rest_;
};

/// A hash table by open addressing that forgets without leaving marks: what follows moves up.
template <class Key, class T, class Hash>
class OpenTable {
  public:
    /// False when the key is there already.
    bool add(const Key& key, const T& value) {
        if (2 * (count_ + 1) > rows_.size()) grow();
        std::size_t at = place(key);
        for (; rows_[at].used; at = next(at)) {
            if (rows_[at].key == key) return false;
        }
        rows_[at] = {key, value, true};
        ++count_;
        return true;
    }
    /// Null when it is not there; good until the table changes.
    [[nodiscard]] const T* find(const Key& key) const {
        if (rows_.empty()) return nullptr;
        for (std::size_t at = place(key); rows_[at].used; at = next(at)) {
            if (rows_[at].key == key) return &rows_[at].value;
        }
        return nullptr;
    }
    void erase(const Key& key) {
        std::size_t hole = place(key);
        while (!(rows_[hole].key == key)) {
            KLAMM_ASSERT(rows_[hole].used);
            hole = next(hole);
        }
        for (std::size_t at = next(hole); rows_[at].used; at = next(at)) {
            // A row may move up unless that takes it before its own place.
            const std::size_t from_place = (at - place(rows_[at].key)) & (rows_.size() - 1);
            if (from_place < ((at - hole) & (rows_.size() - 1))) continue;
            rows_[hole] = rows_[at];
            hole = at;
        }
        rows_[hole] = Row{};
        --count_;
    }

  private:
    struct Row {
        Key key{};
        T value{};
        bool used = false;
    };

    [[nodiscard]] std::size_t place(const Key& key) const {
        const std::uint64_t mixed = static_cast<std::uint64_t>(Hash{}(key)) * 0x9e3779b97f4a7c15ULL;
        return static_cast<std::size_t>(mixed >> 32) & (rows_.size() - 1);
    }
    [[nodiscard]] std::size_t next(std::size_t at) const { return (at + 1) & (rows_.size() - 1); }
    void grow() {
        std::vector<Row> old(rows_.empty() ? 64 : 2 * rows_.size());
        old.swap(rows_);
        for (const Row& row : old) {
            if (!row.used) continue;
            std::size_t at = place(row.key);
            while (rows_[at].used) at = next(at);
            rows_[at] = row;
        }
    }

    std::vector<Row> rows_;
    std::size_t count_ = 0;
};

}  // namespace klamm::checkers

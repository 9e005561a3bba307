#pragma once
// What waits at a partition while a transaction's coordinator is asked whether the partition is
// part of it (KIP-890): for each producer one question, under a guard, and who waits for its answer
// in their order. Whatever ends the transaction meanwhile ends the question: its answer is void.

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "core/base/ids.h"

namespace klamm::server {

template <class Parked>
class Verification {
  public:
    using Guard = std::uint64_t;

    /// The epoch that is being asked about; no_producer_epoch when none is.
    [[nodiscard]] ProducerEpoch asked(ProducerId producer) const {
        const auto at = rows_.find(producer);
        return at == rows_.end() ? no_producer_epoch : at->second.epoch;
    }
    /// Begins a question.
    Guard ask(ProducerId producer, ProducerEpoch epoch) {
        rows_[producer] = {++made_, epoch, {}};
        return made_;
    }
    void park(ProducerId producer, Parked parked) {
        rows_.at(producer).parked.push_back(std::move(parked));
    }
    /// Who waited for the answer under `guard`; empty when the question is void.
    [[nodiscard]] std::vector<Parked> answered(ProducerId producer, Guard guard) {
        const auto at = rows_.find(producer);
        if (at == rows_.end() || at->second.guard != guard) return {};
        return take(producer);
    }
    /// Ends the question of one producer.
    [[nodiscard]] std::vector<Parked> take(ProducerId producer) {
        auto row = rows_.extract(producer);
        return row.empty() ? std::vector<Parked>{} : std::move(row.mapped().parked);
    }
    [[nodiscard]] std::vector<Parked> take_all() {
        std::vector<Parked> all;
        for (auto& [producer, row] : std::exchange(rows_, {}))
            for (Parked& parked : row.parked) all.push_back(std::move(parked));
        return all;
    }
    [[nodiscard]] std::size_t size() const { return rows_.size(); }

  private:
    struct Row {
        Guard guard = 0;
        ProducerEpoch epoch;
        std::vector<Parked> parked;
    };
    std::map<ProducerId, Row> rows_;
    Guard made_ = 0;
};

}  // namespace klamm::server

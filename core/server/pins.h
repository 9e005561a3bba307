#pragma once
// File ranges of this shard's logs that are queued in answers. The network layer keeps a pin while
// the answer has not left; here it is known whose log it is, so that the log can forget it.

#include <map>
#include <utility>
#include <vector>

#include "core/base/ids.h"
#include "core/net/inbound.h"
#include "core/storage/read_plan.h"

namespace klamm::server {

class Pins {
  public:
    /// A new pin for `pin` of the log of `partition`.
    net::Pin add(const TopicPartition& partition, storage::PinId pin) {
        const net::Pin name = ++made_;
        held_.emplace(name, std::pair{partition, pin});
        names_.emplace(std::pair{partition, pin}, name);
        return name;
    }
    [[nodiscard]] net::Pin name_of(const TopicPartition& partition, storage::PinId pin) const {
        const auto at = names_.find({partition, pin});
        return at == names_.end() ? 0 : at->second;
    }
    /// Forgets a pin and says whose it was.
    std::pair<TopicPartition, storage::PinId> release(net::Pin pin) {
        const auto row = held_.extract(pin);
        KLAMM_ASSERT(!row.empty());
        names_.erase(row.mapped());
        return row.mapped();
    }
    [[nodiscard]] std::size_t size() const { return held_.size(); }

    /// Pins that a cut is about to reach: the broker closes the connections that hold them, in this
    /// turn, before the cut. Returned in the order asked.
    void close_before_cut(net::Pin pin) { closing_.push_back(pin); }
    std::vector<net::Pin> take_closing() { return std::exchange(closing_, {}); }

  private:
    std::map<net::Pin, std::pair<TopicPartition, storage::PinId>> held_;
    std::map<std::pair<TopicPartition, storage::PinId>, net::Pin> names_;
    std::vector<net::Pin> closing_;
    net::Pin made_ = 0;
};

}  // namespace klamm::server

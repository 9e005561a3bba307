#include "core/metadata/change.h"

#include <algorithm>

namespace klamm::metadata {

bool contains(const BrokerIds& brokers, BrokerId broker) {
    return std::find(brokers.begin(), brokers.end(), broker) != brokers.end();
}

BrokerIds without(const BrokerIds& brokers, BrokerId broker) {
    BrokerIds left;
    left.reserve(brokers.size());
    for (const BrokerId id : brokers)
        if (id != broker) left.push_back(id);
    return left;
}

BrokerIds sorted(BrokerIds brokers) {
    std::sort(brokers.begin(), brokers.end());
    return brokers;
}

std::string to_string(const BrokerIds& brokers) {
    std::string text = "[";
    for (const BrokerId id : brokers) {
        if (text.size() > 1) text += ',';
        text += std::to_string(id.value);
    }
    return text + "]";
}

}  // namespace klamm::metadata

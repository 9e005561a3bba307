#include "sim/world/blemishes.h"

#include <algorithm>

namespace klamm::sim {

void Blemishes::lay(std::uint64_t position, std::uint8_t pristine, std::uint8_t seen) {
    if (pristine == seen)
        flips_.erase(position);
    else
        flips_[position] = pristine ^ seen;
}

void Blemishes::rewritten(std::uint64_t from, std::uint64_t to) {
    flips_.erase(flips_.lower_bound(from), flips_.lower_bound(to));
}

void Blemishes::mend() {
    broken_.clear();
    lands_at_.reset();
}

std::vector<ByteRange> Blemishes::wrong() const {
    std::vector<ByteRange> ranges;
    for (const auto& [position, bits] : flips_) {
        if (!ranges.empty() && ranges.back().to == position)
            ++ranges.back().to;
        else
            ranges.push_back({position, position + 1});
    }
    return ranges;
}

bool Blemishes::broken(ByteRange range) const {
    return std::any_of(broken_.begin(), broken_.end(), [&](const ByteRange& one) {
        return one.from < range.to && range.from < one.to;
    });
}

void Blemishes::show(std::uint64_t position, MutableByteView bytes) const {
    const std::uint64_t end = position + bytes.size();
    for (auto flip = flips_.lower_bound(position); flip != flips_.end() && flip->first < end;
         ++flip)
        bytes[flip->first - position] ^= flip->second;
}

}  // namespace klamm::sim

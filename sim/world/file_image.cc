#include "sim/world/file_image.h"

#include <algorithm>
#include <cstring>

namespace klamm::sim {

namespace {
constexpr DrawDomain unit_domain = draw_domain("world.disk.unit");
constexpr DrawDomain tear_domain = draw_domain("world.disk.tear");
constexpr DrawDomain garbage_domain = draw_domain("world.disk.garbage");
constexpr DrawDomain truncate_domain = draw_domain("world.disk.truncate");
constexpr DrawDomain forsake_domain = draw_domain("world.disk.forsake");
constexpr DrawDomain extent_domain = draw_domain("world.disk.extent");
constexpr std::int64_t forsake_rate = 500'000;
}  // namespace

std::uint64_t FileImage::dirty_bytes() const {
    std::uint64_t sum = 0;
    for (const Layer& layer : layers_)
        for (const Operation& operation : layer.operations)
            if (!operation.is_truncate) sum += operation.to - operation.from;
    return sum;
}

FileImage::Layer& FileImage::open_layer() {
    if (layers_.empty() || layers_.back().sealed)
        layers_.push_back({next_layer_++, false, live_.size(), {}, {}});
    return layers_.back();
}

bool FileImage::rescue_forsaken(Layer& layer, std::uint64_t unit) {
    auto found = forsaken_.find(unit);
    if (found == forsaken_.end()) return false;
    Bytes content = std::move(found->second);
    forsaken_.erase(found);
    const std::uint64_t start = unit * unit_;
    if (start < layer.length_before) {
        content.resize(std::min<std::uint64_t>(unit_, layer.length_before - start));
        layer.saved.insert_or_assign(unit, std::move(content));
    }
    return true;
}

void FileImage::save_units(Layer& layer, std::uint64_t from, std::uint64_t to) {
    const std::uint64_t end = std::min(to, layer.length_before);
    for (std::uint64_t unit = from / unit_; unit * unit_ < end; ++unit) {
        const std::uint64_t start = unit * unit_;
        if (layer.saved.contains(unit)) continue;
        const std::uint64_t stop = std::min<std::uint64_t>(start + unit_, layer.length_before);
        KLAMM_ASSERT(stop <= live_.size());
        layer.saved.emplace(unit, Bytes(live_.begin() + static_cast<std::ptrdiff_t>(start),
                                        live_.begin() + static_cast<std::ptrdiff_t>(stop)));
    }
}

void FileImage::write(std::uint64_t position, std::span<const ByteView> parts, Journal& journal) {
    std::uint64_t size = 0;
    for (const ByteView part : parts) size += part.size();
    if (size == 0) return;
    std::uint64_t from = position;
    std::uint64_t to = position + size;
    Layer& layer = open_layer();
    if (!forsaken_.empty()) [[unlikely]] {
        // A dirty page is written as a whole: what was forsaken of it goes along.
        const std::uint64_t first = position / unit_;
        const std::uint64_t last = (to - 1) / unit_;
        for (std::uint64_t unit = first; unit <= last; ++unit)
            if (rescue_forsaken(layer, unit)) {
                from = std::min(from, unit * unit_);
                to = std::max(to, std::min<std::uint64_t>((unit + 1) * unit_, live_.size()));
            }
    }
    if (position < layer.length_before) save_units(layer, position, position + size);
    if (position == live_.size()) {
        for (const ByteView part : parts) live_.insert(live_.end(), part.begin(), part.end());
    } else {
        if (live_.size() < position + size) live_.resize(position + size);
        std::uint8_t* at = live_.data() + position;
        for (const ByteView part : parts) {
            if (!part.empty()) std::memcpy(at, part.data(), part.size());
            at += part.size();
        }
    }
    if (!layer.operations.empty()) {
        Operation& last = layer.operations.back();
        const bool joins = journal.mode == CrashMode::posix || last.sequence == journal.sequence;
        if (joins && !last.is_truncate && from >= last.from && from <= last.to) {
            last.to = std::max(last.to, to);
            return;
        }
    }
    layer.operations.push_back({false, from, to, ++journal.sequence, {}});
}

void FileImage::truncate(std::uint64_t length, Journal& journal) {
    const std::uint64_t before = live_.size();
    if (length == before) return;
    Layer& layer = open_layer();
    Bytes cut;
    if (length < before) {
        if (!forsaken_.empty()) [[unlikely]]
            for (std::uint64_t unit = length / unit_; unit * unit_ < before; ++unit)
                rescue_forsaken(layer, unit);
        save_units(layer, length, before);
        cut.assign(live_.begin() + static_cast<std::ptrdiff_t>(length), live_.end());
    }
    live_.resize(length);
    layer.operations.push_back({true, length, before, ++journal.sequence, std::move(cut)});
}

std::uint64_t FileImage::seal() {
    if (!layers_.empty()) layers_.back().sealed = true;
    return next_layer_ - 1;
}

void FileImage::synced(std::uint64_t layer) {
    std::size_t count = 0;
    while (count < layers_.size() && layers_[count].id <= layer) ++count;
    layers_.erase(layers_.begin(), layers_.begin() + static_cast<std::ptrdiff_t>(count));
}

void FileImage::sync_failed(std::uint64_t layer, const Draws& draws, std::uint64_t entity) {
    const Bytes disk = durable();
    std::map<std::uint64_t, Bytes> lost;
    for (const Layer& covered : layers_) {
        if (covered.id > layer) break;
        for (const Operation& operation : covered.operations) {
            if (operation.is_truncate) continue;
            for (std::uint64_t unit = operation.from / unit_; unit * unit_ < operation.to; ++unit) {
                if (!draws.happens(forsake_rate, forsake_domain, entity, fold64(layer, unit)))
                    continue;
                const std::uint64_t start = unit * unit_;
                Bytes content(unit_);
                if (start < disk.size())
                    std::memcpy(content.data(), disk.data() + start,
                                std::min<std::uint64_t>(unit_, disk.size() - start));
                lost.emplace(unit, std::move(content));
            }
        }
    }
    synced(layer);
    for (auto& [unit, content] : lost) {
        const std::uint64_t start = unit * unit_;
        Layer* rewritten = nullptr;
        for (Layer& later : layers_)
            for (const Operation& operation : later.operations)
                if (rewritten == nullptr && operation.from < start + unit_ && operation.to > start)
                    rewritten = &later;
        if (rewritten == nullptr) {
            forsaken_.insert_or_assign(unit, std::move(content));
        } else if (start < rewritten->length_before) {
            content.resize(std::min<std::uint64_t>(unit_, rewritten->length_before - start));
            rewritten->saved.insert_or_assign(unit, std::move(content));
        }
    }
}

void FileImage::step_back(const Layer& layer, std::uint32_t unit, Bytes& content) {
    content.resize(layer.length_before);
    for (const auto& [index, bytes] : layer.saved)
        std::memcpy(content.data() + index * unit, bytes.data(), bytes.size());
}

Bytes FileImage::durable() const {
    Bytes content = live_;
    for (auto layer = layers_.rbegin(); layer != layers_.rend(); ++layer)
        step_back(*layer, unit_, content);
    for (const auto& [unit, bytes] : forsaken_) {
        const std::uint64_t start = unit * unit_;
        if (start < content.size())
            std::memcpy(content.data() + start, bytes.data(),
                        std::min<std::uint64_t>(bytes.size(), content.size() - start));
    }
    return content;
}

std::uint64_t FileImage::covered_length(std::uint64_t covered) const {
    std::uint64_t low = live_.size();
    for (const Layer& layer : layers_) {
        if (layer.id <= covered) continue;
        low = std::min(low, layer.length_before);
        for (const Operation& operation : layer.operations) low = std::min(low, operation.from);
    }
    if (!forsaken_.empty()) low = std::min(low, forsaken_.begin()->first * unit_);
    return low;
}

std::uint64_t FileImage::pending_max() const {
    std::uint64_t highest = 0;
    for (const Layer& layer : layers_)
        for (const Operation& operation : layer.operations)
            highest = std::max(highest, operation.sequence);
    return highest;
}

void FileImage::pending_sequences(std::vector<std::uint64_t>& into) const {
    for (const Layer& layer : layers_)
        for (const Operation& operation : layer.operations) into.push_back(operation.sequence);
}

FileImage::Fate FileImage::fate(const CrashRules& rules, std::uint64_t n) const {
    const DiskOptions& options = *rules.options;
    const auto roll =
        static_cast<std::int64_t>(rules.draws.below(per_million, unit_domain, rules.entity, n));
    if (roll < options.unit_keep_rate) return Fate::kept;
    if (roll >= options.unit_keep_rate + options.unit_tear_rate) return Fate::lost;
    return rules.draws.happens(options.garbage_rate, garbage_domain, rules.entity, n)
               ? Fate::garbage
               : Fate::torn;
}

// The bytes that operation `index` left in `part`: what a later truncate of the layer cut off, else
// what the layer ended with.
void FileImage::copy_as_written(const Layer& layer, std::size_t index, ByteRange part,
                                const Bytes& version, Bytes& result) {
    if (part.from >= part.to) return;
    if (result.size() < part.to) result.resize(part.to);
    std::uint64_t end = part.to;
    for (std::size_t i = index + 1; i < layer.operations.size() && part.from < end; ++i) {
        const Operation& later = layer.operations[i];
        if (!later.is_truncate || later.from >= end || later.cut.empty()) continue;
        const std::uint64_t from = std::max(part.from, later.from);
        std::memcpy(result.data() + from, later.cut.data() + (from - later.from), end - from);
        end = from;
    }
    if (part.from < end)
        std::memcpy(result.data() + part.from, version.data() + part.from, end - part.from);
}

void FileImage::replay_unit(const CrashRules& rules, const Layer& layer, std::size_t index,
                            std::uint64_t epoch, ByteRange part, const Bytes& version,
                            Bytes& result) const {
    const std::uint64_t unit = part.from / unit_;
    const std::uint64_t start = unit * unit_;
    const std::uint64_t n = fold64(fold64(unit, epoch), layer.id);
    switch (fate(rules, n)) {
        case Fate::lost: return;
        case Fate::kept: copy_as_written(layer, index, part, version, result); return;
        case Fate::torn: {
            const std::uint64_t cut =
                start + rules.draws.below(unit_, tear_domain, rules.entity, n);
            copy_as_written(layer, index, {part.from, std::min(part.to, cut)}, version, result);
            return;
        }
        case Fate::garbage: {
            copy_as_written(layer, index, part, version, result);
            std::uint64_t from = start + rules.draws.below(unit_, tear_domain, rules.entity, n);
            std::uint64_t to =
                start + rules.draws.below(unit_, tear_domain, rules.entity, fold64(n, 1)) + 1;
            if (from > to) std::swap(from, to);
            from = std::max(from, part.from);
            to = std::min(to, part.to);
            for (std::uint64_t i = from; i < to; ++i)
                result[i] = static_cast<std::uint8_t>(
                    rules.draws.word(garbage_domain, rules.entity, fold64(n, i)));
            return;
        }
    }
}

void FileImage::replay_write(const CrashRules& rules, const Layer& layer, std::size_t index,
                             std::uint64_t epoch, const Bytes& version, Bytes& result) const {
    const Operation& operation = layer.operations[index];
    std::uint64_t loose_end = operation.to;
    if (rules.options->crash_mode == CrashMode::ext4_ordered) {
        // What extends the file survives with its size, or not at all; of the first lost operation
        // whole units in order may.
        const std::uint64_t grown_from = std::max<std::uint64_t>(operation.from, result.size());
        loose_end = std::min<std::uint64_t>(operation.to, result.size());
        if (grown_from < operation.to) {
            std::uint64_t grown_to = grown_from;
            if (operation.sequence <= rules.cut) {
                grown_to = operation.to;
            } else if (operation.sequence == rules.cut + 1) {
                const std::uint64_t units = (operation.to - grown_from) / unit_ + 1;
                const std::uint64_t kept =
                    rules.draws.below(units, extent_domain, rules.entity, operation.sequence);
                if (kept > 0)
                    grown_to = std::min(operation.to, (grown_from / unit_ + kept) * unit_);
            }
            copy_as_written(layer, index, {grown_from, grown_to}, version, result);
        }
    }
    for (std::uint64_t at = operation.from; at < loose_end;) {
        const std::uint64_t end = std::min<std::uint64_t>(loose_end, (at / unit_ + 1) * unit_);
        replay_unit(rules, layer, index, epoch, {at, end}, version, result);
        at = end;
    }
}

void FileImage::crash(const CrashRules& rules, std::vector<TruncateUndone>& undone) {
    if (layers_.empty() && forsaken_.empty()) return;
    std::vector<Bytes> versions(layers_.size());  // what each layer ended with
    Bytes result = live_;
    for (std::size_t i = layers_.size(); i-- > 0;) {
        versions[i] = result;
        step_back(layers_[i], unit_, result);
    }
    result = durable();
    std::uint64_t epoch = 0;
    std::vector<std::uint64_t> cuts_lost;
    for (std::size_t l = 0; l < layers_.size(); ++l) {
        const Layer& layer = layers_[l];
        for (std::size_t i = 0; i < layer.operations.size(); ++i) {
            const Operation& operation = layer.operations[i];
            if (!operation.is_truncate) {
                replay_write(rules, layer, i, epoch, versions[l], result);
                continue;
            }
            ++epoch;
            const bool kept =
                rules.options->crash_mode == CrashMode::ext4_ordered
                    ? operation.sequence <= rules.cut
                    : rules.draws.happens(rules.options->truncate_keep_rate, truncate_domain,
                                          rules.entity, fold64(epoch, layer.id));
            if (kept)
                result.resize(operation.from);
            else if (operation.from < operation.to)
                cuts_lost.push_back(operation.from);
        }
    }
    live_ = std::move(result);
    layers_.clear();
    forsaken_.clear();
    for (const std::uint64_t cut : cuts_lost)
        if (live_.size() > cut) undone.push_back({{}, cut, live_.size()});
}

void FileImage::put(ByteView bytes) {
    live_.assign(bytes.begin(), bytes.end());
    layers_.clear();
    forsaken_.clear();
}

std::vector<ByteRange> differences(ByteView a, ByteView b) {
    std::vector<ByteRange> ranges;
    const std::size_t common = std::min(a.size(), b.size());
    const std::size_t longest = std::max(a.size(), b.size());
    auto add = [&ranges](std::uint64_t from, std::uint64_t to) {
        if (!ranges.empty() && ranges.back().to == from)
            ranges.back().to = to;
        else
            ranges.push_back({from, to});
    };
    constexpr std::size_t block = 256;
    for (std::size_t at = 0; at < common; at += block) {
        const std::size_t size = std::min(block, common - at);
        if (std::memcmp(a.data() + at, b.data() + at, size) == 0) continue;
        for (std::size_t i = at; i < at + size; ++i)
            if (a[i] != b[i]) add(i, i + 1);
    }
    if (common < longest) add(common, longest);
    return ranges;
}

}  // namespace klamm::sim

#include "sim/world/inode.h"

#include <algorithm>
#include <cstring>

namespace klamm::sim {

namespace {
void add_place(Inode& inode, Entry& entry) { inode.places.push_back(&entry); }

void drop_place(Inode& inode, Entry& entry) {
    const auto at = std::find(inode.places.begin(), inode.places.end(), &entry);
    KLAMM_ASSERT(at != inode.places.end());
    inode.places.erase(at);
}
}  // namespace

NameTable::~NameTable() {
    for (const auto& entry : ordered_) {
        if (entry->live) drop_place(*entry->live, *entry);
        if (entry->durable && entry->durable != entry->live) drop_place(*entry->durable, *entry);
        entry->live = nullptr;
        entry->durable = nullptr;
        note(*entry);
    }
}

Result<std::size_t> Inode::read(std::uint64_t position, MutableByteView out) const {
    const Bytes& live = file.live();
    if (position >= live.size()) return std::size_t{0};
    const std::size_t count = std::min<std::uint64_t>(out.size(), live.size() - position);
    if (count == 0) return count;
    if (blemishes && blemishes->broken({position, position + count})) return Failure::io;
    std::memcpy(out.data(), live.data() + position, count);
    if (blemishes) blemishes->show(position, out.first(count));
    return count;
}

Entry* NameTable::find(std::string_view name) const {
    const auto row = by_name_.find(name);
    return row == by_name_.end() ? nullptr : row->second;
}

InodePointer NameTable::live(std::string_view name) const {
    const Entry* entry = find(name);
    return entry == nullptr ? nullptr : entry->live;
}

void NameTable::set_live(std::string_view name, InodePointer inode) {
    set(name, &Entry::live, std::move(inode));
}

void NameTable::set_durable(std::string_view name, InodePointer inode) {
    set(name, &Entry::durable, std::move(inode));
}

// Logs grow at their end, and so do the names of their files: it is looked for from there.
NameTable::Ordered::iterator NameTable::place_of(std::string_view name) {
    auto high = ordered_.end();
    std::ptrdiff_t step = 1;
    while (high - ordered_.begin() > step && std::string_view((*(high - step))->name) >= name) {
        high -= step;
        step *= 2;
    }
    const auto low = high - ordered_.begin() > step ? high - step : ordered_.begin();
    return std::lower_bound(low, high, name,
                            [](const std::unique_ptr<Entry>& entry, std::string_view value) {
                                return std::string_view(entry->name) < value;
                            });
}

void NameTable::set(std::string_view name, EntrySide side, InodePointer inode) {
    Entry* entry = find(name);
    if (entry == nullptr) {
        if (!inode) return;
        auto made = std::make_unique<Entry>(Entry{&owner_, std::string(name), nullptr, nullptr});
        entry = made.get();
        ordered_.insert(place_of(name), std::move(made));
        by_name_.emplace(entry->name, entry);
    }
    const EntrySide other = side == &Entry::live ? &Entry::durable : &Entry::live;
    std::size_t& count = side == &Entry::live ? live_count_ : durable_count_;
    const InodePointer old = std::exchange(entry->*side, std::move(inode));
    const InodePointer& now = entry->*side;
    if (old == now) return;
    if (old) --count;
    if (now) ++count;
    if (old && entry->*other != old) drop_place(*old, *entry);
    if (now && entry->*other != now) add_place(*now, *entry);
    note(*entry);
    if (entry->live || entry->durable) return;
    const auto place = place_of(entry->name);
    KLAMM_ASSERT(place->get() == entry);
    by_name_.erase(entry->name);
    ordered_.erase(place);
}

void NameTable::note(Entry& entry) {
    const bool differs = entry.live != entry.durable;
    if (differs == (entry.differs != Entry::alike)) return;
    if (differs) {
        entry.differs = differing_.size();
        differing_.push_back(&entry);
        return;
    }
    differing_.back()->differs = entry.differs;
    differing_[entry.differs] = differing_.back();
    differing_.pop_back();
    entry.differs = Entry::alike;
}

}  // namespace klamm::sim

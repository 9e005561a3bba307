#include "core/raft/voters.h"

#include <algorithm>

namespace klamm::raft {

VoterSet::VoterSet(std::vector<Voter> voters) : voters_(std::move(voters)) {
    std::sort(voters_.begin(), voters_.end(),
              [](const Voter& a, const Voter& b) { return a.key < b.key; });
    for (std::size_t i = 1; i < voters_.size(); ++i)
        KLAMM_ASSERT(voters_[i - 1].key.id != voters_[i].key.id);
}

VoterSet VoterSet::of_ids(const std::vector<BrokerId>& ids) {
    std::vector<Voter> voters;
    for (const BrokerId id : ids) voters.push_back({{id, {}}, {}, 0, 0});
    return VoterSet(std::move(voters));
}

const Voter* VoterSet::find(BrokerId id) const {
    const auto found = std::find_if(voters_.begin(), voters_.end(),
                                    [&](const Voter& voter) { return voter.key.id == id; });
    return found == voters_.end() ? nullptr : &*found;
}

bool VoterSet::contains(const ReplicaKey& replica) const {
    const Voter* voter = find(replica.id);
    return voter != nullptr && matches(voter->key, replica);
}

bool VoterSet::is_only(const ReplicaKey& replica) const { return size() == 1 && contains(replica); }

bool VoterSet::needs_update(const Voter& voter) const {
    const Voter* known = find(voter.key.id);
    return known != nullptr && matches(known->key, voter.key) && *known != voter;
}

std::optional<VoterSet> VoterSet::with(const Voter& voter) const {
    if (find(voter.key.id) != nullptr) return std::nullopt;
    std::vector<Voter> voters = voters_;
    voters.push_back(voter);
    return VoterSet(std::move(voters));
}

std::optional<VoterSet> VoterSet::without(const ReplicaKey& replica) const {
    const Voter* voter = find(replica.id);
    if (voter == nullptr || voter->key != replica || size() == 1) return std::nullopt;
    std::vector<Voter> voters;
    for (const Voter& one : voters_)
        if (one.key != replica) voters.push_back(one);
    return VoterSet(std::move(voters));
}

std::optional<VoterSet> VoterSet::updated(const Voter& voter, bool any_directory) const {
    const Voter* known = find(voter.key.id);
    if (known == nullptr || (!any_directory && !matches(known->key, voter.key)))
        return std::nullopt;
    std::vector<Voter> voters = voters_;
    for (Voter& one : voters)
        if (one.key.id == voter.key.id) one = voter;
    return VoterSet(std::move(voters));
}

bool VoterSet::overlaps(const VoterSet& other) const {
    const auto missing = [](const VoterSet& from, const VoterSet& in) {
        return std::count_if(from.voters_.begin(), from.voters_.end(), [&](const Voter& voter) {
            const Voter* same = in.find(voter.key.id);
            return same == nullptr || same->key != voter.key;
        });
    };
    return missing(*this, other) <= 1 && missing(other, *this) <= 1;
}

std::string VoterSet::print() const {
    std::string text;
    for (const Voter& voter : voters_) {
        if (!text.empty()) text += ',';
        text += std::to_string(voter.key.id.value);
    }
    return "{" + text + "}";
}

bool VoterHistory::add_voters(Offset offset, VoterSet voters) {
    // The first set of a log takes the place of configured voters that have no directories.
    if (!voters_.empty()) {
        KLAMM_ASSERT(offset > voters_.rbegin()->first);
        if (!voters_.rbegin()->second.overlaps(voters)) return false;
    }
    voters_.emplace(offset, std::move(voters));
    return true;
}

void VoterHistory::add_version(Offset offset, std::int16_t version) {
    if (!versions_.empty()) KLAMM_ASSERT(offset > versions_.rbegin()->first);
    versions_.emplace(offset, version);
}

void VoterHistory::truncate_from_end(Offset end) {
    voters_.erase(voters_.lower_bound(end), voters_.end());
    versions_.erase(versions_.lower_bound(end), versions_.end());
}

void VoterHistory::start_at(Offset end, const std::optional<VoterSet>& voters,
                            std::int16_t version) {
    voters_.clear();
    versions_.clear();
    if (voters.has_value()) voters_.emplace(end - 1, *voters);
    versions_.emplace(end - 1, version);
}

void VoterHistory::truncate_from_start(Offset start) {
    const auto trim = [&](auto& entries) {
        auto first_kept = entries.upper_bound(start - 1);
        if (first_kept == entries.begin()) return;
        entries.erase(entries.begin(), std::prev(first_kept));
    };
    trim(voters_);
    trim(versions_);
}

const VoterSet& VoterHistory::last() const {
    return voters_.empty() ? configured_ : voters_.rbegin()->second;
}

std::optional<Offset> VoterHistory::last_offset() const {
    if (voters_.empty()) return std::nullopt;
    return voters_.rbegin()->first;
}

std::int16_t VoterHistory::version() const {
    return versions_.empty() ? std::int16_t{0} : versions_.rbegin()->second;
}

std::optional<VoterSet> VoterHistory::voters_at(Offset end) const {
    const auto above = voters_.lower_bound(end);
    if (above == voters_.begin()) return std::nullopt;
    return std::prev(above)->second;
}

std::int16_t VoterHistory::version_at(Offset end) const {
    const auto above = versions_.lower_bound(end);
    return above == versions_.begin() ? std::int16_t{0} : std::prev(above)->second;
}

}  // namespace klamm::raft

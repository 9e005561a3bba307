#include "core/group/group.h"

#include <algorithm>

namespace klamm::group {

const char* to_string(GroupState state) {
    switch (state) {
        case GroupState::empty: return "Empty";
        case GroupState::preparing_rebalance: return "PreparingRebalance";
        case GroupState::completing_rebalance: return "CompletingRebalance";
        case GroupState::stable: return "Stable";
    }
    KLAMM_UNREACHABLE();
}

const Bytes* Member::metadata(const std::string& protocol) const {
    for (const Protocol& one : protocols)
        if (one.name == protocol) return &one.metadata;
    return nullptr;
}

Group::Group(std::string group_id, const StoredGroup& stored)
    : id(std::move(group_id)),
      state_(stored.members.empty() ? GroupState::empty : GroupState::stable),
      generation_(stored.generation),
      protocol_(stored.protocol),
      state_at_(stored.state_at) {
    for (const StoredMember& kept : stored.members) {
        Member member{.id = kept.id,
                      .instance = kept.instance,
                      .client_id = kept.client_id,
                      .client_host = kept.client_host,
                      .rebalance_ms = kept.rebalance_ms,
                      .session_ms = kept.session_ms,
                      .protocol_type = stored.protocol_type,
                      .protocols = {{stored.protocol.value_or(""), kept.subscription}},
                      .assignment = kept.assignment};
        if (member.instance) static_members_[*member.instance] = member.id;
        members_.emplace(member.id, std::move(member));
    }
    if (!stored.protocol_type.empty()) protocol_type_ = stored.protocol_type;
    leader_ = stored.leader;
    // Who wrote the record may have written anything; a group with members has a leader among them.
    if (!members_.empty() && (!leader_ || !members_.contains(*leader_)))
        leader_ = members_.begin()->first;
    compute_subscription();
}

Member* Group::member(const std::string& member_id) {
    const auto at = members_.find(member_id);
    return at == members_.end() ? nullptr : &at->second;
}

const std::string* Group::static_member(const std::string& instance) const {
    const auto at = static_members_.find(instance);
    return at == static_members_.end() ? nullptr : &at->second;
}

std::size_t Group::joining() const {
    return static_cast<std::size_t>(std::count_if(
        members_.begin(), members_.end(), [](const auto& row) { return row.second.joining; }));
}

Duration Group::rebalance_timeout() const {
    std::int32_t longest = 0;
    for (const auto& [member_id, member] : members_)
        longest = std::max(longest, member.rebalance_ms);
    return milliseconds(longest);
}

bool Group::supports(const std::string& type, const std::vector<Protocol>& protocols) const {
    if (is(GroupState::empty)) return !type.empty() && !protocols.empty();
    if (protocol_type_ != type) return false;
    return std::any_of(protocols.begin(), protocols.end(), [&](const Protocol& one) {
        return std::all_of(members_.begin(), members_.end(), [&](const auto& row) {
            return row.second.metadata(one.name) != nullptr;
        });
    });
}

std::string Group::select_protocol() const {
    KLAMM_ASSERT(!members_.empty());
    std::map<std::string, std::size_t> votes;
    for (const auto& [voter, member] : members_) {
        const auto choice = std::find_if(
            member.protocols.begin(), member.protocols.end(), [&](const Protocol& one) {
                return std::all_of(members_.begin(), members_.end(), [&](const auto& row) {
                    return row.second.metadata(one.name) != nullptr;
                });
            });
        KLAMM_ASSERT(choice != member.protocols.end());
        ++votes[choice->name];
    }
    return std::max_element(votes.begin(), votes.end(),
                            [](const auto& a, const auto& b) { return a.second < b.second; })
        ->first;
}

bool Group::subscribes(const std::string& topic) const {
    return subscribed_ ? subscribed_->contains(topic) : is_consumer_group();
}

ErrorCode Group::validate(const std::string& member_id,
                          const std::optional<std::string>& instance) const {
    if (instance) {
        const std::string* existing = static_member(*instance);
        if (existing == nullptr) return ErrorCode::unknown_member_id;
        if (*existing != member_id) return ErrorCode::fenced_instance_id;
    }
    return members_.contains(member_id) ? ErrorCode::none : ErrorCode::unknown_member_id;
}

std::vector<JoinAnswer::Member> Group::members_with_metadata() const {
    std::vector<JoinAnswer::Member> rows;
    for (const auto& [member_id, member] : members_)
        rows.push_back({member_id, member.instance, *member.metadata(protocol_.value_or(""))});
    return rows;
}

StoredGroup Group::stored(const std::map<std::string, Bytes>& assignments) const {
    StoredGroup kept{.protocol_type = protocol_type_.value_or(""),
                     .generation = generation_,
                     .protocol = protocol_,
                     .leader = leader_,
                     .state_at = state_at_,
                     .members = {}};
    for (const auto& [member_id, member] : members_) {
        const auto assigned = assignments.find(member_id);
        kept.members.push_back(
            {.id = member_id,
             .instance = member.instance,
             .client_id = member.client_id,
             .client_host = member.client_host,
             .rebalance_ms = member.rebalance_ms,
             .session_ms = member.session_ms,
             .subscription = *member.metadata(protocol_.value_or("")),
             .assignment = assigned == assignments.end() ? Bytes() : assigned->second});
    }
    return kept;
}

void Group::add(Member member) {
    if (members_.empty()) protocol_type_ = member.protocol_type;
    KLAMM_ASSERT(protocol_type_ == member.protocol_type);
    if (member.instance) {
        KLAMM_ASSERT(!static_members_.contains(*member.instance));
        static_members_[*member.instance] = member.id;
    }
    if (!leader_) leader_ = member.id;
    pending.erase(member.id);
    const std::string key = member.id;
    members_.emplace(key, std::move(member));
}

void Group::remove(const std::string& member_id) {
    if (const auto at = members_.find(member_id); at != members_.end()) {
        if (at->second.instance) static_members_.erase(*at->second.instance);
        members_.erase(at);
    }
    if (leader_ == member_id) {
        leader_.reset();
        if (!members_.empty()) leader_ = members_.begin()->first;
    }
    pending.erase(member_id);
    pending_sync.erase(member_id);
}

Member& Group::replace_static(const std::string& instance, const std::string& new_id) {
    const std::string old_id = static_members_.at(instance);
    Member member = std::move(members_.extract(old_id).mapped());
    member.id = new_id;
    if (leader_ == old_id) leader_ = new_id;
    static_members_[instance] = new_id;
    return members_.emplace(new_id, std::move(member)).first->second;
}

bool Group::elect_joined_leader() {
    if (!leader_) return false;
    if (member(*leader_)->joining) return true;
    for (const auto& [member_id, candidate] : members_) {
        if (!candidate.joining) continue;
        leader_ = member_id;
        return true;
    }
    return false;
}

void Group::transition(GroupState state, Timestamp wall) {
    previous_ = state_;
    state_ = state;
    state_at_ = wall;
}

void Group::next_generation(Timestamp wall) {
    KLAMM_ASSERT(is(GroupState::preparing_rebalance));
    ++generation_;
    protocol_.reset();
    if (!members_.empty()) protocol_ = select_protocol();
    compute_subscription();
    transition(members_.empty() ? GroupState::empty : GroupState::completing_rebalance, wall);
    pending_sync.clear();
}

void Group::compute_subscription() {
    subscribed_.reset();
    if (!is_consumer_group()) return;
    if (!members_.empty() && !protocol_) return;
    std::set<std::string> topics;
    for (const auto& [member_id, member] : members_) {
        const Bytes* metadata = member.metadata(*protocol_);
        const auto some = metadata != nullptr ? subscribed_topics(*metadata) : std::nullopt;
        if (!some) return;
        topics.insert(some->begin(), some->end());
    }
    subscribed_ = std::move(topics);
}

}  // namespace klamm::group

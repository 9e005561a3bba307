#pragma once
// One classic group as its coordinator has it in mind: who is a member, who waits for what, which
// generation it is in (ClassicGroup of Kafka 4.1). This is soft state, lost on failover but for
// what the group's record keeps.
//
//   empty → preparing_rebalance ⇄ completing_rebalance → stable → preparing_rebalance …
//              preparing_rebalance → empty, when nobody is left
//
// Always: a group with members has one leader, who is a member; each instance id names one member;
// supported protocols are counted as the members have them. Who waits is a row in its member.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/timer_queue.h"
#include "core/group/commands.h"

namespace klamm::group {

enum class GroupState : std::uint8_t { empty, preparing_rebalance, completing_rebalance, stable };
/// As Kafka spells it, "PreparingRebalance".
const char* to_string(GroupState state);

struct Member {
    std::string id;
    std::optional<std::string> instance{};
    std::string client_id{};
    std::string client_host{};
    std::int32_t rebalance_ms = 0;
    std::int32_t session_ms = 0;
    std::string protocol_type;
    std::vector<Protocol> protocols;
    Bytes assignment;
    bool is_new = false;  // has not been answered a join yet
    std::optional<Caller> joining{};
    std::optional<Caller> syncing{};
    std::optional<TimerId> session{};

    /// Members that wait for a rebalance need no heartbeats; new ones may be expired all the same.
    [[nodiscard]] bool satisfies_heartbeat() const { return !is_new && (joining || syncing); }
    /// What it said of a protocol; nullptr when it does not support it.
    [[nodiscard]] const Bytes* metadata(const std::string& protocol) const;
};

class Group {
  public:
    Group(std::string group_id, Timestamp wall) : id(std::move(group_id)), state_at_(wall) {}
    /// As its record has it.
    Group(std::string group_id, const StoredGroup& stored);

    const std::string id;
    std::optional<TimerId> join_timer;
    std::optional<TimerId> sync_timer;
    std::map<std::string, TimerId> pending;  // members that were given an id and have not joined
    std::int32_t storing = -1;  // the generation whose assignment is on its way into the log
    std::set<std::string> pending_sync;  // members of this generation that have not synced
    bool new_member_added = false;       // while the first rebalance waits for more
    std::uint64_t members_named = 0;     // ids given out

    [[nodiscard]] GroupState state() const { return state_; }
    [[nodiscard]] GroupState previous_state() const { return previous_; }
    [[nodiscard]] bool is(GroupState state) const { return state_ == state; }
    [[nodiscard]] std::int32_t generation() const { return generation_; }
    [[nodiscard]] const std::optional<std::string>& protocol_type() const { return protocol_type_; }
    [[nodiscard]] const std::optional<std::string>& protocol() const { return protocol_; }
    [[nodiscard]] const std::optional<std::string>& leader() const { return leader_; }
    [[nodiscard]] bool is_leader(const std::string& member) const { return leader_ == member; }
    [[nodiscard]] Timestamp state_at() const { return state_at_; }
    [[nodiscard]] const std::map<std::string, Member>& members() const { return members_; }

    [[nodiscard]] Member* member(const std::string& member_id);
    /// Its id, or nullptr.
    [[nodiscard]] const std::string* static_member(const std::string& instance) const;
    [[nodiscard]] std::size_t joining() const;
    [[nodiscard]] bool all_joined() const {
        return members_.size() == joining() && pending.empty();
    }
    /// The longest of its members' rebalance timeouts.
    [[nodiscard]] Duration rebalance_timeout() const;
    [[nodiscard]] bool can_rebalance() const { return state_ != GroupState::preparing_rebalance; }
    [[nodiscard]] bool supports(const std::string& type,
                                const std::vector<Protocol>& protocols) const;
    /// What most members prefer of what all support.
    [[nodiscard]] std::string select_protocol() const;
    [[nodiscard]] bool is_consumer_group() const { return protocol_type_ == "consumer"; }
    [[nodiscard]] bool subscribes(const std::string& topic) const;
    [[nodiscard]] bool knows_subscription() const { return subscribed_.has_value(); }
    /// UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID or none.
    [[nodiscard]] ErrorCode validate(const std::string& member_id,
                                     const std::optional<std::string>& instance) const;
    /// The members as a new leader is told of them.
    [[nodiscard]] std::vector<JoinAnswer::Member> members_with_metadata() const;
    /// As it is kept, with these assignments; who has none gets an empty one.
    [[nodiscard]] StoredGroup stored(const std::map<std::string, Bytes>& assignments) const;

    void add(Member member);
    /// Without its timers and without an answer to whom it keeps waiting: both are the caller's.
    void remove(const std::string& member_id);
    /// The member with this instance id gets a new id; gives the member.
    Member& replace_static(const std::string& instance, const std::string& new_id);
    /// A leader that has not joined gives way to a member that has; false when none has.
    bool elect_joined_leader();
    void transition(GroupState state, Timestamp wall);
    /// The next generation: completing with members, empty without.
    void next_generation(Timestamp wall);

  private:
    void compute_subscription();

    std::map<std::string, Member> members_;
    std::map<std::string, std::string> static_members_;  // instance → member id
    GroupState state_ = GroupState::empty;
    GroupState previous_ = GroupState::stable;  // before the first transition: no initial rebalance
    std::int32_t generation_ = 0;
    std::optional<std::string> protocol_type_;
    std::optional<std::string> protocol_;
    std::optional<std::string> leader_;
    Timestamp state_at_ = no_timestamp;
    std::optional<std::set<std::string>> subscribed_;  // unknown: not a consumer's, or unreadable
};

}  // namespace klamm::group

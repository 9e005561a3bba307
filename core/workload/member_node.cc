#include "core/workload/member_node.h"

#include <algorithm>
#include <set>

#include "core/workload/reads.h"
#include "core/workload/schedule.h"
#include "core/workload/values.h"

namespace klamm::workload {

namespace {

Pacing endless(const MemberWorkload& workload) {
    Pacing pacing;
    pacing.operations = UINT32_MAX;
    pacing.start = workload.start;
    pacing.gap = workload.gap;
    return pacing;
}

}  // namespace

class MemberNode::Body {
  public:
    explicit Body(MemberWorkload workload)
        : workload_(std::move(workload)),
          member_(workload_.options, workload_.client),
          schedule_(endless(workload_), workload_.client) {}

    void handle(env::Env& env, const env::Event& event) {
        client::GroupConsumer::Results results;
        if (const auto* started = std::get_if<env::Started>(&event)) {
            first_ = started->incarnation << 32;
            // Each life has operations of its own.
            schedule_ = Schedule(endless(workload_), life());
            schedule_.start(env.turn().now, env.turn().draws);
            member_.subscribe({workload_.topic});
        }
        if (std::holds_alternative<env::StopAsked>(event)) {
            if (member_.phase() == client::GroupConsumer::Phase::over) return env.stop(0);
            commit(env, results);
            member_.leave(env, results);
        }
        member_.handle(env, event, results);
        take(env, results);
        std::uint64_t skipped = 0;
        while (const auto due = schedule_.take_due(env.turn().now, env.turn().draws, skipped))
            begin(env, *due, results);
        take(env, results);
        member_.advance(env, results);
        take(env, results);
        env.wake_at(std::min(schedule_.deadline(), member_.deadline()));
    }

    [[nodiscard]] const client::GroupConsumer& member() const { return member_; }

    Counts polls;
    Counts commits;
    std::uint64_t records = 0;
    Instant committed_at;

  private:
    [[nodiscard]] std::uint32_t life() const {
        return workload_.client | static_cast<std::uint32_t>(first_ >> 32) << 16;
    }

    void begin(env::Env& env, std::uint32_t operation, client::GroupConsumer::Results& results) {
        const Draws& draws = env.turn().draws;
        const std::uint64_t n = (std::uint64_t{life()} << 32) | operation;
        member_.note_poll(env);
        const auto kind =
            static_cast<std::int64_t>(draws.below(per_million, draw_domain("workload.kind"), n, 0));
        if (kind < workload_.commit_rate) return commit(env, results);
        const auto owned = member_.owned();
        if (owned.empty()) {
            ++polls.dropped;
            return;
        }
        if (kind < workload_.commit_rate + workload_.ask_rate)
            return member_.ask_committed(env, next(), {owned.begin(), owned.end()},
                                         workload_.patience);
        const auto& partition =
            owned[draws.below(owned.size(), draw_domain("workload.partition"), n, 0)];
        if (!member_.can_poll(partition)) {
            ++polls.dropped;
            return;
        }
        const Offset at = *member_.position(partition);
        if (read_.insert(partition).second) begin_anew(env, partition);
        ++polls.invoked;
        const std::uint64_t id = next();
        env.turn().state(facts::PollInvoked{id, partition.second, at});
        member_.poll(env, id, partition);
    }

    void commit(env::Env& env, client::GroupConsumer::Results& results) {
        if (member_.owned().empty()) {
            ++commits.dropped;
            return;
        }
        ++commits.invoked;
        member_.commit(env, next(), {}, workload_.patience, results);
    }

    void begin_anew(env::Env& env, const client::TopicAndIndex& partition) {
        const auto before = came_to_.find(partition);
        if (before == came_to_.end()) return;
        const std::uint64_t id = next();
        env.turn().state(facts::PollInvoked{id, partition.second, before->second});
        env.turn().state(facts::PollReturned{
            id, partition.second, facts::Outcome::failed, 0, no_offset, no_offset, true, {}});
    }

    void take(env::Env& env, client::GroupConsumer::Results& results) {
        using What = client::GroupEvent::What;
        for (const client::Polled& polled : results.read.polled) {
            const bool ok = polled.error == protocol::ErrorCode::none && !polled.reset;
            ++(ok ? polls.ok : polls.failed);
            records += polled.records.size();
            state_polled(env, polled);
            const client::TopicAndIndex partition{workload_.topic, polled.partition};
            if (const auto at = member_.position(partition); ok && at) came_to_[partition] = *at;
        }
        for (const client::CommitDone& done : results.commits) {
            switch (done.outcome) {
                case facts::Outcome::ok:
                    ++commits.ok;
                    committed_at = env.turn().now;
                    break;
                case facts::Outcome::failed: ++commits.failed; break;
                case facts::Outcome::unknown: ++commits.unknown; break;
            }
        }
        const auto events = std::exchange(results, {}).events;
        for (const client::GroupEvent& event : events) {
            for (const auto& partition : event.partitions)
                if (event.what != What::no_offset) read_.erase(partition);
            client::GroupConsumer::Results more;
            switch (event.what) {
                case What::revoked: give_up(env, event, more); break;
                case What::no_offset:
                    for (const auto& partition : event.partitions)
                        member_.seek(partition, Offset(0));
                    break;
                case What::left: env.stop(0); break;
                // As an application does whose consumer throws; somebody starts it again.
                case What::failed: env.stop(1); break;
                default: break;
            }
            take(env, more);
        }
    }

    void give_up(env::Env& env, const client::GroupEvent& event,
                 client::GroupConsumer::Results& results) {
        std::map<client::TopicAndIndex, Offset> offsets;
        for (const auto& partition : event.partitions)
            if (const auto at = member_.position(partition)) offsets[partition] = *at;
        if (!offsets.empty()) {
            ++commits.invoked;
            member_.commit(env, next(), std::move(offsets), workload_.patience, results);
        }
        member_.go_on(env, results);
    }

    std::uint64_t next() { return first_ | ++operations_; }

    MemberWorkload workload_;
    client::GroupConsumer member_;
    Schedule schedule_;
    std::set<client::TopicAndIndex> read_;             // since they were given to it
    std::map<client::TopicAndIndex, Offset> came_to_;  // when it last read them
    std::uint64_t first_ = 0;
    std::uint64_t operations_ = 0;
};

MemberNode::MemberNode(MemberWorkload workload)
    : body_(std::make_unique<Body>(std::move(workload))) {}
MemberNode::~MemberNode() = default;
void MemberNode::handle(env::Env& env, env::Event event) { body_->handle(env, event); }
std::uint64_t MemberNode::state_digest() const {
    return fold64(fold64(digest_of(body_->polls), digest_of(body_->commits)), body_->records);
}
const Counts& MemberNode::polls() const { return body_->polls; }
const Counts& MemberNode::commits() const { return body_->commits; }
std::uint64_t MemberNode::records() const { return body_->records; }
const client::GroupConsumer& MemberNode::member() const { return body_->member(); }
Instant MemberNode::committed_at() const { return body_->committed_at; }

env::NodeFactory member_factory(MemberWorkload workload) {
    return [workload](env::ShardIndex, env::ShardIndex) -> std::unique_ptr<env::Node> {
        return std::make_unique<MemberNode>(workload);
    };
}

}  // namespace klamm::workload

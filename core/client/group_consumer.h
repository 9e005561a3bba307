#pragma once
// A consumer that is a member of a group, by the classic protocol and the rules of Kafka 4.1's
// ConsumerCoordinator: it finds the coordinator, joins, assigns when it leads, syncs, beats, begins
// where the group has committed, and commits. It gives what comes of it as values.
//
// A rebalance, as the application sees it: `revoked` names what is to be given up. Until go_on()
// the member still owns it and may commit; then it joins again, and `assigned` names what came.
// `lost` says that others may own it already: nothing can be committed for it any more. An eager
// member (range, roundrobin) gives all up at each rebalance, a cooperative one what moves.
//
// What always holds: a commit carries the generation in which it was asked for, whatever became of
// the group since; commits leave one after another, and none is under way when it joins; every
// poll, commit and question comes back once. Where it differs from Kafka: a commit in a rebalance
// fails at once, others are tried again until `patience` is over, as commitSync does.
//
// It states GroupAssigned … GroupOffsetsReturned.

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/client/assignors.h"
#include "core/client/consumer.h"

namespace klamm::client {

/// What the group did to this member.
struct GroupEvent {
    enum class What : std::uint8_t {
        assigned,   // these have come; they can be polled when their positions are known
        revoked,    // these are to be given up: go_on() is awaited
        lost,       // these are gone
        no_offset,  // nothing is committed for these, and auto.offset.reset is none: seek()
        failed,     // it is no member and will not become one: `error`
        left,       // leave() is done
    };
    What what = What::assigned;
    std::set<TopicAndIndex> partitions = {};
    std::int32_t generation = -1;
    protocol::ErrorCode error = protocol::ErrorCode::none;
};

/// What became of a commit. `failed`: it has no effect and will have none.
struct CommitDone {
    std::uint64_t id = 0;
    facts::Outcome outcome = facts::Outcome::unknown;
    protocol::ErrorCode error = protocol::ErrorCode::none;
};

/// The answer to ask_committed(). Partitions without a committed offset are not in it.
struct CommittedTold {
    std::uint64_t id = 0;
    protocol::ErrorCode error = protocol::ErrorCode::none;
    std::map<TopicAndIndex, Offset> offsets = {};
};

class GroupConsumer {
  public:
    struct Results {
        Consumer::Results read;
        std::vector<GroupEvent> events;  // in their order
        std::vector<CommitDone> commits;
        std::vector<CommittedTold> told;
    };
    enum class Phase : std::uint8_t {
        idle,       // not subscribed
        unjoined,   // it will join
        giving_up,  // go_on() is awaited
        joining,
        assigning,  // it leads, and asks how many partitions there are
        syncing,
        stable,
        leaving,
        over,  // left or failed
    };

    /// `options.group_id` names the group; `entity` this consumer in draws.
    GroupConsumer(config::ConsumerOptions options, std::uint64_t entity);

    /// Joins from the next advance() on; again with other topics: joins anew.
    void subscribe(std::set<std::string> topics);
    /// Gives everything up and leaves, when what was to be committed is. A static member goes
    /// without telling the coordinator, as Kafka's does.
    void leave(env::Env& env, Results& results);
    /// After `revoked`: what was to be committed has been asked for.
    void go_on(env::Env& env, Results& results);
    /// The application is at work (max.poll.interval.ms). Each poll() says so too.
    void note_poll(env::Env& env);

    /// What it owns and need not give up now.
    [[nodiscard]] std::vector<TopicAndIndex> owned() const;
    /// Where the next poll reads; nothing until that is known.
    [[nodiscard]] std::optional<Offset> position(const TopicAndIndex& partition) const;
    [[nodiscard]] bool can_poll(const TopicAndIndex& partition) const;
    /// As Consumer's; only when can_poll(). A poll that a rebalance ends returns
    /// REBALANCE_IN_PROGRESS.
    void poll(env::Env& env, std::uint64_t id, const TopicAndIndex& partition);
    /// Of a partition that it owns and that is not being polled.
    void seek(const TopicAndIndex& partition, Offset offset);

    /// Commits; an empty map is all positions. `id` is below 2^63.
    void commit(env::Env& env, std::uint64_t id, std::map<TopicAndIndex, Offset> offsets,
                Duration patience, Results& results);
    /// Asks what the group has committed for these.
    void ask_committed(env::Env& env, std::uint64_t id, std::set<TopicAndIndex> partitions,
                       Duration patience);

    /// Takes an event in if it is about this consumer's connections; Started too.
    bool handle(env::Env& env, const env::Event& event, Results& results);
    /// To be called once at the end of every turn.
    void advance(env::Env& env, Results& results);
    /// When advance() must next be called, or instant_never.
    [[nodiscard]] Instant deadline() const {
        return std::min({wake_, cluster_.deadline(), reader_.deadline()});
    }

    [[nodiscard]] Phase phase() const { return phase_; }
    [[nodiscard]] std::int32_t generation() const { return generation_; }
    [[nodiscard]] const std::string& member_id() const { return member_; }
    [[nodiscard]] bool leads() const { return leads_; }
    [[nodiscard]] const config::ConsumerOptions& options() const { return options_; }

  private:
    enum class Asked : std::uint8_t { finding, joining, syncing, beat, leaving, commit, offsets };
    struct Owned {
        bool giving_up = false;
        bool needs_offset = true;      // of the group's
        bool in_vain = false;          // there is none, and the application is to say
        Offset processed = no_offset;  // what the application has had when it last polled
        LeaderEpoch processed_epoch = no_leader_epoch;
    };
    struct Commit {
        std::uint64_t id;
        std::uint64_t operation;
        std::int32_t generation;
        std::string member;
        std::map<TopicAndIndex, std::pair<Offset, LeaderEpoch>> offsets;
        Instant deadline;
        bool doubtful = false;                                  // some attempt may take effect
        protocol::ErrorCode error = protocol::ErrorCode::none;  // the last one
        Instant retry_at{};
        std::uint64_t failures = 0;
    };
    struct Question {
        std::optional<std::uint64_t> id;  // nothing: for this member's positions
        std::uint64_t operation;
        std::set<TopicAndIndex> partitions;
        Instant deadline;
        std::uint64_t tag = 0;  // 0: not under way
        protocol::ErrorCode error = protocol::ErrorCode::none;
        Instant retry_at{};
        std::uint64_t failures = 0;
    };

    // Who coordinates.
    /// The coordinator, when a request can be sent to it; else looks for it.
    std::optional<BrokerId> coordinator(env::Env& env);
    void doubt_coordinator(env::Env& env);
    [[nodiscard]] Duration backoff(env::Env& env, std::uint64_t failures);
    /// Asks the coordinator; false when it cannot be asked now, or speaks none of these versions.
    template <class Request>
    bool ask(env::Env& env, Asked what, const Request& request, std::int16_t low, std::int16_t high,
             Duration longer = {}) {
        const auto broker = coordinator(env);
        if (!broker) return false;
        const auto version = cluster_.version(*broker, protocol::Api<Request>::key, low, high);
        if (!version) return false;
        asked_[++tag_] = what;
        cluster_.send(env, *broker, request, *version, tag_, true, longer);
        return true;
    }
    [[nodiscard]] protocol::NullableString instance() const {
        if (options_.group_instance_id.empty()) return std::nullopt;
        return options_.group_instance_id;
    }

    // Stepping.
    void step(env::Env& env, Results& results);
    void step_unjoined(env::Env& env, Results& results);
    void step_assigning(env::Env& env);
    void step_stable(env::Env& env, Results& results);
    void step_leaving(env::Env& env, Results& results);
    void beat(env::Env& env);
    void step_commits(env::Env& env, Results& results);
    void step_questions(env::Env& env, Results& results);
    void ask_positions(env::Env& env);
    void send_join(env::Env& env);
    void send_sync(env::Env& env);
    bool send_leave(env::Env& env);
    [[nodiscard]] bool tells_leaving() const {
        return !member_.empty() && options_.group_instance_id.empty();
    }
    /// Fills in how many partitions these topics have; false while one is unknown.
    [[nodiscard]] bool count_partitions(std::map<std::string, std::int32_t>& counts) const;

    // Answers.
    void take(env::Env& env, const Reply& reply, Results& results);
    void take_coordinator(env::Env& env, const Reply& reply, Results& results);
    void take_join(env::Env& env, const Reply& reply, Results& results);
    void take_sync(env::Env& env, const Reply& reply, Results& results);
    void take_beat(env::Env& env, const Reply& reply, Results& results);
    void take_commit(env::Env& env, const Reply& reply, Results& results);
    void take_offsets(env::Env& env, const Reply& reply, Results& results);
    void assigned(env::Env& env, const std::set<TopicAndIndex>& partitions, Results& results);

    // What became of it.
    /// Joining failed for now: tries again after a back-off.
    void join_later(env::Env& env);
    /// It is no member any more: what it owned is lost.
    void expelled(env::Env& env, Results& results);
    void give_up(env::Env& env, const std::set<TopicAndIndex>& partitions, Results& results);
    void drop(env::Env& env, const std::set<TopicAndIndex>& partitions, bool lost,
              Results& results);
    void fail(env::Env& env, protocol::ErrorCode error, Results& results);
    void end_commit(env::Env& env, protocol::ErrorCode error, Results& results);
    void end_question(env::Env& env, Question question, CommittedTold told, BrokerId from,
                      Results& results);
    void auto_commit(env::Env& env, Results& results);
    [[nodiscard]] std::set<TopicAndIndex> all_owned() const;
    void wake(Instant when) { wake_ = std::min(wake_, when); }

    config::ConsumerOptions options_;
    std::uint64_t entity_;
    std::vector<Assignor> assignors_;
    bool eager_ = true;
    Consumer reader_;
    Cluster cluster_;  // for the group's requests: connections of their own, as Kafka's
    std::set<std::string> topics_;

    std::optional<BrokerId> coordinator_;
    std::map<std::uint64_t, Asked> asked_;  // requests under way, by tag
    std::uint64_t tag_ = 0;
    std::uint64_t finding_ = 0;  // its tag
    Instant find_at_{};
    std::uint64_t find_failures_ = 0;
    std::uint64_t backoffs_ = 0;

    Phase phase_ = Phase::idle;
    std::string member_;
    std::int32_t generation_ = -1;
    std::string protocol_;
    bool leads_ = false;
    bool rejoin_ = false;
    bool poll_expired_ = false;
    std::map<std::string, Bytes> told_;            // of the generation that it leads: subscriptions
    std::map<std::string, std::string> named_;     // and its members' instance names
    std::map<std::string, std::int32_t> counted_;  // partitions as it shared them out
    std::map<TopicAndIndex, Owned> owned_;
    Instant join_at_{};
    std::uint64_t join_failures_ = 0;
    bool beating_ = false;
    Instant beat_at_{};
    Instant session_ends_{};
    Instant poll_by_ = instant_never;
    Instant auto_commit_at_{};
    Instant leave_by_ = instant_never;
    bool leave_sent_ = false;
    bool left_ = false;
    std::vector<Reply> broken_;  // of requests on a connection that was given up

    std::deque<Commit> commits_;
    std::uint64_t commit_tag_ = 0;  // of the first, when it is under way
    std::deque<Question> questions_;
    std::uint64_t operation_ = 0;  // of facts; begins anew in each incarnation
    Instant wake_ = instant_never;
};

}  // namespace klamm::client

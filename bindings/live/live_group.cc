#include "bindings/live/live_group.h"

#include <algorithm>
#include <deque>
#include <variant>

#include "core/client/group_consumer.h"

namespace klamm::live {

namespace {

using client::TopicAndIndex;
using protocol::ErrorCode;

struct GroupPoll {
    Duration patience;
    std::size_t records_max = 0;
};
struct GoOn {};
struct GroupCommit {
    std::optional<std::map<TopicAt, Offset>> offsets;
    Duration patience;
};
struct AskCommitted {
    std::set<TopicAt> of;
    Duration patience;
};
struct AskPositions {};
struct GroupSeek {
    TopicAt at;
    Offset to;
};
struct LeaveOrder {};

struct GroupOrder {
    std::uint64_t id = 0;
    std::variant<GroupPoll, GoOn, GroupCommit, AskCommitted, AskPositions, GroupSeek, LeaveOrder>
        what;
};

TopicAt named(const TopicAndIndex& from) { return {from.first, from.second}; }
TopicAndIndex counted(const TopicAt& from) { return {from.topic, from.partition}; }

class MemberNode final : public env::Node {
  public:
    MemberNode(config::ConsumerOptions options, std::set<std::string> topics,
               std::shared_ptr<Mailbox> mailbox)
        : auto_commit_(options.enable_auto_commit),
          mailbox_(std::move(mailbox)),
          member_(hand_over(std::move(options)), 1) {
        member_.subscribe(std::move(topics));
    }

    void handle(env::Env& env, env::Event event) override {
        if (std::holds_alternative<env::StopAsked>(event)) return env.stop(0);
        client::GroupConsumer::Results results;
        member_.handle(env, event, results);
        take(env, results);
        if (const auto* mail = std::get_if<env::MailArrived>(&event)) {
            const GroupOrder& order = static_cast<const Letter<GroupOrder>&>(*mail->mail).order;
            std::visit([&](const auto& what) { begin(env, order.id, what, results); }, order.what);
            take(env, results);
        }
        commit_in_time(env, results);
        step(env);
        member_.advance(env, results);
        take(env, results);
        end_polls(env.turn().now);
        Instant wake = member_.deadline();
        if (!polls_.empty()) wake = std::min(wake, polls_.front().deadline);
        if (auto_commit_) wake = std::min(wake, commit_at_);
        // What came in the end of this turn goes on in the next.
        const auto owned = member_.owned();
        const bool more = std::any_of(owned.begin(), owned.end(), [this](const auto& at) {
            return can_poll(at) || seeks_.contains(at);
        });
        env.wake_at(more ? env.turn().now + microseconds(100) : wake);
    }

  private:
    struct Poll {
        std::uint64_t id;
        Instant deadline;
        std::size_t records_max;
    };

    /// What is read ahead is not processed: this node commits what it has handed out, by itself.
    static config::ConsumerOptions hand_over(config::ConsumerOptions options) {
        options.enable_auto_commit = false;
        return options;
    }

    [[nodiscard]] bool can_poll(const TopicAndIndex& at) const {
        const auto ready = ready_.find(at);
        return !polls_.empty() && news_.empty() && !seeks_.contains(at) &&
               (ready == ready_.end() || ready->second.empty()) && member_.can_poll(at);
    }

    void begin(env::Env& env, std::uint64_t id, const GroupPoll& poll, auto&) {
        member_.note_poll(env);
        polls_.push_back({id, env.turn().now + poll.patience, poll.records_max});
    }
    void begin(env::Env& env, std::uint64_t id, const GoOn&, auto& results) {
        if (member_.phase() == client::GroupConsumer::Phase::giving_up) {
            if (auto_commit_) commit_handed_out(env, results);
            for (const TopicAndIndex& at : std::exchange(revoked_, {})) {
                handed_out_.erase(at);
                committed_.erase(at);
            }
            member_.go_on(env, results);
        }
        mailbox_->put(id, {});
    }
    void begin(env::Env& env, std::uint64_t id, const GroupCommit& commit, auto& results) {
        std::map<TopicAndIndex, Offset> offsets;
        if (commit.offsets)
            for (const auto& [at, offset] : *commit.offsets) offsets[counted(at)] = offset;
        else
            offsets = handed_out_;
        if (offsets.empty()) return mailbox_->put(id, {});
        member_.commit(env, id, std::move(offsets), commit.patience, results);
    }
    void begin(env::Env& env, std::uint64_t id, const AskCommitted& asked, auto&) {
        std::set<TopicAndIndex> of;
        for (const TopicAt& at : asked.of) of.insert(counted(at));
        member_.ask_committed(env, id, std::move(of), asked.patience);
    }
    void begin(env::Env&, std::uint64_t id, const AskPositions&, auto&) {
        Done done;
        for (const TopicAndIndex& at : member_.owned()) {
            const auto ready = ready_.find(at);
            if (ready != ready_.end() && !ready->second.empty())
                done.positions[named(at)] = ready->second.front().offset;
            else if (const auto position = member_.position(at))
                done.positions[named(at)] = *position;
        }
        mailbox_->put(id, std::move(done));
    }
    void begin(env::Env&, std::uint64_t id, const GroupSeek& seek, auto&) {
        const auto owned = member_.owned();
        const TopicAndIndex at = counted(seek.at);
        if (std::find(owned.begin(), owned.end(), at) == owned.end())
            return mailbox_->put(id, {.outcome = facts::Outcome::failed,
                                      .error = ErrorCode::unknown_topic_or_partition});
        seeks_[at].emplace_back(id, seek.to);
    }
    void begin(env::Env& env, std::uint64_t id, const LeaveOrder&, auto& results) {
        leaving_.push_back(id);
        if (auto_commit_) commit_handed_out(env, results);
        member_.leave(env, results);
    }

    /// Its own commits have numbers that no order has.
    void commit_handed_out(env::Env& env, client::GroupConsumer::Results& results) {
        constexpr std::uint64_t own = std::uint64_t{1} << 62;
        commit_at_ = env.turn().now + milliseconds(member_.options().auto_commit_interval_ms);
        if (handed_out_ == committed_ || handed_out_.empty()) return;
        committed_ = handed_out_;
        member_.commit(env, own | ++commits_, handed_out_, seconds(10), results);
    }
    void commit_in_time(env::Env& env, client::GroupConsumer::Results& results) {
        if (!auto_commit_ || env.turn().now < commit_at_) return;
        if (member_.phase() == client::GroupConsumer::Phase::stable)
            commit_handed_out(env, results);
        else
            commit_at_ = env.turn().now + milliseconds(100);
    }

    /// What can begin now does.
    void step(env::Env& env) {
        for (auto row = seeks_.begin(); row != seeks_.end();) {
            const TopicAndIndex& at = row->first;
            if (!asked_of_.contains(at) && member_.position(at)) {
                for (const auto& [id, to] : row->second) {
                    member_.seek(at, to);
                    ready_.erase(at);
                    mailbox_->put(id, {});
                }
                row = seeks_.erase(row);
            } else {
                ++row;
            }
        }
        for (const TopicAndIndex& at : member_.owned()) {
            if (!can_poll(at)) continue;
            asked_.emplace(++operations_, at);
            asked_of_.insert(at);
            member_.poll(env, operations_, at);
        }
    }

    void take(env::Env&, client::GroupConsumer::Results& results) {
        for (const client::Polled& polled : results.read.polled) {
            const auto asked = asked_.extract(polled.id);
            const TopicAndIndex& at = asked.mapped();
            asked_of_.erase(at);
            if (seeks_.contains(at)) continue;  // it is of no interest any more
            error_ = polled.error;
            for (const client::ConsumedRecord& record : polled.records)
                ready_[at].push_back(taken(named(at), record));
        }
        for (const client::GroupEvent& event : results.events) tell(event);
        for (const client::CommitDone& one : results.commits)
            mailbox_->put(one.id, {.outcome = one.outcome, .error = one.error});
        for (const client::CommittedTold& one : results.told) {
            Done done;
            done.error = one.error;
            for (const auto& [at, offset] : one.offsets) done.positions[named(at)] = offset;
            mailbox_->put(one.id, std::move(done));
        }
        results = {};
    }

    void tell(const client::GroupEvent& event) {
        using What = client::GroupEvent::What;
        constexpr const char* words[] = {"assigned",  "revoked", "lost",
                                         "no_offset", "failed",  "left"};
        const bool gone = event.what == What::revoked || event.what == What::lost;
        News news{words[static_cast<std::size_t>(event.what)], {}, event.generation, event.error};
        for (const TopicAndIndex& at : event.partitions) {
            news.partitions.insert(named(at));
            if (gone) ready_.erase(at);
            if (event.what != What::lost && event.what != What::assigned) continue;
            handed_out_.erase(at);
            committed_.erase(at);
        }
        if (event.what == What::revoked) revoked_ = event.partitions;
        if (event.what == What::left || event.what == What::failed) {
            for (const std::uint64_t id : leaving_) mailbox_->put(id, {.error = event.error});
            leaving_.clear();
        }
        news_.push_back(std::move(news));
    }

    void end_polls(Instant now) {
        while (!polls_.empty()) {
            const Poll& poll = polls_.front();
            Done done;
            done.news = std::exchange(news_, {});
            for (auto& [at, ready] : ready_) {
                while (!ready.empty() && done.records.size() < poll.records_max) {
                    handed_out_[at] = ready.front().offset + 1;
                    done.records.push_back(std::move(ready.front()));
                    ready.pop_front();
                }
            }
            if (done.records.empty() && done.news.empty()) {
                if (now < poll.deadline) return;
                done.error = std::exchange(error_, ErrorCode::none);
            }
            mailbox_->put(poll.id, std::move(done));
            polls_.pop_front();
        }
    }

    bool auto_commit_;
    std::shared_ptr<Mailbox> mailbox_;
    client::GroupConsumer member_;
    std::deque<Poll> polls_;
    std::vector<News> news_;
    std::map<TopicAndIndex, std::deque<TakenRecord>> ready_;
    std::map<TopicAndIndex, std::vector<std::pair<std::uint64_t, Offset>>> seeks_;
    std::map<std::uint64_t, TopicAndIndex> asked_;  // by the member's numbers of polls
    std::set<TopicAndIndex> asked_of_;
    std::set<TopicAndIndex> revoked_;             // until go_on()
    std::map<TopicAndIndex, Offset> handed_out_;  // one past the last record of each
    std::map<TopicAndIndex, Offset> committed_;   // as the last commit of its own had it
    std::vector<std::uint64_t> leaving_;
    std::uint64_t operations_ = 0;
    std::uint64_t commits_ = 0;
    Instant commit_at_{};
    ErrorCode error_ = ErrorCode::none;  // of the last answer to a poll
};

}  // namespace

LiveGroup::LiveGroup(const config::ConsumerOptions& options, std::set<std::string> topics)
    : hosted_("member", [options, topics = std::move(topics)](std::shared_ptr<Mailbox> mailbox) {
          return std::make_unique<MemberNode>(options, topics, std::move(mailbox));
      }) {}

namespace {

template <class What>
std::uint64_t order_of(Hosted& hosted, What what) {
    const std::uint64_t id = hosted.mailbox().next();
    hosted.post(GroupOrder{id, std::move(what)});
    return id;
}

}  // namespace

std::uint64_t LiveGroup::poll(Duration patience, std::size_t records_max) {
    return order_of(hosted_, GroupPoll{patience, records_max});
}
std::uint64_t LiveGroup::go_on() { return order_of(hosted_, GoOn{}); }
std::uint64_t LiveGroup::commit(std::optional<std::map<TopicAt, Offset>> offsets,
                                Duration patience) {
    return order_of(hosted_, GroupCommit{std::move(offsets), patience});
}
std::uint64_t LiveGroup::ask_committed(std::set<TopicAt> of, Duration patience) {
    return order_of(hosted_, AskCommitted{std::move(of), patience});
}
std::uint64_t LiveGroup::ask_positions() { return order_of(hosted_, AskPositions{}); }
std::uint64_t LiveGroup::seek(TopicAt at, Offset to) {
    return order_of(hosted_, GroupSeek{std::move(at), to});
}
std::uint64_t LiveGroup::leave() { return order_of(hosted_, LeaveOrder{}); }

}  // namespace klamm::live

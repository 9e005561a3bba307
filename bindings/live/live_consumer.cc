#include "bindings/live/live_consumer.h"

#include <algorithm>
#include <deque>

#include "core/client/consumer.h"

namespace klamm::live {

namespace {

using protocol::ErrorCode;

struct PollOrder {
    Duration patience;
    std::size_t records_max = 0;
};
struct SeekOrder {
    TopicAt at;
    std::variant<Offset, config::OffsetReset> to;
};
struct OffsetOrder {
    TopicAt at;
    Timestamp time;
};
struct PositionsOrder {};

struct ReadOrder {
    std::uint64_t id = 0;
    std::variant<PollOrder, SeekOrder, OffsetOrder, PositionsOrder> what;
};

class ConsumingNode final : public env::Node {
  public:
    ConsumingNode(const config::ConsumerOptions& options, const std::vector<TopicAt>& assigned,
                  config::OffsetReset begin, std::shared_ptr<Mailbox> mailbox)
        : consumer_(options, 1), mailbox_(std::move(mailbox)) {
        for (const TopicAt& at : assigned) {
            rows_.emplace(at, Row());
            consumer_.seek_to(at.topic, at.partition, begin);
        }
    }

    void handle(env::Env& env, env::Event event) override {
        if (std::holds_alternative<env::StopAsked>(event)) return env.stop(0);
        client::Consumer::Results results;
        consumer_.handle(env, event, results);
        take(results);
        if (const auto* mail = std::get_if<env::MailArrived>(&event))
            begin(env, static_cast<const Letter<ReadOrder>&>(*mail->mail).order);
        step(env);
        consumer_.advance(env, results);
        take(results);
        end_polls(env.turn().now);
        Instant wake = consumer_.deadline();
        if (!polls_.empty()) wake = std::min(wake, polls_.front().deadline);
        // A position was looked up in the end of this turn: what waited for it begins in the next.
        const bool more = std::any_of(rows_.begin(), rows_.end(), [this](const auto& row) {
            return can_seek(row.first, row.second) || can_poll(row.first, row.second);
        });
        env.wake_at(more ? env.turn().now + nanoseconds(1) : wake);
    }

  private:
    struct Row {
        std::deque<TakenRecord> ready;
        std::deque<std::pair<std::uint64_t, SeekOrder>> seeks;
    };
    struct Poll {
        std::uint64_t id;
        Instant deadline;
        std::size_t records_max;
        ErrorCode error = ErrorCode::none;  // of the last answer
    };

    [[nodiscard]] bool can_seek(const TopicAt& at, const Row& row) const {
        return !row.seeks.empty() && !consumer_.polling(at.topic, at.partition);
    }
    [[nodiscard]] bool can_poll(const TopicAt& at, const Row& row) const {
        return !polls_.empty() && row.ready.empty() && row.seeks.empty() &&
               !consumer_.polling(at.topic, at.partition) &&
               consumer_.position(at.topic, at.partition).has_value();
    }

    void begin(env::Env& env, const ReadOrder& order) {
        if (const auto* poll = std::get_if<PollOrder>(&order.what)) {
            polls_.push_back({order.id, env.turn().now + poll->patience, poll->records_max});
        } else if (const auto* seek = std::get_if<SeekOrder>(&order.what)) {
            rows_[seek->at].seeks.emplace_back(order.id, *seek);
        } else if (const auto* offset = std::get_if<OffsetOrder>(&order.what)) {
            consumer_.list(env, order.id, offset->at.topic, offset->at.partition, offset->time);
        } else {
            Done done;
            for (const auto& [at, row] : rows_) {
                const auto read_to = consumer_.position(at.topic, at.partition);
                if (!row.ready.empty())
                    done.positions[at] = row.ready.front().offset;
                else if (read_to.has_value())
                    done.positions[at] = *read_to;
            }
            mailbox_->put(order.id, std::move(done));
        }
    }

    /// What can begin now does.
    void step(env::Env& env) {
        for (auto& [at, row] : rows_) {
            while (can_seek(at, row)) {
                const auto& [id, seek] = row.seeks.front();
                row.ready.clear();
                if (const auto* offset = std::get_if<Offset>(&seek.to))
                    consumer_.seek(at.topic, at.partition, *offset);
                else
                    consumer_.seek_to(at.topic, at.partition,
                                      std::get<config::OffsetReset>(seek.to));
                mailbox_->put(id, {});
                row.seeks.pop_front();
            }
            if (!can_poll(at, row)) continue;
            asked_.emplace(++operations_, at);
            consumer_.poll(env, operations_, at.topic, at.partition);
        }
    }

    void take(client::Consumer::Results& results) {
        for (const client::Polled& polled : results.polled) {
            const TopicAt at = asked_.extract(polled.id).mapped();
            Row& row = rows_.at(at);
            if (!row.seeks.empty()) continue;  // it is of no interest any more
            for (Poll& poll : polls_) poll.error = polled.error;
            for (const client::ConsumedRecord& record : polled.records)
                row.ready.push_back(taken(at, record));
        }
        for (const client::Listed& listed : results.listed)
            mailbox_->put(listed.id, {.error = listed.error, .offset = listed.offset});
        results = {};
    }

    void end_polls(Instant now) {
        while (!polls_.empty()) {
            Poll& poll = polls_.front();
            Done done;
            for (auto& [at, row] : rows_) {
                while (!row.ready.empty() && done.records.size() < poll.records_max) {
                    done.records.push_back(std::move(row.ready.front()));
                    row.ready.pop_front();
                }
            }
            const bool is_void = poll.error == ErrorCode::offset_out_of_range;
            if (done.records.empty()) {
                if (now < poll.deadline && !is_void) return;
                done.error = poll.error;
            }
            mailbox_->put(poll.id, std::move(done));
            polls_.pop_front();
        }
    }

    client::Consumer consumer_;
    std::shared_ptr<Mailbox> mailbox_;
    std::map<TopicAt, Row> rows_;
    std::deque<Poll> polls_;
    std::map<std::uint64_t, TopicAt> asked_;  // by the consumer's numbers
    std::uint64_t operations_ = 0;
};

}  // namespace

LiveConsumer::LiveConsumer(const config::ConsumerOptions& options, std::vector<TopicAt> assigned,
                           config::OffsetReset begin)
    : hosted_("consumer", [options, begin,
                           assigned = std::move(assigned)](std::shared_ptr<Mailbox> mailbox) {
          return std::make_unique<ConsumingNode>(options, assigned, begin, std::move(mailbox));
      }) {}

std::uint64_t LiveConsumer::poll(Duration patience, std::size_t records_max) {
    const std::uint64_t id = mailbox().next();
    hosted_.post(ReadOrder{id, PollOrder{patience, records_max}});
    return id;
}

std::uint64_t LiveConsumer::seek(TopicAt at, std::variant<Offset, config::OffsetReset> to) {
    const std::uint64_t id = mailbox().next();
    hosted_.post(ReadOrder{id, SeekOrder{std::move(at), to}});
    return id;
}

std::uint64_t LiveConsumer::ask_offset(TopicAt at, Timestamp time) {
    const std::uint64_t id = mailbox().next();
    hosted_.post(ReadOrder{id, OffsetOrder{std::move(at), time}});
    return id;
}

std::uint64_t LiveConsumer::ask_positions() {
    const std::uint64_t id = mailbox().next();
    hosted_.post(ReadOrder{id, PositionsOrder{}});
    return id;
}

}  // namespace klamm::live

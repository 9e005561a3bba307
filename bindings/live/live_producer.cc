#include "bindings/live/live_producer.h"

#include <algorithm>
#include <deque>

#include "core/client/producer.h"

namespace klamm::live {

namespace {

struct SendOrder {
    std::uint64_t id = 0;
    TopicAt at;
    std::optional<Bytes> key;
    Bytes value;
    bool flush = false;  // else a record
};

class ProducingNode final : public env::Node {
  public:
    ProducingNode(const config::ProducerOptions& options, Duration max_block,
                  std::shared_ptr<Mailbox> mailbox)
        : producer_(options, 1), max_block_(max_block), mailbox_(std::move(mailbox)) {}

    void handle(env::Env& env, env::Event event) override {
        if (std::holds_alternative<env::StopAsked>(event)) return env.stop(0);
        std::vector<client::Delivery> deliveries;
        producer_.handle(env, event, deliveries);
        if (const auto* mail = std::get_if<env::MailArrived>(&event)) {
            auto& letter = static_cast<Letter<SendOrder>&>(*mail->mail);
            waiting_.emplace_back(env.turn().now + max_block_, std::move(letter.order));
        }
        take_orders(env);
        producer_.advance(env, deliveries);
        for (const client::Delivery& one : deliveries) tell(one);
        if (!deliveries.empty()) take_orders(env);
        end_flushes();
        Instant wake = producer_.deadline();
        if (!waiting_.empty()) wake = std::min(wake, waiting_.front().first);
        env.wake_at(wake);
    }

  private:
    void take_orders(env::Env& env) {
        for (; !waiting_.empty(); waiting_.pop_front()) {
            const auto& [until, order] = waiting_.front();
            if (order.flush) {
                flushes_.emplace(order.id, under_way_.empty() ? 0 : *under_way_.rbegin());
                continue;
            }
            std::optional<ByteView> key;
            if (order.key.has_value()) key = ByteView(*order.key);
            if (producer_.send(env, order.id, order.at.topic, order.at.partition, key,
                               order.value)) {
                under_way_.insert(order.id);
                continue;
            }
            if (env.turn().now < until) return;
            mailbox_->put(order.id, {.outcome = facts::Outcome::failed,
                                     .error = protocol::ErrorCode::request_timed_out});
        }
    }
    void tell(const client::Delivery& one) {
        under_way_.erase(one.id);
        mailbox_->put(one.id, {.outcome = one.outcome, .error = one.error, .offset = one.offset});
    }
    void end_flushes() {
        std::erase_if(flushes_, [&](const auto& flush) {
            if (!under_way_.empty() && *under_way_.begin() <= flush.second) return false;
            mailbox_->put(flush.first, {});
            return true;
        });
    }

    client::Producer producer_;
    Duration max_block_;
    std::shared_ptr<Mailbox> mailbox_;
    std::deque<std::pair<Instant, SendOrder>> waiting_;
    std::set<std::uint64_t> under_way_;               // ids rise
    std::map<std::uint64_t, std::uint64_t> flushes_;  // with the last record before each
};

}  // namespace

LiveProducer::LiveProducer(const config::ProducerOptions& options, Duration max_block)
    : hosted_("producer", [options, max_block](std::shared_ptr<Mailbox> mailbox) {
          return std::make_unique<ProducingNode>(options, max_block, std::move(mailbox));
      }) {}

std::uint64_t LiveProducer::send(TopicAt at, std::optional<Bytes> key, Bytes value) {
    const std::uint64_t id = mailbox().next();
    hosted_.post(SendOrder{id, std::move(at), std::move(key), std::move(value)});
    return id;
}

std::uint64_t LiveProducer::flush() {
    const std::uint64_t id = mailbox().next();
    hosted_.post(SendOrder{.id = id, .at = {}, .key = {}, .value = {}, .flush = true});
    return id;
}

}  // namespace klamm::live

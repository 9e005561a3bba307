#include "core/workload/driven.h"

#include <algorithm>
#include <utility>

#include "core/base/assert.h"
#include "core/base/checksum.h"
#include "core/workload/reads.h"
#include "core/workload/sends.h"
#include "core/workload/values.h"

namespace klamm::workload {

namespace {

std::uint64_t digest_of_key(const std::optional<Bytes>& key) {
    return key.has_value() ? fold64(1, digest64(*key)) : 0;
}

Bytes owned(const Buffer& buffer) { return {buffer.view().begin(), buffer.view().end()}; }

}  // namespace

std::uint64_t SendOrder::digest() const {
    return fold64(fold64(number, static_cast<std::uint64_t>(partition)),
                  fold64(digest_of_key(key), digest64(payload)));
}

std::uint64_t ReadOrder::digest() const {
    return fold64(
        fold64(operation, static_cast<std::uint64_t>(what)),
        fold64(static_cast<std::uint64_t>(partition), static_cast<std::uint64_t>(offset.value)));
}

class DrivenProducer::Body {
  public:
    explicit Body(const ProducerWorkload& workload)
        : producer_(workload.options, workload.client),
          sends_(workload.client, workload.topic, workload.options.acks) {}

    void handle(env::Env& env, const env::Event& event) {
        if (std::holds_alternative<env::StopAsked>(event)) return env.stop(0);
        if (const auto* started = std::get_if<env::Started>(&event))
            lives_ = started->incarnation == 1;
        if (!lives_) return;
        std::vector<client::Delivery> deliveries;
        producer_.handle(env, event, deliveries);
        if (const auto* mail = std::get_if<env::MailArrived>(&event))
            send(env, static_cast<const SendOrder&>(*mail->mail));
        producer_.advance(env, deliveries);
        sends_.returned(env, deliveries);
        for (const client::Delivery& one : deliveries) over_[one.id] = one;
        env.wake_at(producer_.deadline());
    }

    std::optional<client::Delivery> take(std::uint32_t number) {
        auto found = over_.extract(number);
        if (found.empty()) return std::nullopt;
        return found.mapped();
    }
    [[nodiscard]] const Counts& counts() const { return sends_.counts(); }

  private:
    void send(env::Env& env, const SendOrder& order) {
        KLAMM_ASSERT(order.number == next_);
        ++next_;
        const auto key = order.key.has_value() ? std::optional<ByteView>(*order.key) : std::nullopt;
        if (sends_.send(env, producer_, order.number, order.partition, key,
                        ByteView(order.payload)))
            return;
        over_[order.number] = {order.number, facts::Outcome::failed, no_offset,
                               protocol::ErrorCode::unknown_server_error};
    }

    client::Producer producer_;
    Sends sends_;
    std::map<std::uint64_t, client::Delivery> over_;
    std::uint32_t next_ = 0;
    bool lives_ = false;
};

DrivenProducer::DrivenProducer(const ProducerWorkload& workload)
    : body_(std::make_unique<Body>(workload)) {}
DrivenProducer::~DrivenProducer() = default;
void DrivenProducer::handle(env::Env& env, env::Event event) { body_->handle(env, event); }
std::uint64_t DrivenProducer::state_digest() const { return digest_of(body_->counts()); }
std::optional<client::Delivery> DrivenProducer::take(std::uint32_t number) {
    return body_->take(number);
}

class DrivenConsumer::Body {
  public:
    explicit Body(const ConsumerWorkload& workload)
        : workload_(workload),
          consumer_(workload.options, workload.client),
          reads_(consumer_, workload.topic) {}

    void handle(env::Env& env, const env::Event& event) {
        if (std::holds_alternative<env::StopAsked>(event)) return env.stop(0);
        if (const auto* started = std::get_if<env::Started>(&event)) {
            lives_ = started->incarnation == 1;
            const auto end = workload_.from_earliest ? config::OffsetReset::earliest
                                                     : config::OffsetReset::latest;
            for (std::int32_t p = 0; lives_ && p < workload_.partitions; ++p)
                consumer_.seek_to(workload_.topic, p, end);
        }
        if (!lives_) return;
        client::Consumer::Results results;
        consumer_.handle(env, event, results);
        take_in(env, results);
        if (const auto* mail = std::get_if<env::MailArrived>(&event))
            orders_.push_back(static_cast<const ReadOrder&>(*mail->mail));
        begin(env);
        consumer_.advance(env, results);
        take_in(env, results);
        env.wake_at(std::min(consumer_.deadline(), begin_again(env)));
    }

    std::optional<ReadOutcome> take(std::uint64_t operation) {
        auto found = over_.extract(operation);
        if (found.empty()) return std::nullopt;
        return std::move(found.mapped());
    }
    [[nodiscard]] std::optional<Offset> position(std::int32_t partition) const {
        return consumer_.position(workload_.topic, partition);
    }
    [[nodiscard]] const Reads& reads() const { return reads_; }

  private:
    /// Begins what can begin now, in the order in which it was asked for.
    void begin(env::Env& env) {
        std::erase_if(orders_, [&](const ReadOrder& order) {
            const std::int32_t partition = order.partition;
            if (order.what == ReadOrder::What::latest) {
                reads_.ask_latest(env, order.operation, partition);
                return true;
            }
            if (!reads_.can_poll(partition)) return false;
            switch (order.what) {
                case ReadOrder::What::to_start:
                    reads_.restart(env, order.operation, partition, config::OffsetReset::earliest);
                    return true;
                case ReadOrder::What::to_end:
                    reads_.restart(env, order.operation, partition, config::OffsetReset::latest);
                    return true;
                case ReadOrder::What::to_offset:
                    reads_.restart(env, order.operation, partition, order.offset);
                    return true;
                default: reads_.poll(env, order.operation, partition); return true;
            }
        });
    }
    /// A position was looked up in the end of this turn: what waited for it begins in the next.
    [[nodiscard]] Instant begin_again(env::Env& env) const {
        const bool can = std::any_of(
            orders_.begin(), orders_.end(),
            [this](const ReadOrder& order) { return reads_.can_poll(order.partition); });
        return can ? env.turn().now + nanoseconds(1) : instant_never;
    }

    void take_in(env::Env& env, client::Consumer::Results& results) {
        reads_.returned(env, results);  // decides about positions that are void
        for (client::Polled& polled : results.polled) {
            ReadOutcome& outcome = over_[polled.id];
            outcome.error = polled.error;
            outcome.reset = polled.reset;
            outcome.log_start = polled.log_start;
            outcome.high_watermark = polled.high_watermark;
            for (const client::ConsumedRecord& record : polled.records) {
                ReadRecord& read = outcome.records.emplace_back();
                read.offset = record.offset;
                read.timestamp = record.timestamp;
                if (record.has_key) read.key = owned(record.key);
                read.payload = owned(record.value);
                const std::size_t named = std::min(read.payload.size(), value_bytes_least);
                read.payload.erase(read.payload.begin(),
                                   read.payload.begin() + static_cast<std::ptrdiff_t>(named));
            }
        }
        for (const client::Listed& listed : results.listed) {
            over_[listed.id].error = listed.error;
            over_[listed.id].offset = listed.offset;
        }
        results = {};
    }

    ConsumerWorkload workload_;
    client::Consumer consumer_;
    Reads reads_;
    std::vector<ReadOrder> orders_;
    std::map<std::uint64_t, ReadOutcome> over_;
    bool lives_ = false;
};

DrivenConsumer::DrivenConsumer(const ConsumerWorkload& workload)
    : body_(std::make_unique<Body>(workload)) {}
DrivenConsumer::~DrivenConsumer() = default;
void DrivenConsumer::handle(env::Env& env, env::Event event) { body_->handle(env, event); }
std::uint64_t DrivenConsumer::state_digest() const {
    return fold64(digest_of(body_->reads().counts()), body_->reads().records());
}
std::optional<ReadOutcome> DrivenConsumer::take(std::uint64_t operation) {
    return body_->take(operation);
}
std::optional<Offset> DrivenConsumer::position(std::int32_t partition) const {
    return body_->position(partition);
}

env::NodeFactory driven_producer_factory(ProducerWorkload workload) {
    return [workload = std::move(workload)](env::ShardIndex, env::ShardIndex) {
        return std::make_unique<DrivenProducer>(workload);
    };
}

env::NodeFactory driven_consumer_factory(ConsumerWorkload workload) {
    return [workload = std::move(workload)](env::ShardIndex, env::ShardIndex) {
        return std::make_unique<DrivenConsumer>(workload);
    };
}

}  // namespace klamm::workload

#include "core/workload/probe_node.h"

#include <algorithm>

#include "core/base/timer_queue.h"
#include "core/client/producer.h"
#include "core/workload/sends.h"
#include "core/workload/values.h"

namespace klamm::workload {

class ProbeNode::Body {
  public:
    explicit Body(ProbeWorkload workload)
        : workload_(std::move(workload)),
          producer_(workload_.options, workload_.client),
          sends_(workload_.client, workload_.topic, workload_.options.acks),
          missing_(workload_.partitions) {}

    void handle(env::Env& env, const env::Event& event) {
        if (std::holds_alternative<env::StopAsked>(event)) return env.stop(0);
        const Instant now = env.turn().now;
        if (const auto* started = std::get_if<env::Started>(&event)) {
            lives_ = started->incarnation == 1;
            bound_ = now + workload_.bound;
            for (std::int32_t p = 0; p < workload_.partitions; ++p) due_.add(now, p);
        }
        if (!lives_) return;
        std::vector<client::Delivery> deliveries;
        producer_.handle(env, event, deliveries);
        while (const auto partition = due_.pop_due(now)) send(env, *partition);
        producer_.advance(env, deliveries);
        sends_.returned(env, deliveries);
        for (const client::Delivery& delivery : deliveries) {
            if (delivery.outcome == facts::Outcome::ok) {
                --missing_;
            } else {
                due_.add(now + workload_.retry, partition_of_.at(delivery.id));
            }
        }
        if (missing_ > 0 && now >= bound_) overdue_ = true;
        const Instant bound = missing_ > 0 && !overdue_ ? bound_ : instant_never;
        env.wake_at(std::min({due_.deadline_min(), producer_.deadline(), bound}));
    }

    [[nodiscard]] const Counts& counts() const { return sends_.counts(); }
    [[nodiscard]] bool done() const { return missing_ <= 0; }
    [[nodiscard]] bool overdue() const { return overdue_; }

  private:
    void send(env::Env& env, std::int32_t partition) {
        const auto number = static_cast<std::uint32_t>(partition_of_.size());
        partition_of_.push_back(partition);
        if (!sends_.send(env, producer_, number, partition, std::nullopt, value_bytes_least)) {
            due_.add(env.turn().now + workload_.retry, partition);
        }
    }

    ProbeWorkload workload_;
    client::Producer producer_;
    Sends sends_;
    TimerQueue<std::int32_t> due_;            // partitions to send to
    std::vector<std::int32_t> partition_of_;  // by number of the record
    std::int32_t missing_;                    // partitions that have acknowledged nothing
    Instant bound_ = instant_never;
    bool overdue_ = false;
    bool lives_ = false;
};

ProbeNode::ProbeNode(ProbeWorkload workload) : body_(std::make_unique<Body>(std::move(workload))) {}
ProbeNode::~ProbeNode() = default;
void ProbeNode::handle(env::Env& env, env::Event event) { body_->handle(env, event); }
std::uint64_t ProbeNode::state_digest() const { return digest_of(body_->counts()); }
const Counts& ProbeNode::counts() const { return body_->counts(); }
bool ProbeNode::done() const { return body_->done(); }
bool ProbeNode::overdue() const { return body_->overdue(); }

env::NodeFactory probe_factory(ProbeWorkload workload) {
    return [workload](env::ShardIndex, env::ShardIndex) -> std::unique_ptr<env::Node> {
        return std::make_unique<ProbeNode>(workload);
    };
}

}  // namespace klamm::workload

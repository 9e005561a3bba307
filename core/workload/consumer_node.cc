#include "core/workload/consumer_node.h"

#include <algorithm>

#include "core/client/consumer.h"
#include "core/workload/reads.h"
#include "core/workload/schedule.h"
#include "core/workload/values.h"

namespace klamm::workload {

class ConsumerNode::Body {
  public:
    explicit Body(ConsumerWorkload workload)
        : workload_(std::move(workload)),
          consumer_(workload_.options, workload_.client),
          schedule_(workload_.pacing, workload_.client),
          reads_(consumer_, workload_.topic) {}

    void handle(env::Env& env, const env::Event& event) {
        if (std::holds_alternative<env::StopAsked>(event)) return env.stop(0);
        if (const auto* started = std::get_if<env::Started>(&event)) {
            started_ = true;
            lives_ = started->incarnation == 1;
            if (lives_) start(env);
        }
        if (!lives_) return;
        // What arrived is stated before anything new begins: a poll follows the answer that gave
        // its position.
        client::Consumer::Results arrived;
        consumer_.handle(env, event, arrived);
        take(env, arrived);
        const Turn& turn = env.turn();
        std::uint64_t& skipped = reads_.counts().skipped;
        while (const auto due = schedule_.take_due(turn.now, turn.draws, skipped)) begin(env, *due);
        client::Consumer::Results results;
        consumer_.advance(env, results);
        take(env, results);
        env.wake_at(std::min(schedule_.deadline(), consumer_.deadline()));
    }

    [[nodiscard]] const Reads& reads() const { return reads_; }
    [[nodiscard]] bool done() const {
        return started_ &&
               (!lives_ || (schedule_.finished() && reads_.counts().outstanding() == 0));
    }

  private:
    void take(env::Env& env, client::Consumer::Results& results) {
        latest_under_way_ -= static_cast<std::uint32_t>(results.listed.size());
        reads_.returned(env, results);
    }
    void start(env::Env& env) {
        schedule_.start(env.turn().now, env.turn().draws);
        for (std::int32_t p = 0; p < workload_.partitions; ++p) {
            consumer_.seek_to(workload_.topic, p, end(workload_.from_earliest));
        }
    }
    static config::OffsetReset end(bool earliest) {
        return earliest ? config::OffsetReset::earliest : config::OffsetReset::latest;
    }

    void begin(env::Env& env, std::uint32_t operation) {
        const Draws& draws = env.turn().draws;
        const std::uint64_t n = (std::uint64_t{workload_.client} << 32) | operation;
        const auto partitions = static_cast<std::uint64_t>(std::max(workload_.partitions, 1));
        const auto partition = static_cast<std::int32_t>(
            draws.below(partitions, draw_domain("workload.partition"), n, 0));
        const auto kind =
            static_cast<std::int64_t>(draws.below(per_million, draw_domain("workload.kind"), n, 0));
        if (kind < workload_.latest_rate) {
            if (latest_under_way_ >= workload_.outstanding_max) return drop();
            ++latest_under_way_;
            return reads_.ask_latest(env, operation, partition);
        }
        if (!reads_.can_poll(partition)) return drop();
        if (kind < workload_.latest_rate + workload_.restart_rate) {
            const bool earliest = draws.happens(per_million / 2, draw_domain("workload.end"), n, 0);
            return reads_.restart(env, operation, partition, end(earliest));
        }
        reads_.poll(env, operation, partition);
    }
    void drop() { ++reads_.counts().dropped; }

    ConsumerWorkload workload_;
    client::Consumer consumer_;
    Schedule schedule_;
    Reads reads_;
    std::uint32_t latest_under_way_ = 0;
    bool started_ = false;
    bool lives_ = false;
};

ConsumerNode::ConsumerNode(ConsumerWorkload workload)
    : body_(std::make_unique<Body>(std::move(workload))) {}
ConsumerNode::~ConsumerNode() = default;
void ConsumerNode::handle(env::Env& env, env::Event event) { body_->handle(env, event); }
std::uint64_t ConsumerNode::state_digest() const {
    return fold64(digest_of(body_->reads().counts()), body_->reads().records());
}
const Counts& ConsumerNode::counts() const { return body_->reads().counts(); }
std::uint64_t ConsumerNode::records() const { return body_->reads().records(); }
std::uint64_t ConsumerNode::resets() const { return body_->reads().resets(); }
bool ConsumerNode::done() const { return body_->done(); }

env::NodeFactory consumer_factory(ConsumerWorkload workload) {
    return [workload](env::ShardIndex, env::ShardIndex) -> std::unique_ptr<env::Node> {
        return std::make_unique<ConsumerNode>(workload);
    };
}

}  // namespace klamm::workload

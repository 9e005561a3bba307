#include "core/workload/final_reader_node.h"

#include <algorithm>

#include "core/client/consumer.h"
#include "core/workload/reads.h"
#include "core/workload/values.h"

namespace klamm::workload {

class FinalReaderNode::Body {
  public:
    explicit Body(FinalReaderWorkload workload)
        : workload_(with_policy(std::move(workload))),
          consumer_(workload_.options, workload_.client),
          reads_(consumer_, workload_.topic),
          partitions_(static_cast<std::size_t>(std::max(workload_.partitions, 0))) {}

    void handle(env::Env& env, const env::Event& event) {
        if (std::holds_alternative<env::StopAsked>(event)) return env.stop(0);
        if (const auto* started = std::get_if<env::Started>(&event)) {
            lives_ = started->incarnation == 1;
            for (std::int32_t p = 0; lives_ && p < workload_.partitions; ++p) {
                consumer_.seek_to(workload_.topic, p, config::OffsetReset::earliest);
            }
        }
        if (!lives_) return;
        client::Consumer::Results results;
        consumer_.handle(env, event, results);
        take(env, results);
        Instant wake = instant_never;
        for (std::int32_t p = 0; p < workload_.partitions; ++p) {
            step(env, p);
            const State& state = partitions_[static_cast<std::size_t>(p)];
            if (!state.done && state.not_before > env.turn().now) {
                wake = std::min(wake, state.not_before);
            }
        }
        consumer_.advance(env, results);
        const bool more = !results.polled.empty() || !results.listed.empty();
        take(env, results);
        // What ended just now goes on in the next turn.
        if (more) wake = std::min(wake, env.turn().now + workload_.pause);
        env.wake_at(std::min(wake, consumer_.deadline()));
    }

    [[nodiscard]] const Reads& reads() const { return reads_; }
    [[nodiscard]] bool done() const {
        return std::all_of(partitions_.begin(), partitions_.end(),
                           [](const State& state) { return state.done; });
    }

  private:
    struct State {
        Offset end = no_offset;  // as LATEST told
        bool asking = false;     // LATEST is under way
        Instant not_before;
        bool done = false;
    };

    static FinalReaderWorkload with_policy(FinalReaderWorkload workload) {
        workload.options.auto_offset_reset = config::OffsetReset::earliest;
        return workload;
    }

    void step(env::Env& env, std::int32_t partition) {
        State& state = partitions_[static_cast<std::size_t>(partition)];
        if (state.done || state.asking || env.turn().now < state.not_before) return;
        if (state.end == no_offset) {
            state.asking = true;
            return reads_.ask_latest(env, ++operation_, partition);
        }
        if (!reads_.can_poll(partition)) return;
        if (*consumer_.position(workload_.topic, partition) >= state.end) {
            state.done = true;
            return;
        }
        reads_.poll(env, ++operation_, partition);
    }

    void take(env::Env& env, client::Consumer::Results& results) {
        const Instant now = env.turn().now;
        for (const client::Listed& listed : results.listed) {
            State& state = partitions_[static_cast<std::size_t>(listed.partition)];
            state.asking = false;
            const bool ok = listed.error == protocol::ErrorCode::none;
            if (ok) state.end = listed.offset;
            if (!ok) state.not_before = now + workload_.retry;
        }
        for (const client::Polled& polled : results.polled) {
            State& state = partitions_[static_cast<std::size_t>(polled.partition)];
            const bool ok = polled.error == protocol::ErrorCode::none;
            state.not_before = now + (ok ? workload_.pause : workload_.retry);
            // The log is another one than LATEST spoke of.
            if (polled.reset) state.end = no_offset;
        }
        reads_.returned(env, results);
        results = {};
    }

    FinalReaderWorkload workload_;
    client::Consumer consumer_;
    Reads reads_;
    std::vector<State> partitions_;
    std::uint64_t operation_ = 0;
    bool lives_ = false;
};

FinalReaderNode::FinalReaderNode(FinalReaderWorkload workload)
    : body_(std::make_unique<Body>(std::move(workload))) {}
FinalReaderNode::~FinalReaderNode() = default;
void FinalReaderNode::handle(env::Env& env, env::Event event) { body_->handle(env, event); }
std::uint64_t FinalReaderNode::state_digest() const {
    return fold64(digest_of(body_->reads().counts()), body_->reads().records());
}
const Counts& FinalReaderNode::counts() const { return body_->reads().counts(); }
std::uint64_t FinalReaderNode::records() const { return body_->reads().records(); }
bool FinalReaderNode::done() const { return body_->done(); }

env::NodeFactory final_reader_factory(FinalReaderWorkload workload) {
    return [workload](env::ShardIndex, env::ShardIndex) -> std::unique_ptr<env::Node> {
        return std::make_unique<FinalReaderNode>(workload);
    };
}

}  // namespace klamm::workload

#include "core/workload/producer_node.h"

#include <algorithm>
#include <bit>

#include "core/client/producer.h"
#include "core/workload/schedule.h"
#include "core/workload/sends.h"
#include "core/workload/values.h"

namespace klamm::workload {

class ProducerNode::Body {
  public:
    explicit Body(ProducerWorkload workload)
        : workload_(std::move(workload)),
          producer_(workload_.options, workload_.client),
          schedule_(workload_.pacing, workload_.client),
          sends_(workload_.client, workload_.topic, workload_.options.acks) {}

    void handle(env::Env& env, const env::Event& event) {
        if (std::holds_alternative<env::StopAsked>(event)) return env.stop(0);
        if (const auto* started = std::get_if<env::Started>(&event)) {
            started_ = true;
            lives_ = started->incarnation == 1;
            if (lives_) schedule_.start(env.turn().now, env.turn().draws);
        }
        if (!lives_) return;
        std::vector<client::Delivery> deliveries;
        producer_.handle(env, event, deliveries);
        const Turn& turn = env.turn();
        std::uint64_t& skipped = sends_.counts().skipped;
        while (const auto due = schedule_.take_due(turn.now, turn.draws, skipped)) begin(env, *due);
        producer_.advance(env, deliveries);
        sends_.returned(env, deliveries);
        env.wake_at(std::min(schedule_.deadline(), producer_.deadline()));
    }

    [[nodiscard]] const Counts& counts() const { return sends_.counts(); }
    [[nodiscard]] bool done() const {
        return started_ &&
               (!lives_ || (schedule_.finished() && sends_.counts().outstanding() == 0));
    }

  private:
    void begin(env::Env& env, std::uint32_t operation) {
        const Draws& draws = env.turn().draws;
        const auto drawn = [&](DrawDomain domain, std::uint64_t low, std::uint64_t high) {
            const auto n = (std::uint64_t{workload_.client} << 32) | operation;
            return low + draws.below(high - low + 1, domain, n, 0);
        };
        const std::uint32_t records_max = std::max(workload_.records_max, 1U);
        const auto records =
            static_cast<std::uint32_t>(drawn(draw_domain("workload.records"), 1, records_max));
        const auto last_partition =
            static_cast<std::uint64_t>(std::max(workload_.partitions, 1)) - 1;
        auto partition =
            static_cast<std::int32_t>(drawn(draw_domain("workload.partition"), 0, last_partition));
        std::uint64_t key_bytes = drawn(draw_domain("workload.key"), 0, workload_.key_bytes_max);
        std::uint64_t key_number = operation;
        if (workload_.keys > 0) {
            std::uint64_t low = 0;
            std::uint64_t high = std::uint64_t{workload_.keys} - 1;
            if (workload_.skewed) {
                // As many keys in a level as in all before it, and each level alike: about 1 / k.
                const auto levels = static_cast<std::uint64_t>(std::bit_width(workload_.keys));
                const auto level = drawn(draw_domain("workload.key_level"), 0, levels - 1);
                low = (std::uint64_t{1} << level) - 1;
                high = std::min(high, 2 * low);
            }
            key_number = drawn(draw_domain("workload.key_number"), low, high);
            key_bytes = 8;
            // One key, one partition, as Kafka's partitioners have it.
            partition = static_cast<std::int32_t>(mix64(key_number) % (last_partition + 1));
        }
        const std::uint64_t low = std::max<std::uint64_t>(workload_.value_bytes_min, 8);
        const std::uint64_t size = drawn(draw_domain("workload.value"), low,
                                         std::max<std::uint64_t>(workload_.value_bytes_max, low));
        if (sends_.counts().outstanding() + records > workload_.outstanding_max) {
            ++sends_.counts().dropped;
            return;
        }
        const Bytes key = value_bytes(mix64(key_number), key_bytes);
        for (std::uint32_t r = 0; r < records; ++r) {
            std::optional<ByteView> key_view;
            if (key_bytes > 0) key_view = ByteView(key).first(key_bytes);
            sends_.send(env, producer_, operation * records_max + r, partition, key_view, size);
        }
    }

    ProducerWorkload workload_;
    client::Producer producer_;
    Schedule schedule_;
    Sends sends_;
    bool started_ = false;
    bool lives_ = false;
};

ProducerNode::ProducerNode(ProducerWorkload workload)
    : body_(std::make_unique<Body>(std::move(workload))) {}
ProducerNode::~ProducerNode() = default;
void ProducerNode::handle(env::Env& env, env::Event event) { body_->handle(env, event); }
std::uint64_t ProducerNode::state_digest() const { return digest_of(body_->counts()); }
const Counts& ProducerNode::counts() const { return body_->counts(); }
bool ProducerNode::done() const { return body_->done(); }

env::NodeFactory producer_factory(ProducerWorkload workload) {
    return [workload](env::ShardIndex, env::ShardIndex) -> std::unique_ptr<env::Node> {
        return std::make_unique<ProducerNode>(workload);
    };
}

}  // namespace klamm::workload

#pragma once
// A node that produces numbered records at given moments (open loop) and states SendInvoked and
// SendReturned for each record. It lives once: a later incarnation does nothing, since what the
// first one had under way is of unknown outcome.

#include <memory>

#include "core/env/env.h"
#include "core/workload/options.h"

namespace klamm::workload {

class ProducerNode final : public env::Node {
  public:
    explicit ProducerNode(ProducerWorkload workload);
    ~ProducerNode() override;

    void handle(env::Env& env, env::Event event) override;
    [[nodiscard]] std::uint64_t state_digest() const override;

    /// Of records, but `dropped` and `skipped` of operations.
    [[nodiscard]] const Counts& counts() const;
    /// Every operation has had its turn, and every record sent has returned.
    [[nodiscard]] bool done() const;

  private:
    class Body;
    std::unique_ptr<Body> body_;
};

/// For sim::NodeSpec and the runtime.
env::NodeFactory producer_factory(ProducerWorkload workload);

}  // namespace klamm::workload

#pragma once
// A node that proves liveness: a fresh producer that sends one record to each partition and sends
// another wherever it was not acknowledged. It states SendInvoked and SendReturned.

#include <memory>

#include "core/env/env.h"
#include "core/workload/options.h"

namespace klamm::workload {

class ProbeNode final : public env::Node {
  public:
    explicit ProbeNode(ProbeWorkload workload);
    ~ProbeNode() override;

    void handle(env::Env& env, env::Event event) override;
    [[nodiscard]] std::uint64_t state_digest() const override;

    [[nodiscard]] const Counts& counts() const;
    /// Each partition has acknowledged a record, within the bound or later.
    [[nodiscard]] bool done() const;
    /// The bound has passed before that; stays true.
    [[nodiscard]] bool overdue() const;

  private:
    class Body;
    std::unique_ptr<Body> body_;
};

env::NodeFactory probe_factory(ProbeWorkload workload);

}  // namespace klamm::workload

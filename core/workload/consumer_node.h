#pragma once
// A node that polls partitions and asks for LATEST at given moments and states PollInvoked,
// PollReturned, LatestInvoked and LatestReturned. When it learns that its position is void, and
// when it begins anew by itself, the poll under way returns with `reset`. It lives once: a later
// incarnation does nothing.

#include <memory>

#include "core/env/env.h"
#include "core/workload/options.h"

namespace klamm::workload {

class ConsumerNode final : public env::Node {
  public:
    explicit ConsumerNode(ConsumerWorkload workload);
    ~ConsumerNode() override;

    void handle(env::Env& env, env::Event event) override;
    [[nodiscard]] std::uint64_t state_digest() const override;

    [[nodiscard]] const Counts& counts() const;
    [[nodiscard]] std::uint64_t records() const;  // seen in all, repeats after a reset too
    [[nodiscard]] std::uint64_t resets() const;
    /// Every operation has had its turn and has returned.
    [[nodiscard]] bool done() const;

  private:
    class Body;
    std::unique_ptr<Body> body_;
};

env::NodeFactory consumer_factory(ConsumerWorkload workload);

}  // namespace klamm::workload

#pragma once
// A node that makes the final reads: it asks each partition for LATEST, then reads from the log's
// start until it reaches that end, trying again for as long as it takes. It states the same facts
// as a consumer.

#include <memory>

#include "core/env/env.h"
#include "core/workload/options.h"

namespace klamm::workload {

class FinalReaderNode final : public env::Node {
  public:
    explicit FinalReaderNode(FinalReaderWorkload workload);
    ~FinalReaderNode() override;

    void handle(env::Env& env, env::Event event) override;
    [[nodiscard]] std::uint64_t state_digest() const override;

    [[nodiscard]] const Counts& counts() const;
    [[nodiscard]] std::uint64_t records() const;
    /// Every partition has been read to the end that LATEST told.
    [[nodiscard]] bool done() const;

  private:
    class Body;
    std::unique_ptr<Body> body_;
};

env::NodeFactory final_reader_factory(FinalReaderWorkload workload);

}  // namespace klamm::workload

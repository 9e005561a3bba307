#pragma once
// A node that is a member of a consumer group (options.h, MemberWorkload). It states what a
// consumer states; where it begins in a partition that it had before it is told of a reset, since
// others may have read there meanwhile. client::GroupConsumer states the facts of the group.

#include <memory>

#include "core/client/group_consumer.h"
#include "core/env/env.h"
#include "core/workload/options.h"

namespace klamm::workload {

class MemberNode final : public env::Node {
  public:
    explicit MemberNode(MemberWorkload workload);
    ~MemberNode() override;

    void handle(env::Env& env, env::Event event) override;
    [[nodiscard]] std::uint64_t state_digest() const override;

    /// Of this incarnation.
    [[nodiscard]] const Counts& polls() const;
    [[nodiscard]] const Counts& commits() const;
    [[nodiscard]] std::uint64_t records() const;
    [[nodiscard]] const client::GroupConsumer& member() const;
    /// When it last had a commit acknowledged; Instant{0} if never.
    [[nodiscard]] Instant committed_at() const;

  private:
    class Body;
    std::unique_ptr<Body> body_;
};

env::NodeFactory member_factory(MemberWorkload workload);

}  // namespace klamm::workload

#pragma once
// The coordinators of groups: one for each partition of __consumer_offsets that is led here (see
// coordinator_host.h). Offsets that join a transaction wait until its coordinator has confirmed
// that this partition is part of it, as batches of producers do at their partitions.

#include "core/group/coordinator.h"
#include "core/server/coordinator_host.h"
#include "core/server/verification.h"

namespace klamm::server {

struct GroupKind {
    using Coordinator = group::Coordinator;
    using CommandMail = GroupCommand;
    using Extra = Verification<GroupCommand>;
    static constexpr Coordinates coordinates = Coordinates::groups;
    static constexpr std::uint64_t read_mark = std::uint64_t{1} << 63;
    static constexpr const char* noun = "groups";

    static group::Settings settings(const Context& context);
    static std::string describe(const group::Coordinator& coordinator);
    static Bytes batch_of(const group::Coordinator& coordinator, const group::Write& write,
                          const Turn& turn);
    static Status load(group::Coordinator& coordinator, const record::BatchView& batch,
                       Offset from);
    static void answer(Context& context, const ReplyTo& reply, group::AnswerBody body);
    static void resigned(Context& context, Extra& waiting);
    static void carry_out(Context&, const TopicPartition&, group::Coordinator&, Extra&) {}
};

class GroupHost final : public CoordinatorHost<GroupKind> {
  public:
    using CoordinatorHost::CoordinatorHost;
    using CoordinatorHost::on;

    void on(const GroupCommand& command);
    void on(const VerifyOutcome& outcome);
    /// A newer image: offsets of topics that are gone are forgotten.
    void follow_image();

  private:
    std::set<std::string> topics_;  // of the last image, by name
};

}  // namespace klamm::server

#include "core/controller/partition_change.h"

#include <algorithm>

namespace klamm::controller {

namespace {

using metadata::contains;
using metadata::LeaderRecoveryState;
using metadata::PartitionChanged;
using metadata::PartitionImage;

struct Elected {
    BrokerId leader = no_broker;
    bool unclean = false;  // from outside ISR and ELR: the ISR becomes the leader alone
    ElectedFrom from = ElectedFrom::nobody;
};

class Builder {
  public:
    Builder(const PartitionImage& partition, const PartitionWish& wish)
        : partition_(partition),
          wish_(wish),
          isr_(wish.target_isr),
          elr_(partition.elr),
          replicas_(wish.replicas.value_or(partition.replicas)),
          removing_(wish.removing.value_or(partition.removing)),
          adding_(wish.adding.value_or(partition.adding)) {}

    std::optional<PartitionDecision> build(const TopicPartition& id) {
        change_.partition = id;
        complete_reassignment();
        keep_eligible_replicas();
        elect();
        record_elr();
        // With ELR off the last member stays in the ISR: it is all that is known of who may lead.
        if (!change_.isr && (!isr_.empty() || wish_.elr_enabled) && isr_ != partition_.isr)
            change_.isr = isr_;
        // Who is a replica no more is told by an epoch that it does not know.
        const bool leaves =
            std::any_of(partition_.replicas.begin(), partition_.replicas.end(),
                        [this](BrokerId replica) { return !contains(replicas_, replica); });
        if (leaves && !change_.leader) change_.leader = partition_.leader;
        record_last_known_leader();
        if (!change_.recovery && wish_.recovery != partition_.recovery)
            change_.recovery = wish_.recovery;
        if (replicas_ != partition_.replicas) change_.replicas = replicas_;
        if (removing_ != partition_.removing) change_.removing = removing_;
        if (adding_ != partition_.adding) change_.adding = adding_;
        PartitionChanged nothing;
        nothing.partition = id;
        if (change_ == nothing) return std::nullopt;
        return PartitionDecision{change_, elected_};
    }

  private:
    [[nodiscard]] bool acceptable(BrokerId broker) const {
        return contains(wish_.acceptable, broker);
    }
    /// In the ISR, or in the ELR when the ISR is empty; and active.
    [[nodiscard]] bool may_lead(BrokerId broker) const {
        return (contains(isr_, broker) || (isr_.empty() && contains(elr_, broker))) &&
               acceptable(broker);
    }
    [[nodiscard]] Elected clean(BrokerId broker) const {
        if (broker == partition_.leader) return {broker, false, ElectedFrom::unchanged};
        return {broker, false, contains(elr_, broker) ? ElectedFrom::elr : ElectedFrom::isr};
    }

    void complete_reassignment() {
        if (removing_.empty() && adding_.empty()) return;
        const auto less = [this](const BrokerIds& brokers) {
            BrokerIds left;
            for (const BrokerId broker : brokers)
                if (!contains(removing_, broker)) left.push_back(broker);
            return left;
        };
        const BrokerIds isr = less(isr_);
        const BrokerIds replicas = less(replicas_);
        const bool in_sync =
            std::all_of(replicas.begin(), replicas.end(),
                        [&isr](BrokerId replica) { return contains(isr, replica); });
        if (isr.empty() || replicas.empty() || !in_sync) return;
        isr_ = isr;
        replicas_ = replicas;
        elr_ = less(elr_);
        removing_.clear();
        adding_.clear();
    }

    /// Below min.insync.replicas, whoever leaves the ISR holds all that was committed: commits stop
    /// there. So it stays eligible until the ISR has grown again, unless it stopped without proof.
    void keep_eligible_replicas() {
        if (!wish_.elr_enabled) return;
        if (static_cast<std::int32_t>(isr_.size()) >= wish_.min_isr) {
            elr_.clear();
            return;
        }
        BrokerIds candidates = elr_;
        for (const BrokerId member : partition_.isr)
            if (!contains(candidates, member)) candidates.push_back(member);
        elr_.clear();
        for (const BrokerId broker : metadata::sorted(candidates))
            if (!contains(isr_, broker) && contains(replicas_, broker) &&
                !contains(wish_.unclean_shutdown, broker))
                elr_.push_back(broker);
    }

    [[nodiscard]] bool may_elect_last_known() const {
        return wish_.elr_enabled && isr_.empty() && elr_.empty() &&
               partition_.last_known_elr.size() == 1 && acceptable(partition_.last_known_elr[0]);
    }

    [[nodiscard]] Elected choose() const {
        const BrokerIds& replicas = replicas_;
        if (wish_.election == Election::preferred && !replicas.empty() && may_lead(replicas[0]))
            return clean(replicas[0]);
        if (may_lead(partition_.leader)) return clean(partition_.leader);
        for (const BrokerId replica : replicas)
            if (may_lead(replica)) return clean(replica);
        if (may_elect_last_known())
            return {partition_.last_known_elr[0], true, ElectedFrom::last_known};
        if (wish_.election == Election::unclean)
            for (const BrokerId replica : replicas)
                if (acceptable(replica)) return {replica, true, ElectedFrom::unclean};
        const auto live = std::find_if(replicas.begin(), replicas.end(),
                                       [this](BrokerId replica) { return acceptable(replica); });
        if (live != replicas.end() && wish_.turn != nullptr &&
            wish_.turn->planted(Bug::elects_outside_isr)) [[unlikely]]
            return {*live, true, ElectedFrom::outside};
        return {};
    }

    void elect() {
        const Elected elected = choose();
        if (elected.leader == partition_.leader) return;
        elected_ = elected.from;
        if (elected.from == ElectedFrom::elr) {
            isr_ = {elected.leader};
            elr_ = metadata::without(elr_, elected.leader);
        }
        change_.leader = elected.leader;
        if (!elected.unclean) return;
        change_.isr = BrokerIds{elected.leader};
        if (partition_.recovery != LeaderRecoveryState::recovering)
            change_.recovery = LeaderRecoveryState::recovering;
    }

    void record_elr() {
        const bool clean_election = !change_.isr;
        if (!clean_election || !wish_.elr_enabled) elr_.clear();
        if (elr_ != partition_.elr) change_.elr = elr_;
    }

    /// While a partition with ELR has no leader, last_known_elr names the one it had last.
    void record_last_known_leader() {
        const BrokerIds& last = partition_.last_known_elr;
        if (!wish_.elr_enabled) return;
        if (change_.isr && change_.isr->empty() && partition_.leader != no_broker &&
            last != BrokerIds{partition_.leader}) {
            change_.last_known_elr = BrokerIds{partition_.leader};
        } else if (!last.empty() && change_.leader.value_or(partition_.leader) != no_broker) {
            change_.last_known_elr = BrokerIds{};
        }
    }

    const PartitionImage& partition_;
    const PartitionWish& wish_;
    BrokerIds isr_;
    BrokerIds elr_;
    BrokerIds replicas_;
    BrokerIds removing_;
    BrokerIds adding_;
    PartitionChanged change_;
    ElectedFrom elected_ = ElectedFrom::unchanged;
};

}  // namespace

std::optional<PartitionDecision> build_partition_change(const TopicPartition& id,
                                                        const PartitionImage& partition,
                                                        const PartitionWish& wish) {
    std::optional<PartitionDecision> decision = Builder(partition, wish).build(id);
    if (!decision || wish.election == Election::unclean) return decision;
    // Without permission nobody leads but a member of ISR or ELR, or the last known leader.
    KLAMM_ASSERT(decision->elected != ElectedFrom::unclean);
    if (decision->change.leader && *decision->change.leader != no_broker &&
        decision->elected != ElectedFrom::outside) {
        const BrokerId leader = *decision->change.leader;
        KLAMM_ASSERT(contains(partition.isr, leader) || contains(partition.elr, leader) ||
                     contains(wish.target_isr, leader) ||
                     contains(partition.last_known_elr, leader));
    }
    return decision;
}

}  // namespace klamm::controller

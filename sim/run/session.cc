#include "sim/run/session.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/metadata/metadata_topic.h"
#include "core/replicated/partition_of.h"
#include "sim/judge/groups.h"

namespace klamm::sim {

namespace {

constexpr std::uint64_t events_max_default = 40'000'000;
constexpr Duration look_interval = milliseconds(50);

JudgeOptions judge_options(const RunPlan& plan, const RunHooks& hooks, const Cluster& cluster) {
    JudgeOptions options;
    options.keep_history = hooks.keep_history;
    const auto& producers = plan.workload.producers;
    options.history.idempotent =
        !hooks.repeats_lawful &&
        std::all_of(producers.begin(), producers.end(),
                    [](const auto& producer) { return producer.options.enable_idempotence; });
    options.violations_max = 100;
    options.slip = hooks.slip;
    options.truth_sink = hooks.truth_sink;
    options.metadata = {metadata::metadata_topic, PartitionIndex(0)};
    options.voters = cluster.voters();
    options.history.slip = hooks.slip;
    options.topic = plan.cluster.topic_name;
    if (const std::uint32_t count = plan.cluster.offsets_partitions; count > 0)
        options.home = [count](const std::string& group) {
            return TopicPartition{offsets_topic, PartitionIndex(replicated::partition_of(
                                                     group, static_cast<std::int32_t>(count)))};
        };
    return options;
}

}  // namespace

Session::Session(const RunPlan& plan, const RunHooks& hooks, Director* director)
    : plan_(plan),
      hooks_(hooks),
      director_(director),
      cluster_(plan, hooks.slip),
      judge_(judge_options(plan, hooks, cluster_)),
      listener_(cluster_, judge_, hooks),
      storm_(cluster_, judge_, listener_, plan, hooks, result_) {
    listener_.set_watch(&storm_);
    listener_.set_director(director);
    cluster_.world().set_observer(&listener_);
    if (hooks.event_sink) cluster_.world().set_event_sink(hooks.event_sink);
    cluster_.world().set_tap(hooks.tap);
    if (hooks.begin_sink) hooks.begin_sink(cluster_.world());
}

void Session::begin() {
    storm_.begin();
    if (director_ != nullptr) director_->begin(stage());
    cluster_.start();
    if (plan_.edits.luck != 0) world().perturb_surroundings(plan_.edits.luck);
}

bool Session::run_to(Instant end, const std::function<bool()>& done) {
    const std::uint64_t events_max =
        hooks_.events_max == 0 ? events_max_default : hooks_.events_max;
    bool enough = false;
    const std::function<bool()> stop = [&] {
        if (hooks_.after_event) hooks_.after_event(world());
        if (director_ != nullptr && !healing_) {
            director_->between_events();
            if (director_->rehearsed().has_value()) return true;
        }
        if (done && done()) enough = true;
        if (enough) return true;
        return (hooks_.stop_at_first_violation && listener_.first_violation() != instant_never) ||
               world().events() >= events_max;
    };
    const bool stopped = world().run_until(stop, end);
    if (world().events() >= events_max)
        result_.complaint = fmt::format("the run needs more than {} events", events_max);
    if ((!stopped || enough) && !world().ended().has_value()) return true;
    halted_ = true;
    return false;
}

void Session::mend() {
    storm_.heal({});
    storm_.go_on();
}

/// Looks at `done` now and then; false at the limit.
template <class Done>
bool Session::wait(Instant limit, Done done) {
    while (!done()) {
        if (world().now() >= limit) return false;
        if (!run_to(std::min(limit, world().now() + look_interval))) return false;
    }
    return true;
}

/// Who of the plan may stay down. Of brokers: the rest must hold a good candidate that runs, and be
/// enough for min.insync.replicas. Any minority of controllers.
std::vector<std::uint32_t> Session::choose_left_down() {
    std::vector<std::uint32_t> down;
    for (const std::uint32_t broker : plan_.left_down) {
        if (broker >= first_controller) {
            down.push_back(broker);
            continue;
        }
        const auto brokers = static_cast<std::int32_t>(cluster_.brokers().size());
        const auto replicas = static_cast<std::int32_t>(plan_.cluster.replication);
        const std::int32_t copies = replicas == 0 ? brokers : std::min(replicas, brokers);
        if (copies - 1 < std::max(1, plan_.cluster.topic.min_insync_replicas)) continue;
        const auto partitions = cluster_.partitions();
        const bool spared =
            std::all_of(partitions.begin(), partitions.end(), [&](const auto& partition) {
                const auto candidates = judge_.good_candidates(partition);
                return std::any_of(candidates.begin(), candidates.end(), [&](BrokerId id) {
                    const auto other = static_cast<std::uint32_t>(id.value - 1);
                    const NodeId node = cluster_.brokers()[other];
                    // One that the controller does not hear of may be fenced any moment.
                    const bool heard = cluster_.has_active_controller() &&
                                       !world().is_cut(node, cluster_.controller()) &&
                                       !world().is_cut(cluster_.controller(), node);
                    const bool silent = world().maybes(node).taken(Site::heartbeat_late) > 0;
                    return other != broker && world().alive(node) && !world().paused(node) &&
                           heard && !silent;
                });
            });
        if (spared) down.push_back(broker);
    }
    down.insert(down.end(), hooks_.keep_down.begin(), hooks_.keep_down.end());
    return down;
}

bool Session::down(std::size_t broker) const {
    return std::find(left_down_.begin(), left_down_.end(), broker) != left_down_.end();
}

std::string Session::ailment(const TopicPartition& which) {
    if (slips(hooks_.slip, Slip::liveness_unasked)) return {};
    const metadata::PartitionImage* partition = cluster_.partition(which);
    if (partition == nullptr) return "has not been made";
    if (partition->leader == no_broker) return "has no leader";
    const auto leader = static_cast<std::size_t>(partition->leader.value - 1);
    if (leader >= cluster_.brokers().size() || !world().alive(cluster_.brokers()[leader]))
        return fmt::format("is led by broker {}, which is down", leader + 1);
    for (const BrokerId id : partition->replicas) {
        if (down(static_cast<std::size_t>(id.value - 1))) continue;
        if (std::find(partition->isr.begin(), partition->isr.end(), id) == partition->isr.end())
            return fmt::format("has broker {} out of its ISR", id.value);
    }
    const auto ends = cluster_.ends(leader, which);
    if (!ends.has_value()) return fmt::format("is not open at its leader {}", leader + 1);
    // While producers write on, the end may be ahead of the watermark at every moment: then
    // what was there when this leader was first looked at has to be below it.
    const auto [goal, first] = goals_.try_emplace({which, partition->leader_epoch}, ends->log_end);
    const bool writing = writing_on_ || which.topic == offsets_topic;  // members never rest
    const bool reached = writing && ends->high_watermark >= goal->second;
    if (!reached && ends->high_watermark != ends->log_end)
        return fmt::format("has its high watermark at {} and its log end at {}",
                           ends->high_watermark.value, ends->log_end.value);
    return {};
}

/// What the healing has left undone; empty when nothing is wrong between two nodes or with one.
std::string Session::still_ill() {
    for (std::uint32_t i = 0; i < world().nodes(); ++i) {
        if (world().paused(NodeId(i)))
            return world().name(NodeId(i)) + " is still paused after the healing";
        for (std::uint32_t k = 0; k < world().nodes(); ++k) {
            if (world().is_cut(NodeId(i), NodeId(k)))
                return fmt::format("{} is still cut off from {} after the healing",
                                   world().name(NodeId(k)), world().name(NodeId(i)));
        }
    }
    return {};
}

void Session::complain(std::string sentence) {
    if (result_.complaint.empty()) result_.complaint = std::move(sentence);
}

bool Session::well() {
    if (!cluster_.quorum_ailment().empty()) return false;
    auto partitions = cluster_.partitions();
    for (const TopicPartition& which : cluster_.offsets_partitions()) partitions.push_back(which);
    return std::all_of(partitions.begin(), partitions.end(),
                       [this](const auto& which) { return ailment(which).empty(); });
}

bool Session::heal_and_read() {
    healing_ = true;
    result_.safety_end = world().now() - Instant{};
    if (director_ != nullptr) director_->before_healing();
    left_down_ = choose_left_down();
    storm_.heal(left_down_);
    const Instant healed = world().now();
    complain(still_ill());
    const Instant limit = world().now() + plan_.liveness_bound;
    world().start(cluster_.probe());
    if (!wait(limit, [this] { return cluster_.probe_done(); })) return give_up("probe");
    if (!wait(limit, [this] { return well(); })) {
        writing_on_ = !cluster_.producers_done();
        if (!well()) return give_up("state");
        writing_on_ = false;
    }
    if (!wait(limit, [&] { return cluster_.groups_ailment(healed).empty(); }))
        return give_up("groups");
    // Sends end within their delivery timeout, whatever happens.
    Duration sends{};
    for (const auto& producer : plan_.workload.producers)
        sends = std::max(sends, milliseconds(producer.options.delivery_timeout_ms));
    if (!wait(world().now() + sends + seconds(5), [this] { return cluster_.producers_done(); }))
        return give_up("producers");
    for (const NodeId client : cluster_.clients()) world().kill(client);
    if (!wait(world().now() + plan_.liveness_bound, [this] { return well(); }))
        return give_up("state");
    if (slips(hooks_.slip, Slip::final_reads_left_out)) return false;
    judge_.on_final_reads(world().now());
    world().start(cluster_.final_reader());
    const bool in_haste = slips(hooks_.slip, Slip::final_reads_not_awaited);
    if (!wait(world().now() + plan_.liveness_bound,
              [&] { return in_haste || cluster_.final_reader_done(); }))
        return give_up("final reader");
    return true;
}

/// Liveness is owed unless the ledger proves an excuse.
bool Session::give_up(const char* what) {
    if (halted_) return false;
    for (const TopicPartition& which : cluster_.partitions()) {
        const metadata::PartitionImage* partition = cluster_.partition(which);
        if (partition == nullptr || plan_.cluster.topic.unclean_leader_election_enable) continue;
        if (!judge_.good_candidate(which)) {
            result_.excuse = fmt::format(
                "E1: no replica that may lead {}-{} holds all that was promised, and "
                "unclean election is off",
                cluster_.topic(), which.partition.value);
            return false;
        }
    }
    for (const TopicPartition& which : cluster_.offsets_partitions()) {
        if (plan_.cluster.topic.unclean_leader_election_enable || judge_.good_candidate(which))
            continue;
        result_.excuse = fmt::format(
            "E5: no replica that may lead {}-{} holds all that came below its high watermark, and "
            "unclean election is off",
            offsets_topic_name, which.partition.value);
        return false;
    }
    std::string failure = fmt::format("{} s after healing the {} has not succeeded",
                                      plan_.liveness_bound.nanoseconds / 1'000'000'000, what);
    for (const TopicPartition& which : cluster_.partitions()) {
        const std::string why = ailment(which);
        if (!why.empty())
            failure += fmt::format("; {}-{} {}", cluster_.topic(), which.partition.value, why);
    }
    for (const TopicPartition& which : cluster_.offsets_partitions())
        if (const std::string why = ailment(which); !why.empty())
            failure += fmt::format("; {}-{} {}", offsets_topic_name, which.partition.value, why);
    if (const std::string why = cluster_.groups_ailment(Instant{}); !why.empty())
        failure += "; " + why;
    if (const std::string why = cluster_.quorum_ailment(); !why.empty()) failure += "; " + why;
    result_.liveness_failures.push_back(std::move(failure));
    return false;
}

/// That this run was the one that was asked for, and went to its end.
void Session::check_harness(bool read_to_end) {
    for (const FaultEvent& fault : plan_.faults) {
        if (plan_.edits.removed.contains(fault.id))
            complain(fmt::format("fault {} falls though it was taken away", fault.id));
    }
    if (plan_.edits.cut.has_value() && world().now() > *plan_.edits.cut)
        complain("the run goes on where it was cut");
    const auto known = [this](FaultId id) {
        return id == fault_none || std::find(result_.fired_ids.begin(), result_.fired_ids.end(),
                                             id) != result_.fired_ids.end();
    };
    for (const Loss& loss : judge_.bill().losses) {
        if (!known(loss.fault))
            complain(fmt::format("fault {} is in the bill and has not fallen", loss.fault));
    }
    const bool owed = healing_ && !halted_ && result_.excuse.empty() &&
                      result_.liveness_failures.empty() && !result_.ended.has_value();
    if (owed && !read_to_end) complain("the run ends though nothing was read back");
}

RunResult Session::finish(bool read_to_end) {
    const Instant now = world().now();
    storm_.settle();
    if (hooks_.end_sink) hooks_.end_sink(world());
    result_.ended = world().ended();
    if (!result_.ended.has_value()) {
        if (hooks_.judging) hooks_.judging(true);
        judge_.finish(now, read_to_end);
        if (hooks_.judging) hooks_.judging(false);
        listener_.look();
    }
    check_harness(read_to_end);
    const bool faults_asked = !plan_.faults.empty();
    RunOutcome outcome =
        judge_.outcome(faults_asked, result_.liveness_failures.size(), result_.ended.has_value());
    outcome.groups_asked = !plan_.workload.members.empty();
    result_.verdict = verdict_of(outcome);
    if (result_.complaint.empty())
        result_.complaint = harness_complaint(outcome);
    else if (result_.verdict == Verdict::passed)
        result_.verdict = Verdict::harness_error;
    result_.violations = judge_.violations();
    result_.violations_total = judge_.violations_total();
    result_.bill = judge_.bill();
    result_.counts = judge_.counts();
    result_.hash = world().hash();
    result_.checkpoints = world().checkpoints();
    result_.first_violation = listener_.first_violation();
    if (result_.first_violation != instant_never) result_.timeline = listener_.timeline();
    for (std::size_t i = 0; i < bug_count; ++i)
        result_.plants_taken[i] = world().plants().taken(static_cast<Bug>(i));
    result_.events = world().events();
    result_.virtual_time = now - Instant{};
    if (hooks_.keep_history) result_.history = judge_.history();
    if (director_ != nullptr) director_->finish(result_);
    return std::move(result_);
}

}  // namespace klamm::sim

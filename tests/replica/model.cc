#include "tests/replica/model.h"

#include <algorithm>

namespace klamm::model {

namespace {

using metadata::PartitionImage;
using replica::EpochEnd;
using replica::FollowerAction;
using replica::FollowerState;
using replica::FollowerStep;
using replica::LeaderEffects;
using replica::LeaderState;

const TopicPartition partition_id{uuid_from_halves(1, 1), PartitionIndex(0)};
constexpr Duration lag_max = milliseconds(10);

BrokerId id_of(int i) { return BrokerId(i + 1); }
int index_of(BrokerId id) { return id.value - 1; }

}  // namespace

std::string to_string(const Event& event) {
    constexpr const char* names[] = {"append",       "fetch",        "deliver", "metadata",
                                     "alter_commit", "alter_answer", "crash",   "restart",
                                     "fence",        "unfence",      "prefer",  "lag"};
    return std::string(names[static_cast<std::size_t>(event.kind)]) + "(" +
           static_cast<char>('A' + event.broker) + ")";
}

World::World(const Setup& setup, Plants* plants)
    : setup_(setup), plants_(plants), left_(setup.budget), brokers_(broker_count) {
    auto image = std::make_shared<metadata::ClusterImage>();
    std::int64_t offset = 0;
    const auto put = [&](const metadata::Change& change) {
        const Status applied = image->apply(change, offset++);
        KLAMM_ASSERT(applied.ok());
    };
    metadata::PartitionCreated created;
    created.partition = partition_id;
    created.leader = id_of(setup.leader);
    for (int i = 0; i < broker_count; ++i) {
        metadata::BrokerRegistered registered;
        registered.broker = id_of(i);
        registered.incarnation = uuid_from_halves(7, static_cast<std::uint64_t>(i));
        registered.epoch = BrokerEpoch(offset);
        registered.fenced = false;
        put(registered);
        created.replicas.push_back(id_of(i));
    }
    for (const int member : setup.isr) created.isr.push_back(id_of(member));
    if (setup.elr) put(metadata::FeatureSet{std::string(metadata::elr_feature), 1});
    put(metadata::TopicCreated{partition_id.topic, "t"});
    put(metadata::ConfigSet{{metadata::ResourceType::topic, "t"},
                            "min.insync.replicas",
                            std::to_string(setup.min_isr)});
    put(created);
    image_ = image;
    for (int i = 0; i < broker_count; ++i) {
        at(i).image = image_;
        take_role(i);
    }
}

Turn World::turn() const {
    return {Instant{} + (lag_max + milliseconds(1)) * time_, Timestamp(0), Draws(0), plants_,
            nullptr};
}

const PartitionImage& World::partition() const { return *image_->partition(partition_id); }

Offset World::high_watermark(int i) const {
    const Broker& broker = brokers_[static_cast<std::size_t>(i)];
    if (const auto* leader = std::get_if<LeaderState>(&broker.role))
        return leader->high_watermark();
    if (const auto* follower = std::get_if<FollowerState>(&broker.role))
        return follower->high_watermark();
    return broker.saved_high_watermark;
}

bool World::can(const Event& event) const {
    const Broker& broker = brokers_[static_cast<std::size_t>(event.broker)];
    const metadata::BrokerImage& known = *image_->broker(id_of(event.broker));
    const auto* follower = std::get_if<FollowerState>(&broker.role);
    switch (event.kind) {
        case Kind::append:
            return left_.appends > 0 && std::holds_alternative<LeaderState>(broker.role);
        case Kind::fetch: {
            if (follower == nullptr || broker.answer || follower->leader() == no_broker)
                return false;
            return brokers_[static_cast<std::size_t>(index_of(follower->leader()))].up;
        }
        case Kind::deliver: return broker.answer.has_value() && follower != nullptr;
        case Kind::metadata: return broker.up && broker.image->offset() < image_->offset();
        case Kind::alter_commit: return broker.proposal && !broker.alter_answer;
        case Kind::alter_answer: return broker.alter_answer.has_value();
        case Kind::crash: return left_.crashes > 0 && broker.up;
        case Kind::restart: return !broker.up && known.fenced;
        case Kind::fence: return !known.fenced && (left_.fences > 0 || !broker.up);
        case Kind::unfence: return broker.up && known.fenced;
        case Kind::prefer:
            return left_.elections > 0 && event.broker == a &&
                   partition().leader != partition().replicas[0];
        case Kind::lag: return left_.lags > 0 && event.broker == a;
    }
    return false;
}

std::vector<Event> World::enabled() const {
    std::vector<Event> events;
    for (int kind = 0; kind <= static_cast<int>(Kind::lag); ++kind)
        for (int i = 0; i < broker_count; ++i)
            if (const Event event{static_cast<Kind>(kind), i}; can(event)) events.push_back(event);
    return events;
}

bool World::act(const Event& event) {
    if (!can(event)) return false;
    const int i = event.broker;
    Broker& broker = at(i);
    switch (event.kind) {
        case Kind::append: append(i); break;
        case Kind::fetch: fetch(i); break;
        case Kind::deliver: deliver(i); break;
        case Kind::metadata:
            broker.image = image_;
            take_role(i);
            break;
        case Kind::alter_commit: alter_commit(i); break;
        case Kind::alter_answer: {
            const auto answer = *broker.alter_answer;
            broker.alter_answer.reset();
            if (auto* leader = std::get_if<LeaderState>(&broker.role))
                after_leader_step(i, leader->on_alter_partition_answer(turn(), *broker.image,
                                                                       broker.answered, answer));
            break;
        }
        case Kind::crash:
            --left_.crashes;
            broker.saved_high_watermark = high_watermark(i);
            broker.up = false;
            broker.role = std::monostate{};
            broker.answer.reset();
            broker.alter_answer.reset();
            break;
        case Kind::restart: restart(i); break;
        case Kind::fence:
            if (broker.up) --left_.fences;
            apply(controller::fence_broker(*image_, id_of(i)));
            break;
        case Kind::unfence: apply(controller::unfence_broker(*image_, id_of(i))); break;
        case Kind::prefer: {
            --left_.elections;
            apply(controller::elect_leader(*image_, partition_id, controller::Election::preferred)
                      .decisions);
            break;
        }
        case Kind::lag:
            --left_.lags;
            ++time_;
            for (int j = 0; j < broker_count; ++j)
                if (auto* leader = std::get_if<LeaderState>(&at(j).role))
                    after_leader_step(j, leader->check_lag(turn(), *at(j).image));
            break;
    }
    check();
    return true;
}

void World::apply(const controller::Decisions& decisions) {
    if (decisions.empty()) return;
    auto next = std::make_shared<metadata::ClusterImage>(*image_);
    for (const controller::Decided& decided : decisions) {
        const Status applied = next->apply(decided.change, next->offset() + 1);
        KLAMM_ASSERT(applied.ok());
    }
    image_ = next;
}

void World::take_role(int i) {
    Broker& broker = at(i);
    const PartitionImage& state = *broker.image->partition(partition_id);
    const Offset known = high_watermark(i);
    if (state.leader == id_of(i)) {
        auto* leader = std::get_if<LeaderState>(&broker.role);
        const LeaderEpoch before = leader != nullptr ? leader->epoch() : no_leader_epoch;
        LeaderEffects effects;
        if (leader != nullptr) {
            effects = leader->on_metadata(turn(), *broker.image, state, broker.ends());
        } else {
            const replica::LeaderSettings settings{lag_max, setup_.min_isr, false};
            LeaderState fresh(id_of(i), partition_id, state, settings, broker.ends(), known,
                              turn().now);
            effects = fresh.begin(turn(), *broker.image);
            broker.role = fresh;
            broker.answer.reset();
        }
        leader = std::get_if<LeaderState>(&broker.role);
        if (leader->epoch() != before) {
            broker.epochs.assign(leader->epoch(), leader->epoch_start());
            const auto epoch = static_cast<std::size_t>(leader->epoch().value);
            if (leader_of_epoch_.size() <= epoch) leader_of_epoch_.resize(epoch + 1, -1);
            if (leader_of_epoch_[epoch] != -1) violation_ = "SPLIT: two take up one epoch";
            leader_of_epoch_[epoch] = i;
            const std::size_t held = std::min(broker.log.size(), committed_.size());
            const bool whole =
                broker.log.size() >= committed_.size() &&
                std::equal(committed_.begin(), committed_.begin() + static_cast<long>(held),
                           broker.log.begin());
            if (!whole) violation_ = "LOST: a leader lacks a committed record";
        }
        after_leader_step(i, effects);
        return;
    }
    std::optional<Offset> cut;
    if (auto* follower = std::get_if<FollowerState>(&broker.role)) {
        const LeaderEpoch before = follower->epoch();
        cut = follower->on_metadata(turn(), state, broker.ends());
        if (follower->epoch() != before) broker.answer.reset();
    } else {
        FollowerState fresh(id_of(i), partition_id, state, known);
        cut = fresh.begin(turn(), broker.ends());
        broker.role = fresh;
        broker.proposal.reset();
        broker.alter_answer.reset();
    }
    if (cut) truncate(i, *cut);
}

void World::truncate(int i, Offset to) {
    Broker& broker = at(i);
    broker.log.resize(static_cast<std::size_t>(to.value));
    broker.epochs.truncate_from_end(to);
    std::get<FollowerState>(broker.role).on_truncated(to);
}

void World::append(int i) {
    --left_.appends;
    Broker& broker = at(i);
    auto& leader = std::get<LeaderState>(broker.role);
    if (leader.admit_produce(-1) != protocol::ErrorCode::none) return;
    broker.log.push_back(leader.epoch().value);
    after_leader_step(i, leader.on_log(turn(), *broker.image, broker.ends()));
    // An acks=all success right after the append is a promise like any other.
    if (leader.acks_all_answer(turn(), broker.ends().end) == protocol::ErrorCode::none)
        for (std::size_t n = committed_.size(); n < broker.log.size(); ++n)
            committed_.push_back(broker.log[n]);
}

void World::fetch(int i) {
    Broker& broker = at(i);
    const auto& follower = std::get<FollowerState>(broker.role);
    Broker& source = at(index_of(follower.leader()));
    const auto position =
        follower.next_fetch(turn(), broker.ends(), broker.epochs.latest_epoch(), false);
    replica::FetchAnswer answer;
    answer.asked = *position;
    broker.answer_records.clear();
    auto* leader = std::get_if<LeaderState>(&source.role);
    if (leader == nullptr) {
        answer.error = protocol::ErrorCode::not_leader_or_follower;
        broker.answer = answer;
        return;
    }
    replica::FollowerFetch request;
    request.replica = id_of(i);
    request.broker_epoch = broker.image->broker(id_of(i))->epoch;
    request.current_leader_epoch = position->current_leader_epoch;
    request.fetch_offset = position->fetch_offset;
    request.last_fetched_epoch = position->last_fetched_epoch;
    request.log_start = position->log_start;
    request.epoch_end =
        source.epochs.end_offset_for(position->last_fetched_epoch, source.ends().end);
    const auto decision = leader->on_follower_fetch(turn(), *source.image, request);
    answer.error = decision.error;
    answer.diverging = decision.diverging;
    answer.high_watermark = leader->high_watermark();
    answer.log_start = Offset(0);
    if (decision.error == protocol::ErrorCode::none && !decision.diverging)
        for (auto n = static_cast<std::size_t>(position->fetch_offset.value); n < source.log.size();
             ++n)
            broker.answer_records.push_back(source.log[n]);
    broker.answer = answer;
    after_leader_step(index_of(follower.leader()), decision.effects);
}

void World::deliver(int i) {
    Broker& broker = at(i);
    auto& follower = std::get<FollowerState>(broker.role);
    const replica::FetchAnswer answer = *broker.answer;
    broker.answer.reset();
    EpochEnd local;
    if (answer.diverging)
        local = broker.epochs.end_offset_for(answer.diverging->epoch, broker.ends().end);
    FollowerAction action = follower.on_fetch_answer(turn(), answer, broker.ends(), local);
    if (action.step == FollowerStep::ask_ends) {
        const Broker& source = at(index_of(follower.leader()));
        action = follower.on_leader_ends(Offset(0), source.ends().end, broker.ends());
    }
    if (action.step == FollowerStep::truncate) truncate(i, action.offset);
    if (action.step != FollowerStep::append) return;
    for (const std::int32_t epoch : broker.answer_records) {
        if (broker.epochs.latest_epoch().value < epoch)
            broker.epochs.assign(LeaderEpoch(epoch), broker.ends().end);
        broker.log.push_back(epoch);
    }
    broker.answer_records.clear();
    follower.on_appended(answer, broker.ends());
}

void World::after_leader_step(int i, const LeaderEffects& effects) {
    Broker& broker = at(i);
    if (effects.propose) {
        broker.proposal = effects.propose;
        broker.proposal_sender = broker.image->broker(id_of(i))->epoch;
    }
    if (!effects.moved) return;
    if (effects.moved->to <= effects.moved->from) violation_ = "REGRESS: a watermark moved back";
    const auto end = static_cast<std::size_t>(effects.moved->to.value);
    for (std::size_t n = 0; n < end; ++n) {
        if (n >= committed_.size())
            committed_.push_back(broker.log[n]);
        else if (committed_[n] != broker.log[n])
            violation_ = "LOST: a committed record was replaced";
    }
}

void World::alter_commit(int i) {
    Broker& broker = at(i);
    controller::AlterPartition request;
    request.partition = partition_id;
    request.broker = id_of(i);
    request.leader_epoch = broker.proposal->leader_epoch;
    request.partition_epoch = broker.proposal->partition_epoch;
    for (const replica::IsrMember& member : broker.proposal->isr)
        request.isr.push_back({member.broker, member.epoch});
    const auto outcome = controller::alter_partition(*image_, request, broker.proposal_sender);
    apply(outcome.decisions);
    broker.answered = *broker.proposal;
    broker.proposal.reset();
    if (!std::holds_alternative<LeaderState>(broker.role)) return;
    broker.alter_answer = replica::AlterPartitionAnswer{
        outcome.error, outcome.partition.leader, outcome.partition.leader_epoch,
        outcome.partition.partition_epoch, outcome.partition.isr};
}

void World::restart(int i) {
    Broker& broker = at(i);
    apply(controller::end_incarnation(*image_, id_of(i), false));
    metadata::BrokerRegistered registered;
    registered.broker = id_of(i);
    registered.epoch = BrokerEpoch(image_->offset() + 1);
    registered.incarnation =
        uuid_from_halves(8, static_cast<std::uint64_t>(registered.epoch.value));
    apply({{registered, facts::PartitionChangeCause::broker_registered}});
    apply(controller::unfence_broker(*image_, id_of(i)));
    broker.up = true;
    broker.image = image_;
    take_role(i);
}

void World::check() {
    const PartitionImage& state = partition();
    for (int i = 0; i < broker_count; ++i) {
        const std::vector<std::int32_t>& log = at(i).log;
        if (high_watermark(i).value > static_cast<std::int64_t>(log.size()))
            violation_ = "a watermark is beyond its log";
        const bool candidate =
            metadata::contains(state.isr, id_of(i)) || metadata::contains(state.elr, id_of(i));
        const bool whole = log.size() >= committed_.size() &&
                           std::equal(committed_.begin(), committed_.end(), log.begin());
        if (candidate && !whole && violation_.empty())
            violation_ = "STRANDED: a candidate lacks a committed record";
        for (int j = 0; j < i; ++j) {
            const Offset both = std::min(high_watermark(i), high_watermark(j));
            for (std::size_t n = 0; n < static_cast<std::size_t>(both.value); ++n)
                if (log[n] != at(j).log[n]) violation_ = "DIVERGE: logs differ below watermarks";
        }
        if (const auto* leader = std::get_if<LeaderState>(&at(i).role)) {
            const metadata::BrokerIds& isr = leader->committed_isr();
            const metadata::BrokerIds maximal = leader->maximal_isr();
            for (const BrokerId member : isr)
                if (!metadata::contains(maximal, member)) violation_ = "the maximal ISR is short";
            // I2: while this leader's view is the newest, acks=all covers the committed ISR.
            if (leader->epoch() == state.leader_epoch)
                for (const BrokerId member : state.isr)
                    if (!metadata::contains(maximal, member) && i == index_of(state.leader))
                        violation_ = "I2: the committed ISR is not covered";
        }
        if (setup_.elr && metadata::contains(state.isr, id_of(i)) &&
            image_->broker(id_of(i))->fenced)
            violation_ = "I3: a fenced broker is in the ISR";
    }
    if (setup_.elr && static_cast<int>(state.isr.size()) >= setup_.min_isr && !state.elr.empty())
        violation_ = "an ELR beside a full ISR";
}

}  // namespace klamm::model

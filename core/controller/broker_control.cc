#include "core/controller/broker_control.h"

#include <algorithm>
#include <limits>

namespace klamm::controller {

namespace {

metadata::BrokerRegistered record_of(const Registration& registration) {
    metadata::BrokerRegistered record;
    record.broker = registration.broker;
    record.incarnation = registration.incarnation;
    record.endpoints = registration.endpoints;
    record.rack = registration.rack;
    record.log_dirs = registration.log_dirs;
    return record;
}

void append(Decisions& to, Decisions more) {
    for (Decided& decided : more) to.push_back(std::move(decided));
}

}  // namespace

void BrokerControl::activate(Instant now, const ClusterImage& image) {
    sessions_.clear();
    for (const auto& [id, broker] : image.brokers()) {
        if (broker.fenced) continue;
        Session session{broker.epoch, now, -1, -1};
        // When it began to leave is forgotten: all brokers must read up to here before it may stop.
        if (broker.in_controlled_shutdown) session.shutdown_offset = image.offset();
        sessions_[id] = session;
    }
}

bool BrokerControl::has_session(Instant now, BrokerId broker, BrokerEpoch epoch) const {
    const auto found = sessions_.find(broker);
    return found != sessions_.end() && found->second.epoch == epoch &&
           now < found->second.last_contact + session_timeout_;
}

RegistrationOutcome BrokerControl::register_broker(const Turn& turn, const ClusterImage& image,
                                                   const Registration& registration,
                                                   std::int64_t next_offset) {
    const metadata::BrokerImage* existing = image.broker(registration.broker);
    metadata::BrokerRegistered record = record_of(registration);
    RegistrationOutcome outcome;
    if (existing != nullptr && existing->incarnation == registration.incarnation) {
        record.epoch = existing->epoch;
        record.fenced = existing->fenced;
        record.in_controlled_shutdown = existing->in_controlled_shutdown;
    } else {
        if (existing != nullptr && has_session(turn.now, registration.broker, existing->epoch))
            return {ErrorCode::duplicate_broker_registration, no_broker_epoch, false, false, {}};
        record.epoch = BrokerEpoch(next_offset);
        outcome.new_incarnation = true;
        outcome.proven = existing != nullptr && existing->epoch == registration.previous_epoch;
        append(outcome.decisions,
               end_incarnation(image, registration.broker, outcome.proven, &turn));
        sessions_.erase(registration.broker);
    }
    outcome.epoch = record.epoch;
    outcome.decisions.push_back({std::move(record), PartitionChangeCause::broker_registered});
    return outcome;
}

HeartbeatOutcome BrokerControl::heartbeat(const Turn& turn, const ClusterImage& image,
                                          const Heartbeat& heartbeat, std::int64_t next_offset) {
    const metadata::BrokerImage* broker = image.broker(heartbeat.broker);
    if (broker == nullptr)
        return {ErrorCode::broker_id_not_registered, false, true, false, false, {}};
    if (broker->epoch != heartbeat.epoch)
        return {ErrorCode::stale_broker_epoch, false, true, false, false, {}};

    HeartbeatOutcome outcome;
    outcome.caught_up = heartbeat.metadata_offset >= broker->registered_at;
    Session session{broker->epoch, turn.now, heartbeat.metadata_offset, -1};
    if (const auto found = sessions_.find(heartbeat.broker); found != sessions_.end())
        session.shutdown_offset = found->second.shutdown_offset;

    if (broker->fenced) {
        outcome.should_shut_down = heartbeat.want_shutdown;
        const bool unfences =
            !heartbeat.want_shutdown && !heartbeat.want_fence && outcome.caught_up;
        if (unfences) outcome.decisions = unfence_broker(image, heartbeat.broker, &turn);
        outcome.fenced = !unfences;
    } else if (broker->in_controlled_shutdown) {
        // Everybody who may lead must have read that this one leads no more.
        outcome.should_shut_down = !image.leads_any(heartbeat.broker) &&
                                   session.shutdown_offset <= lowest_active_offset(image);
        outcome.fenced = outcome.should_shut_down;
        outcome.in_controlled_shutdown = !outcome.should_shut_down;
    } else if (heartbeat.want_fence ||
               (heartbeat.want_shutdown && !image.leads_any(heartbeat.broker))) {
        outcome.should_shut_down = heartbeat.want_shutdown;
    } else {
        outcome.fenced = false;
        outcome.in_controlled_shutdown = heartbeat.want_shutdown;
    }

    if (outcome.in_controlled_shutdown) {
        outcome.decisions = begin_controlled_shutdown(image, heartbeat.broker, &turn);
        if (session.shutdown_offset < 0)
            session.shutdown_offset =
                next_offset + static_cast<std::int64_t>(outcome.decisions.size()) - 1;
    }
    if (outcome.fenced && !broker->fenced)
        outcome.decisions = fence_broker(image, heartbeat.broker, &turn);
    if (outcome.fenced) session.shutdown_offset = -1;
    sessions_[heartbeat.broker] = session;
    return outcome;
}

Decisions BrokerControl::fence_expired(const Turn& turn, const ClusterImage& image) {
    for (auto session = sessions_.begin(); session != sessions_.end();) {
        if (turn.now < session->second.last_contact + session_timeout_) {
            ++session;
            continue;
        }
        const BrokerId id = session->first;
        const metadata::BrokerImage* broker = image.broker(id);
        const bool fences =
            broker != nullptr && !broker->fenced && broker->epoch == session->second.epoch;
        session = sessions_.erase(session);
        if (fences) return fence_broker(image, id, &turn);
    }
    return {};
}

Instant BrokerControl::deadline_min() const {
    Instant least = instant_never;
    for (const auto& [id, session] : sessions_)
        least = std::min(least, session.last_contact + session_timeout_);
    return least;
}

std::int64_t BrokerControl::lowest_active_offset(const ClusterImage& image) const {
    std::int64_t lowest = std::numeric_limits<std::int64_t>::max();
    for (const BrokerId id : active_brokers(image)) {
        const auto found = sessions_.find(id);
        lowest = std::min(lowest, found == sessions_.end() ? -1 : found->second.metadata_offset);
    }
    return lowest;
}

}  // namespace klamm::controller

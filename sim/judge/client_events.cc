// One function a kind of fact; whatever is no client's gives nothing.
#include "sim/judge/client_events.h"

#include <variant>

#include "core/base/assert.h"

namespace klamm::sim {

namespace {

using checkers::Event;
using checkers::Kind;

checkers::Outcome outcome_of(facts::Outcome outcome) {
    switch (outcome) {
        case facts::Outcome::ok: return checkers::Outcome::ok;
        case facts::Outcome::failed: return checkers::Outcome::failed;
        case facts::Outcome::unknown: return checkers::Outcome::unknown;
    }
    KLAMM_UNREACHABLE();
}

void fill(Event& event, const facts::SendInvoked& fact) {
    event.kind = Kind::send_invoked;
    event.operation = fact.operation;
    event.partition = fact.partition;
    event.value = fact.value;
    event.acks = fact.acks;
}
void fill(Event& event, const facts::SendReturned& fact) {
    event.kind = Kind::send_returned;
    event.operation = fact.operation;
    event.outcome = outcome_of(fact.outcome);
    event.offset = fact.offset.value;
}
void fill(Event& event, const facts::PollInvoked& fact) {
    event.kind = Kind::poll_invoked;
    event.operation = fact.operation;
    event.partition = fact.partition;
    event.offset = fact.offset.value;
}
void fill(Event& event, const facts::PollReturned& fact) {
    event.kind = Kind::poll_returned;
    event.operation = fact.operation;
    event.partition = fact.partition;
    event.outcome = outcome_of(fact.outcome);
    event.log_start = fact.log_start.value;
    event.high_watermark = fact.high_watermark.value;
    event.records.reserve(fact.records.size());
    for (const facts::PolledRecord& one : fact.records) {
        event.records.push_back({one.offset.value, one.value});
    }
}
void fill(Event& event, const facts::LatestInvoked& fact) {
    event.kind = Kind::latest_invoked;
    event.operation = fact.operation;
    event.partition = fact.partition;
}
void fill(Event& event, const facts::LatestReturned& fact) {
    event.kind = Kind::latest_returned;
    event.operation = fact.operation;
    event.partition = fact.partition;
    event.outcome = outcome_of(fact.outcome);
    event.epoch = fact.epoch.value;
    event.offset = fact.offset.value;
}

}  // namespace

std::vector<Event> client_events(Instant now, BrokerId client, const facts::Fact& fact) {
    std::vector<Event> events;
    std::visit(
        [&](const auto& one) {
            if constexpr (requires(Event event) { fill(event, one); }) {
                Event event;
                event.time = now.nanoseconds;
                event.client = client.value;
                fill(event, one);
                events.push_back(std::move(event));
            }
        },
        fact);
    const auto* poll = std::get_if<facts::PollReturned>(&fact);
    if (poll != nullptr && poll->reset) {
        Event event;
        event.time = now.nanoseconds;
        event.client = client.value;
        event.operation = poll->operation;
        event.kind = Kind::reset_told;
        event.partition = poll->partition;
        events.push_back(std::move(event));
    }
    return events;
}

}  // namespace klamm::sim

#pragma once
// Brokers: who they are, and whether they live (Kafka's ClusterControlManager and
// BrokerHeartbeatManager). Registrations and fencing are records; sessions are soft state, lost
// with the controller and begun anew by activate().
//
// What always holds: a broker epoch is the metadata offset of its registration; a second
// incarnation is refused while the first has a session; a stop is proven exactly when the
// registration carries the epoch of the one before it (KIP-966, contract I4); a broker is unfenced
// only once it has read the metadata up to its own registration.

#include <map>
#include <optional>

#include "core/base/turn.h"
#include "core/controller/partition_control.h"

namespace klamm::controller {

struct Registration {
    BrokerId broker = no_broker;
    Uuid incarnation;
    BrokerEpoch previous_epoch = no_broker_epoch;  // from the clean-stop marker; -1 without one
    std::vector<metadata::Endpoint> endpoints;
    std::optional<std::string> rack;
    std::vector<Uuid> log_dirs;
};

/// Errors: duplicate_broker_registration, which is retried until the old session is over. `proven`
/// counts only when `new_incarnation`.
struct RegistrationOutcome {
    ErrorCode error = ErrorCode::none;
    BrokerEpoch epoch = no_broker_epoch;
    bool new_incarnation = false;
    bool proven = false;
    Decisions decisions;  // the registration is the last of them
};

struct Heartbeat {
    BrokerId broker = no_broker;
    BrokerEpoch epoch = no_broker_epoch;
    std::int64_t metadata_offset = -1;  // the highest that the broker has applied
    bool want_fence = false;
    bool want_shutdown = false;
};

/// Errors: broker_id_not_registered, stale_broker_epoch.
struct HeartbeatOutcome {
    ErrorCode error = ErrorCode::none;
    bool caught_up = false;
    bool fenced = true;
    bool in_controlled_shutdown = false;
    bool should_shut_down = false;
    Decisions decisions;
};

class BrokerControl {
  public:
    explicit BrokerControl(Duration session_timeout) : session_timeout_(session_timeout) {}

    /// This controller has become the active one: every broker that is not fenced is given a
    /// session that begins now.
    void activate(Instant now, const ClusterImage& image);

    /// `next_offset` is where the next metadata record will lie; it becomes the broker epoch of a
    /// new incarnation.
    RegistrationOutcome register_broker(const Turn& turn, const ClusterImage& image,
                                        const Registration& registration, std::int64_t next_offset);
    /// `next_offset` as above: a controlled shutdown waits until all active brokers have read it.
    HeartbeatOutcome heartbeat(const Turn& turn, const ClusterImage& image,
                               const Heartbeat& heartbeat, std::int64_t next_offset);
    /// Fences one broker whose session is over, if there is one: call it until it gives nothing,
    /// applying in between.
    Decisions fence_expired(const Turn& turn, const ClusterImage& image);

    /// When the next session ends, or instant_never.
    [[nodiscard]] Instant deadline_min() const;
    [[nodiscard]] bool has_session(Instant now, BrokerId broker, BrokerEpoch epoch) const;

    friend bool operator==(const BrokerControl&, const BrokerControl&) = default;

  private:
    struct Session {
        BrokerEpoch epoch = no_broker_epoch;
        Instant last_contact;
        std::int64_t metadata_offset = -1;
        std::int64_t shutdown_offset = -1;  // -1: not in controlled shutdown
        friend bool operator==(const Session&, const Session&) = default;
    };
    /// The least metadata offset that an active broker has read.
    [[nodiscard]] std::int64_t lowest_active_offset(const ClusterImage& image) const;

    Duration session_timeout_;
    std::map<BrokerId, Session> sessions_;
};

}  // namespace klamm::controller

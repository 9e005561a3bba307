#pragma once
// The error codes that metadata, replication and control decide on, by Kafka's names and with the
// values that they have on the wire. A value converts to and from the protocol's own type by its
// number; this list is not complete and is not meant to be.

#include <cstdint>

namespace klamm::metadata {

enum class ErrorCode : std::int16_t {
    unknown_server_error = -1,
    none = 0,
    offset_out_of_range = 1,
    unknown_topic_or_partition = 3,
    not_leader_or_follower = 6,
    request_timed_out = 7,
    not_enough_replicas = 19,
    not_enough_replicas_after_append = 20,
    not_controller = 41,
    invalid_request = 42,
    operation_not_attempted = 55,
    fenced_leader_epoch = 74,
    unknown_leader_epoch = 75,
    stale_broker_epoch = 77,
    offset_not_available = 78,
    preferred_leader_not_available = 80,
    eligible_leaders_not_available = 83,
    election_not_needed = 84,
    invalid_update_version = 95,
    unknown_topic_id = 100,
    duplicate_broker_registration = 101,
    broker_id_not_registered = 102,
    ineligible_replica = 107,
    new_leader_elected = 108,
};

/// The name as it is printed, e.g. "not_enough_replicas".
const char* to_string(ErrorCode code);

}  // namespace klamm::metadata

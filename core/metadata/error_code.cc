#include "core/metadata/error_code.h"

namespace klamm::metadata {

const char* to_string(ErrorCode code) {
    switch (code) {
        case ErrorCode::unknown_server_error: return "unknown_server_error";
        case ErrorCode::none: return "none";
        case ErrorCode::offset_out_of_range: return "offset_out_of_range";
        case ErrorCode::unknown_topic_or_partition: return "unknown_topic_or_partition";
        case ErrorCode::not_leader_or_follower: return "not_leader_or_follower";
        case ErrorCode::request_timed_out: return "request_timed_out";
        case ErrorCode::not_enough_replicas: return "not_enough_replicas";
        case ErrorCode::not_enough_replicas_after_append: return "not_enough_replicas_after_append";
        case ErrorCode::not_controller: return "not_controller";
        case ErrorCode::invalid_request: return "invalid_request";
        case ErrorCode::operation_not_attempted: return "operation_not_attempted";
        case ErrorCode::fenced_leader_epoch: return "fenced_leader_epoch";
        case ErrorCode::unknown_leader_epoch: return "unknown_leader_epoch";
        case ErrorCode::stale_broker_epoch: return "stale_broker_epoch";
        case ErrorCode::offset_not_available: return "offset_not_available";
        case ErrorCode::preferred_leader_not_available: return "preferred_leader_not_available";
        case ErrorCode::eligible_leaders_not_available: return "eligible_leaders_not_available";
        case ErrorCode::election_not_needed: return "election_not_needed";
        case ErrorCode::invalid_update_version: return "invalid_update_version";
        case ErrorCode::unknown_topic_id: return "unknown_topic_id";
        case ErrorCode::duplicate_broker_registration: return "duplicate_broker_registration";
        case ErrorCode::broker_id_not_registered: return "broker_id_not_registered";
        case ErrorCode::ineligible_replica: return "ineligible_replica";
        case ErrorCode::new_leader_elected: return "new_leader_elected";
    }
    return "unlisted";
}

}  // namespace klamm::metadata

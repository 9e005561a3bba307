// InitProducerId without a transactional id: the next id of this shard's block, epoch 0. Blocks
// come from the controller, which never gives one twice. With one it is its coordinator's affair.
#include "core/server/requests.h"

namespace klamm::server {

void Requests::handle_init_producer_id(Incoming request) {
    const auto body =
        protocol::decode<protocol::InitProducerIdRequest>(request.body, request.version);
    if (!body.ok()) return refuse(request, body.error().text);
    if (refused_ != ErrorCode::none) return answer_producer_id(request, refused_, no_producer_id);
    const bool half_named =
        (body->producer_id == no_producer_id) != (body->producer_epoch == no_producer_epoch);
    if (half_named || (body->transactional_id && body->transactional_id->empty()))
        return answer_producer_id(request, ErrorCode::invalid_request, no_producer_id);
    if (body->transactional_id)
        return transactions_.init_producer_id(request, {.id = std::string(*body->transactional_id),
                                                        .timeout_ms = body->transaction_timeout_ms,
                                                        .producer = body->producer_id,
                                                        .epoch = body->producer_epoch});
    if (producer_id_next_ < producer_id_end_) {
        const ProducerId id = producer_id_next_;
        ++producer_id_next_;
        return answer_producer_id(request, ErrorCode::none, id);
    }
    const std::uint64_t id = ++pending_made_;
    const bool first = producer_ids_.empty();
    producer_ids_[id] = {std::move(request)};
    if (first) context_.post(0, ProducerIdsCommand{{context_.env().shard(), id, 0}});
}

void Requests::on(const ProducerIdsOutcome& outcome) {
    if (outcome.error == ErrorCode::none) {
        producer_id_next_ = outcome.first;
        producer_id_end_ = outcome.first + outcome.count;
    }
    // Those that the block does not reach ask again.
    for (auto& [id, pending] : std::exchange(producer_ids_, {})) {
        if (outcome.error != ErrorCode::none) {
            answer_producer_id(pending.request, ErrorCode::coordinator_load_in_progress,
                               no_producer_id);
        } else if (producer_id_next_ < producer_id_end_) {
            answer_producer_id(pending.request, ErrorCode::none, producer_id_next_);
            ++producer_id_next_;
        } else {
            answer_producer_id(pending.request, ErrorCode::coordinator_load_in_progress,
                               no_producer_id);
        }
    }
}

void Requests::answer_producer_id(const Incoming& request, ErrorCode error, ProducerId id) {
    protocol::InitProducerIdResponse response;
    response.error_code = error;
    response.producer_id = id;
    response.producer_epoch = error == ErrorCode::none ? ProducerEpoch(0) : no_producer_epoch;
    answer(request, response);
}

}  // namespace klamm::server

// Produce: each partition's batch is validated once, here, then goes to the shard that holds the
// partition as a view of the frame. acks=0 gets no answer; an error then closes the connection, so
// that the client notices.
#include "core/controller/topic_control.h"
#include "core/record/validate.h"
#include "core/server/requests.h"
#include "core/server/topic_options.h"

namespace klamm::server {

namespace {

record::ValidateOptions validate_options(const config::TopicOptions& topic, std::int16_t version,
                                         Timestamp wall) {
    record::ValidateOptions options;
    options.produce_version = version;
    options.now = wall;
    options.batch_bytes_max = topic.max_message_bytes;
    options.compacted = topic.compacts();
    options.log_append_time =
        topic.message_timestamp_type == config::TimestampType::log_append_time;
    options.timestamp_before_max_ms = topic.message_timestamp_before_max_ms;
    options.timestamp_after_max_ms = topic.message_timestamp_after_max_ms;
    if (topic.compression_type != config::TopicCompression::producer) {
        // uncompressed, gzip, … stand in the order of the codec numbers, one after `producer`.
        options.compression = static_cast<record::Compression>(
            static_cast<std::uint8_t>(topic.compression_type) -
            static_cast<std::uint8_t>(config::TopicCompression::uncompressed));
    }
    return options;
}

/// The batch as the log takes it: the bytes that came, or a copy where the header or the records
/// must change.
Result<Buffer> prepared(const Buffer& produced, const record::Validation& validation,
                        const record::ValidateOptions& options) {
    const Buffer batch = produced.slice(0, validation.batch_bytes);
    const record::BatchView view(batch.view());
    if (validation.must_rebuild) {
        record::RebuildOptions rebuild;
        rebuild.compression = options.compression.value_or(view.compression());
        if (validation.log_append_time) rebuild.log_append_time = options.now;
        auto rebuilt = record::rebuild(view, rebuild);
        if (!rebuilt.ok()) return rebuilt.error();
        return Buffer::from(std::move(*rebuilt));
    }
    if (validation.max_timestamp == view.max_timestamp() &&
        validation.log_append_time == view.is_log_append_time())
        return batch;
    const record::BatchHeader header =
        record::append_header(view, validation, view.base_offset(), view.leader_epoch());
    MutableBuffer copy(batch.size());
    std::memcpy(copy.data(), batch.data(), batch.size());
    std::memcpy(copy.data(), header.data(), header.size());
    return copy.freeze();
}

}  // namespace

void Requests::handle_produce(Incoming request) {
    const auto body = protocol::decode<protocol::ProduceRequest>(request.body, request.version);
    if (!body.ok()) return refuse(request, body.error().text);
    if (body->acks < -1 || body->acks > 1) {
        PendingProduce refused{.request = request, .response = {}, .parts = {}, .acks = body->acks};
        for (const auto& topic : body->topic_data) {
            protocol::ProduceResponseTopic row{
                .name = topic.name, .topic_id = topic.topic_id, .partition_responses = {}};
            for (const auto& partition : topic.partition_data) {
                protocol::ProduceResponsePartition part;
                part.index = partition.index;
                part.error_code = ErrorCode::invalid_required_acks;
                part.base_offset = no_offset;
                row.partition_responses.push_back(part);
            }
            refused.response.responses.push_back(std::move(row));
        }
        return answer(request, refused.response);
    }
    const std::uint64_t id = ++pending_made_;
    PendingProduce& pending = produces_[id];
    pending.request = std::move(request);
    pending.acks = body->acks;
    const Duration timeout = milliseconds(std::max(0, body->timeout_ms));
    for (std::size_t t = 0; t < body->topic_data.size(); ++t) {
        const auto& topic = body->topic_data[t];
        protocol::ProduceResponseTopic row{
            .name = topic.name, .topic_id = topic.topic_id, .partition_responses = {}};
        for (std::size_t p = 0; p < topic.partition_data.size(); ++p) {
            const auto& partition = topic.partition_data[p];
            protocol::ProduceResponsePartition part;
            part.index = partition.index;
            part.base_offset = no_offset;
            const auto found = find(topic.name, topic.topic_id, pending.request.version >= 13,
                                    partition.index, part.error_code);
            const std::size_t number = pending.parts.size();
            pending.parts.push_back({t, p});
            if (found)
                part.error_code = route_produce(id, number, *found, part, partition.records,
                                                timeout, body->transactional_id);
            if (part.error_code != ErrorCode::none) pending.failed = true;
            row.partition_responses.push_back(part);
        }
        pending.response.responses.push_back(std::move(row));
    }
    if (pending.outstanding == 0) finish_produce(id);
}

ErrorCode Requests::route_produce(std::uint64_t id, std::size_t part,
                                  const TopicPartition& partition,
                                  protocol::ProduceResponsePartition& answer,
                                  const protocol::Records& records, Duration timeout,
                                  protocol::NullableString transaction) {
    PendingProduce& pending = produces_.at(id);
    // What groups and transactions keep is the coordinators'; Kafka lets its own administrator in.
    if (controller::is_internal_topic(context_.image->topic(partition.topic)->name) &&
        pending.request.client_id != "__admin_client")
        return ErrorCode::invalid_topic_exception;
    auto options = validate_options(topic_options_.of(context_, partition.topic),
                                    pending.request.version, context_.turn().wall);
    options.decompressor = &decompressor_;
    const record::Validation validation = record::validate(records.bytes, options);
    if (!validation.ok()) {
        // The texts live in the row: the answer is encoded later.
        for (const record::RecordError& error : validation.record_errors)
            answer.record_errors.push_back(
                {.batch_index = error.batch_index, .batch_index_error_message = std::nullopt});
        return validation.error;
    }
    const bool transactional = record::BatchView(records.bytes).is_transactional();
    if (transactional && (!transaction || transaction->empty()))
        return ErrorCode::transactional_id_authorization_failed;
    auto batch = prepared(pending.request.frame.slice_of(records.bytes), validation, options);
    if (!batch.ok()) return ErrorCode::invalid_record;
    if (validation.must_rebuild &&
        batch->size() > static_cast<std::size_t>(options.batch_bytes_max))
        return ErrorCode::message_too_large;
    ++pending.outstanding;
    const ReplyTo reply{context_.env().shard(), id, static_cast<std::uint32_t>(part)};
    if (validation.log_append_time) answer.log_append_time_ms = options.now;
    context_.post(context_.owner_of(partition),
                  ProduceCommand{reply, partition, std::move(*batch), pending.acks, timeout,
                                 transactional ? std::string(*transaction) : std::string(),
                                 pending.request.version});
    return ErrorCode::none;
}

void Requests::on(ProduceOutcome outcome) {
    const auto at = produces_.find(outcome.reply.pending);
    KLAMM_ASSERT(at != produces_.end());
    PendingProduce& pending = at->second;
    const Part part = pending.parts[outcome.reply.part];
    auto& row = pending.response.responses[part.topic].partition_responses[part.partition];
    row.error_code = outcome.error;
    if (outcome.error == ErrorCode::none) {
        row.base_offset = outcome.base_offset;
        row.log_start_offset = outcome.log_start;
    } else {
        pending.failed = true;
        row.log_append_time_ms = no_timestamp;
        if (pending.request.version >= 10 && outcome.error == ErrorCode::not_leader_or_follower)
            row.current_leader = {.leader_id = outcome.leader,
                                  .leader_epoch = outcome.leader_epoch};
    }
    if (--pending.outstanding == 0) finish_produce(at->first);
}

void Requests::finish_produce(std::uint64_t id) {
    const auto row = produces_.extract(id);
    const PendingProduce& pending = row.mapped();
    if (pending.acks != 0) return answer(pending.request, pending.response);
    if (pending.failed)
        refuse(pending.request, "a produce with acks=0 failed");
    else
        inbound_.respond_nothing(context_.env(), pending.request.key);
}

}  // namespace klamm::server

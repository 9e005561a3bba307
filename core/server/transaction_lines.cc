#include "core/server/transaction_lines.h"

#include <algorithm>

#include "core/protocol/messages/add_partitions_to_txn.h"
#include "core/protocol/messages/write_txn_markers.h"
#include "core/replicated/partition_of.h"

namespace klamm::server {

namespace {

constexpr int write_markers_version = 1;
constexpr int add_partitions_version = 5;
constexpr std::uint64_t markers_tag = 0;
constexpr Duration markers_backoff = milliseconds(100);
constexpr std::size_t markers_of_request_max = 1'000;
constexpr std::uint64_t transaction_line = std::uint64_t{1} << 31;  // its draws are its own

}  // namespace

BrokerId TransactionLines::leader_of(const transaction::TopicAndPartition& partition,
                                     bool& there) const {
    const auto topic = context_.image->topic_id(partition.first);
    const metadata::PartitionImage* state =
        topic ? context_.image->partition({*topic, partition.second}) : nullptr;
    there = state != nullptr;
    return there ? state->leader : no_broker;
}

TransactionLines::Line* TransactionLines::line_to(BrokerId broker) {
    const metadata::BrokerImage* image = context_.image->broker(broker);
    if (image == nullptr || image->fenced || image->endpoints.empty()) return nullptr;
    const env::Endpoint endpoint{image->endpoints.front().host, image->endpoints.front().port};
    auto at = lines_.find(broker);
    if (at != lines_.end() && at->second.channel.endpoint() != endpoint) {
        std::vector<net::Sent> sent;
        at->second.channel.close(context_.env(), sent);
        give_back(at->second);
        for (const Question& question : std::exchange(at->second.questions, {}))
            finish(question.command, ErrorCode::network_exception);
        lines_.erase(at);
        at = lines_.end();
    }
    if (at == lines_.end()) {
        net::ChannelOptions options;
        options.request_timeout = milliseconds(context_.settings.options.request_timeout_ms);
        const std::uint64_t entity =
            (static_cast<std::uint64_t>(context_.settings.options.node_id) << 32) |
            transaction_line | (static_cast<std::uint64_t>(broker.value) << 8) |
            context_.env().shard();
        at = lines_
                 .emplace(broker, Line{.broker = broker,
                                       .channel = net::Channel(endpoint, options, entity),
                                       .questions = {},
                                       .asked = {},
                                       .tasks = {}})
                 .first;
    }
    return &at->second;
}

// --- what is asked for

void TransactionLines::on(MarkersCommand command) {
    Task task{std::move(command), {}, {}};
    task.left = task.command.markers.partitions;
    tasks_.emplace(++made_, std::move(task));
    tick();
}

void TransactionLines::on(VerifyCommand command) {
    const BrokerId coordinator = coordinator_of(command.transaction);
    Line* line = coordinator == no_broker ? nullptr : line_to(coordinator);
    if (line == nullptr) return finish(command, ErrorCode::coordinator_not_available);
    const Instant deadline =
        context_.now() + milliseconds(context_.settings.options.request_timeout_ms);
    line->questions.push_back({std::move(command), deadline});
    tick();
}

BrokerId TransactionLines::coordinator_of(std::string_view transactional_id) const {
    const auto topic = context_.image->topic_id(std::string(transaction::transactions_topic));
    const metadata::TopicImage* image = topic ? context_.image->topic(*topic) : nullptr;
    if (image == nullptr || image->partitions.empty()) return no_broker;
    const auto at = image->partitions.find(PartitionIndex(replicated::partition_of(
        transactional_id, static_cast<std::int32_t>(image->partitions.size()))));
    return at == image->partitions.end() ? no_broker : at->second.leader;
}

void TransactionLines::drop_questions(Line& line) {
    std::erase_if(line.questions, [&](const Question& question) {
        const bool here = coordinator_of(question.command.transaction) == line.broker;
        if (here && context_.now() < question.deadline) return false;
        finish(question.command, here ? ErrorCode::network_exception : ErrorCode::not_coordinator);
        return true;
    });
}

void TransactionLines::finish(const VerifyCommand& command, ErrorCode error) {
    context_.post(context_.env().shard(), VerifyOutcome{command.partition, command.group,
                                                        command.guard, command.producer, error});
}

// --- sending

void TransactionLines::tick() {
    retry_due_ = instant_never;
    std::map<BrokerId, std::vector<std::uint64_t>> wanted;
    for (auto task = tasks_.begin(); task != tasks_.end();) {
        for (auto one = task->second.left.begin(); one != task->second.left.end();) {
            bool there = false;
            const BrokerId leader = leader_of(*one, there);
            if (!there) {
                // Of a topic that was deleted nothing is left to end.
                one = task->second.left.erase(one);
                continue;
            }
            // One that has moved meanwhile is asked anew.
            const auto asked = task->second.asked.find(*one);
            if (asked == task->second.asked.end() || asked->second != leader) {
                if (leader == no_broker || line_to(leader) == nullptr) {
                    retry_due_ = context_.now() + markers_backoff;
                } else if (wanted[leader].empty() || wanted[leader].back() != task->first) {
                    wanted[leader].push_back(task->first);
                }
            }
            ++one;
        }
        if (!task->second.left.empty()) {
            ++task;
            continue;
        }
        context_.post(context_.env().shard(),
                      MarkersOutcome{task->second.command.partition,
                                     std::move(task->second.command.markers)});
        task = tasks_.erase(task);
    }
    for (auto& [broker, line] : lines_) {
        std::vector<net::Sent> failed;
        line.channel.tick(context_.env(), failed);
        lost(line, failed);
        drop_questions(line);
        const auto tasks = wanted.find(broker);
        const bool marks =
            tasks != wanted.end() && !line.marking && context_.now() >= line.markers_due;
        if (!marks && line.questions.empty()) continue;
        line.channel.ensure(context_.env());
        while (!line.questions.empty() && line.channel.can_send()) send_question(line);
        if (marks && line.channel.can_send()) send_markers(line, tasks->second);
    }
}

void TransactionLines::send_markers(Line& line, const std::vector<std::uint64_t>& tasks) {
    protocol::WriteTxnMarkersRequest request;
    line.tasks.clear();
    for (const std::uint64_t id : tasks) {
        Task& task = tasks_.at(id);
        const transaction::Markers& of = task.command.markers;
        protocol::WriteTxnMarkersRequestMarker marker;
        marker.producer_id = of.producer;
        marker.producer_epoch = of.epoch;
        marker.transaction_result = of.commit;
        marker.coordinator_epoch = of.coordinator_epoch;
        for (const auto& partition : task.left) {
            bool there = false;
            const auto asked = task.asked.find(partition);
            if (leader_of(partition, there) != line.broker ||
                (asked != task.asked.end() && asked->second == line.broker))
                continue;
            if (marker.topics.empty() || marker.topics.back().name != partition.first)
                marker.topics.push_back({.name = partition.first, .partition_indexes = {}});
            marker.topics.back().partition_indexes.push_back(partition.second);
            task.asked[partition] = line.broker;
        }
        request.markers.push_back(std::move(marker));
        line.tasks.push_back(id);
        if (line.tasks.size() == markers_of_request_max) break;
    }
    line.marking = true;
    line.channel.send(context_.env(), request, write_markers_version, "broker", markers_tag);
}

void TransactionLines::send_question(Line& line) {
    VerifyCommand command = std::move(line.questions.front().command);
    line.questions.pop_front();
    protocol::AddPartitionsToTxnRequest request;
    protocol::AddPartitionsToTxnRequestTransaction one;
    one.transactional_id = command.transaction;
    one.producer_id = command.producer;
    one.producer_epoch = command.epoch;
    one.verify_only = !command.add;
    one.topics.push_back({.name = command.topic, .partitions = {command.partition.partition}});
    request.transactions.push_back(std::move(one));
    const std::uint64_t tag = ++made_;
    line.channel.send(context_.env(), request, add_partitions_version, "broker", tag);
    line.asked.emplace(tag, std::move(command));
}

// --- answers

bool TransactionLines::connected(const env::Connected& event) {
    for (auto& [broker, line] : lines_) {
        if (!line.channel.connected(context_.env(), event)) continue;
        tick();
        return true;
    }
    return false;
}

bool TransactionLines::received(const env::Received& event) {
    for (auto& [broker, line] : lines_) {
        std::vector<net::Answer> answers;
        std::vector<net::Sent> failed;
        if (!line.channel.received(context_.env(), event, answers, failed)) continue;
        for (const net::Answer& answer : answers) answered(line, answer);
        lost(line, failed);
        tick();
        return true;
    }
    return false;
}

bool TransactionLines::closed(const env::Closed& event) {
    for (auto& [broker, line] : lines_) {
        std::vector<net::Sent> failed;
        if (!line.channel.closed(context_.env(), event, failed)) continue;
        lost(line, failed);
        tick();
        return true;
    }
    return false;
}

void TransactionLines::lost(Line& line, const std::vector<net::Sent>& sent) {
    for (const net::Sent& one : sent) {
        if (one.tag != markers_tag) {
            if (auto row = line.asked.extract(one.tag))
                finish(row.mapped(), ErrorCode::network_exception);
            continue;
        }
        line.markers_due = context_.now() + markers_backoff;
        forget_markers(line);
    }
}

/// Whether they were written is not known: they go again.
void TransactionLines::forget_markers(Line& line) {
    line.marking = false;
    for (const std::uint64_t id : std::exchange(line.tasks, {}))
        if (const auto task = tasks_.find(id); task != tasks_.end())
            std::erase_if(task->second.asked,
                          [&](const auto& row) { return row.second == line.broker; });
}

void TransactionLines::give_back(Line& line) {
    for (auto& [tag, command] : std::exchange(line.asked, {}))
        finish(command, ErrorCode::network_exception);
    forget_markers(line);
}

void TransactionLines::answered(Line& line, const net::Answer& answer) {
    if (answer.request.tag == markers_tag)
        take_markers(line, answer);
    else
        take_question(line, answer);
}

void TransactionLines::take_question(Line& line, const net::Answer& answer) {
    auto row = line.asked.extract(answer.request.tag);
    if (row.empty()) return;
    const auto response = protocol::decode_response_frame<protocol::AddPartitionsToTxnResponse>(
        answer.frame, answer.request.api_version, answer.request.correlation);
    ErrorCode error = ErrorCode::unknown_server_error;
    if (response.ok()) {
        error = response->error_code;
        for (const auto& transaction : response->results_by_transaction)
            for (const auto& topic : transaction.topic_results)
                for (const auto& partition : topic.results_by_partition)
                    if (partition.partition_error_code != ErrorCode::none)
                        error = partition.partition_error_code;
    }
    finish(row.mapped(), error);
}

void TransactionLines::take_markers(Line& line, const net::Answer& answer) {
    const std::vector<std::uint64_t> sent = line.tasks;
    forget_markers(line);
    const auto response = protocol::decode_response_frame<protocol::WriteTxnMarkersResponse>(
        answer.frame, answer.request.api_version, answer.request.correlation);
    bool again = !response.ok();
    for (std::size_t i = 0; i < sent.size(); ++i) {
        const auto at = tasks_.find(sent[i]);
        if (at == tasks_.end()) continue;
        Task& task = at->second;
        bool fenced = false;
        if (response.ok() && i < response->markers.size())
            for (const auto& topic : response->markers[i].topics)
                for (const auto& one : topic.partitions) {
                    const transaction::TopicAndPartition partition{std::string(topic.name),
                                                                   one.partition_index};
                    if (one.error_code == ErrorCode::none)
                        task.left.erase(partition);
                    else if (one.error_code == ErrorCode::invalid_producer_epoch ||
                             one.error_code == ErrorCode::transaction_coordinator_fenced)
                        fenced = true;
                    else
                        again = true;
                }
        // A newer coordinator has taken over: what is left is its affair.
        if (fenced) tasks_.erase(at);
    }
    if (again) line.markers_due = context_.now() + markers_backoff;
}

Instant TransactionLines::deadline_min() const {
    Instant first = retry_due_;
    for (const auto& [broker, line] : lines_) {
        for (const Question& question : line.questions) first = std::min(first, question.deadline);
        if (line.channel.in_flight() > 0 || !line.questions.empty() || !tasks_.empty())
            first = std::min(first, line.channel.deadline());
        if (!tasks_.empty() && !line.marking && line.markers_due > context_.now())
            first = std::min(first, line.markers_due);
    }
    return first;
}

}  // namespace klamm::server

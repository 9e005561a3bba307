#pragma once
// What the client sides of groups and of transactions share. A request becomes commands for the
// shards that hold the coordinator's partitions, one row keeps it until all have answered, and then
// whoever derives from this makes the answer of the row.
//
// Always holds: answers of commands come after the turn's part that sent them, never from within;
// a row is gone when it is finished. What a request means is decided by who derives.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "core/net/inbound.h"
#include "core/protocol/frame.h"
#include "core/replicated/partition_of.h"
#include "core/server/context.h"
#include "core/server/incoming.h"

namespace klamm::server {

/// What every row has; `parts` (the answers of commands, in their order) is the deriving row's.
struct PendingRequest {
    protocol::ApiKey api;
    Incoming request;
    std::size_t outstanding = 0;
};

/// `Row` derives from PendingRequest. `Mail` carries a command to a partition of the coordinator's
/// topic.
template <class Row, class Mail>
class CoordinatorRequests {
  public:
    [[nodiscard]] std::size_t waiting() const { return pending_.size(); }

  protected:
    using Command = std::remove_const_t<typename decltype(Mail::command)::element_type>;

    /// Commands of one request, as a caller's number holds.
    static constexpr std::size_t commands_max = 0xffff;

    CoordinatorRequests(Context& context, net::Inbound& inbound, std::string_view topic)
        : context_(context), inbound_(inbound), topic_(topic) {}
    ~CoordinatorRequests() = default;

    virtual void finish(const Row& row) = 0;

    /// Makes a row and has `commands(id, row)` ask what is to be asked.
    template <class Begin>
    void open(protocol::ApiKey api, const Incoming& request, Begin&& commands) {
        const std::uint64_t id = ++pending_made_;
        Row& row = pending_.emplace(id, Row{PendingRequest{api, request}}).first->second;
        commands(id, row);
        if (row.outstanding == 0) end(id);
    }
    /// The same with the request's body: `commands(body, id, row)`. Why it cannot be understood is
    /// in `problem`.
    template <class Request, class Begin>
    void begin(protocol::ApiKey api, const Incoming& request, std::optional<std::string>& problem,
               Begin&& commands) {
        const auto body = protocol::decode<Request>(request.body, request.version);
        if (!body.ok()) {
            problem = body.error().text;
            return;
        }
        open(api, request, [&](std::uint64_t id, Row& row) { commands(*body, id, row); });
    }

    /// Sends a command to the partition of `key`; its answer is the next part.
    void ask(Row& row, std::uint64_t id, std::string_view key, Command command) {
        const auto topic = this->topic();
        const metadata::TopicImage* image = topic ? context_.image->topic(*topic) : nullptr;
        if (image == nullptr || image->partitions.empty() || row.parts.size() > commands_max) {
            row.parts.push_back(refusal(command, ErrorCode::not_coordinator));
            return;
        }
        const auto partitions = static_cast<std::int32_t>(image->partitions.size());
        post(row, id, {*topic, PartitionIndex(replicated::partition_of(key, partitions))},
             std::make_shared<const Command>(std::move(command)));
    }
    /// Sends a command to every partition of the topic that is led here.
    void ask_all(Row& row, std::uint64_t id, Command command) {
        const auto topic = this->topic();
        if (!topic) return;
        const auto shared = std::make_shared<const Command>(std::move(command));
        for (const auto& [index, partition] : context_.image->topic(*topic)->partitions)
            if (partition.leader == context_.self()) post(row, id, {*topic, index}, shared);
    }

    [[nodiscard]] Row& row_of(std::uint64_t id) { return pending_.at(id); }
    /// One command has its answer.
    void settled(std::uint64_t id) {
        if (--row_of(id).outstanding == 0) end(id);
    }
    /// The coordinator's topic; nothing before anybody needed it.
    [[nodiscard]] std::optional<Uuid> topic() const {
        return context_.image->topic_id(std::string(topic_));
    }

    template <class Response>
    void answer(const Incoming& request, const Response& response) {
        inbound_.respond(context_.env(), request.key,
                         net::to_pieces(protocol::encode_response_frame(response, request.version,
                                                                        request.correlation)));
    }

    Context& context_;
    net::Inbound& inbound_;

  private:
    void post(Row& row, std::uint64_t id, const TopicPartition& partition,
              std::shared_ptr<const Command> command) {
        const ReplyTo reply{context_.env().shard(), id,
                            static_cast<std::uint32_t>(row.parts.size())};
        row.parts.emplace_back();
        ++row.outstanding;
        context_.post(context_.owner_of(partition), Mail{reply, partition, std::move(command)});
    }
    void end(std::uint64_t id) {
        const auto row = pending_.extract(id);
        finish(row.mapped());
    }

    std::string_view topic_;
    std::map<std::uint64_t, Row> pending_;
    std::uint64_t pending_made_ = 0;
};

}  // namespace klamm::server

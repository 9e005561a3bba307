#pragma once
// A shard's lines to other brokers for transactions: markers to the leaders of their partitions,
// and questions to coordinators whether a partition is part of a transaction (KIP-890). This broker
// is reached like any other.
//
// What always holds: markers are sent again until each partition's leader of then has answered that
// it is written, or the partition is no more, or a newer coordinator has taken over; a question is
// answered once, an answer that is lost as a network error.

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "core/net/channel.h"
#include "core/server/context.h"

namespace klamm::server {

class TransactionLines {
  public:
    explicit TransactionLines(Context& context) : context_(context) {}

    void on(MarkersCommand command);
    void on(VerifyCommand command);

    bool connected(const env::Connected& event);
    bool received(const env::Received& event);
    bool closed(const env::Closed& event);
    void tick();
    [[nodiscard]] Instant deadline_min() const;

  private:
    struct Task {  // markers of one transaction
        MarkersCommand command;
        std::set<transaction::TopicAndPartition> left;
        std::map<transaction::TopicAndPartition, BrokerId> asked;  // of them, and not answered
    };
    struct Question {
        VerifyCommand command;
        Instant deadline;
    };
    struct Line {
        BrokerId broker;
        net::Channel channel;
        std::deque<Question> questions;                // not sent yet
        std::map<std::uint64_t, VerifyCommand> asked;  // by tag
        bool marking = false;                          // a request with markers is under way
        std::vector<std::uint64_t> tasks;              // whose markers it has
        Instant markers_due{0};                        // not before
    };

    Line* line_to(BrokerId broker);
    /// Who coordinates a transactional id; no_broker when nobody is known to.
    [[nodiscard]] BrokerId coordinator_of(std::string_view transactional_id) const;
    /// Ends questions that wait for a broker which coordinates them no more, or for too long.
    void drop_questions(Line& line);
    void send_markers(Line& line, const std::vector<std::uint64_t>& tasks);
    void send_question(Line& line);
    void answered(Line& line, const net::Answer& answer);
    void take_markers(Line& line, const net::Answer& answer);
    void take_question(Line& line, const net::Answer& answer);
    void lost(Line& line, const std::vector<net::Sent>& sent);
    void finish(const VerifyCommand& command, ErrorCode error);
    void give_back(Line& line);
    void forget_markers(Line& line);
    [[nodiscard]] BrokerId leader_of(const transaction::TopicAndPartition& partition,
                                     bool& there) const;

    Context& context_;
    std::map<BrokerId, Line> lines_;
    std::map<std::uint64_t, Task> tasks_;
    std::uint64_t made_ = 0;
    Instant retry_due_ = instant_never;  // of tasks without a leader
};

}  // namespace klamm::server

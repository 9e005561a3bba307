#pragma once
// One node of the real world that somebody outside of it drives: a runtime of its own, a mailbox in
// which the node leaves what came of each order, and who waits there.
//
// Always: an order that was posted is answered at most once; an assertion that fails in the node's
// turn, where its handler throws, ends that node alone, and whoever waits is told. In a process
// that was forked off, a Hosted does nothing: its threads are not there.

#include <sys/types.h>

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/facts.h"
#include "core/client/fetched.h"
#include "core/protocol/error_code.h"
#include "core/runtime/runtime.h"

namespace klamm::live {

using Patience = std::optional<Duration>;

struct TopicAt {
    std::string topic;
    std::int32_t partition = 0;
    friend auto operator<=>(const TopicAt&, const TopicAt&) = default;
};

struct TakenRecord {
    TopicAt at;
    Offset offset;
    Timestamp timestamp;
    std::optional<Bytes> key;
    Bytes value;
};

/// What a group did to a member: "assigned", "revoked", "lost", "no_offset", "failed", "left".
struct News {
    std::string what;
    std::set<TopicAt> partitions;
    std::int32_t generation = -1;
    protocol::ErrorCode error = protocol::ErrorCode::none;
};

/// What came of one order. What has no meaning for it keeps its default.
struct Done {
    facts::Outcome outcome = facts::Outcome::ok;  // of a send
    protocol::ErrorCode error = protocol::ErrorCode::none;
    Offset offset = no_offset;           // of a record sent, or of a question
    std::vector<TakenRecord> records{};  // of a poll
    std::map<TopicAt, Offset> positions{};
    std::vector<News> news{};  // of a member's poll
};

TakenRecord taken(const TopicAt& at, const client::ConsumedRecord& record);

/// Between the node's thread and whoever asks.
class Mailbox {
  public:
    using Id = std::uint64_t;

    Id next();
    void put(Id id, Done done);
    /// Nobody will ask for this one.
    void forget(Id id);
    /// The node is gone, and this is why.
    void fail(std::string sentence);
    /// What came of an order, waiting for it; nothing when the time is up or the node is gone.
    std::optional<Done> wait(Id id, Duration at_most);
    [[nodiscard]] std::string failure() const;

  private:
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::map<Id, Done> done_;
    std::set<Id> forgotten_;
    Id last_ = 0;
    std::string failure_;
};

/// An order as it is posted to a node.
template <class Order>
struct Letter final : env::Parcel {
    explicit Letter(Order given) : order(std::move(given)) {}
    Order order;
    [[nodiscard]] std::uint64_t digest() const override { return 0; }
};

/// `inner`, whose exceptions are told to `failed` on its thread and end it with status 1.
std::unique_ptr<env::Node> guarded(std::unique_ptr<env::Node> inner,
                                   std::function<void(const char*)> failed);

class Hosted {
  public:
    using Make = std::function<std::unique_ptr<env::Node>(std::shared_ptr<Mailbox>)>;

    /// `make` is called on the node's thread.
    Hosted(const std::string& name, const Make& make);
    /// Ends the node as a killed process would; its connections are closed.
    ~Hosted();
    Hosted(const Hosted&) = delete;
    Hosted& operator=(const Hosted&) = delete;

    template <class Order>
    void post(Order order) {
        if (here()) runtime_->post(node_, std::make_unique<Letter<Order>>(std::move(order)));
    }
    [[nodiscard]] Mailbox& mailbox() { return *mailbox_; }

  private:
    [[nodiscard]] bool here() const;

    std::shared_ptr<Mailbox> mailbox_;
    std::unique_ptr<runtime::Runtime> runtime_;
    runtime::NodeHandle node_{};
    pid_t process_;
};

}  // namespace klamm::live

#include "bindings/live/hosted.h"

#include <unistd.h>

#include <chrono>
#include <exception>

namespace klamm::live {

TakenRecord taken(const TopicAt& at, const client::ConsumedRecord& record) {
    const auto owned = [](const Buffer& from) {
        return Bytes(from.view().begin(), from.view().end());
    };
    TakenRecord one{at, record.offset, record.timestamp, std::nullopt, owned(record.value)};
    if (record.has_key) one.key = owned(record.key);
    return one;
}

Mailbox::Id Mailbox::next() {
    const std::lock_guard lock(mutex_);
    return ++last_;
}

void Mailbox::put(Id id, Done done) {
    const std::lock_guard lock(mutex_);
    if (forgotten_.erase(id) > 0) return;
    done_.insert_or_assign(id, std::move(done));
    changed_.notify_all();
}

void Mailbox::forget(Id id) {
    const std::lock_guard lock(mutex_);
    if (done_.erase(id) == 0) forgotten_.insert(id);
}

void Mailbox::fail(std::string sentence) {
    const std::lock_guard lock(mutex_);
    failure_ = std::move(sentence);
    changed_.notify_all();
}

std::optional<Done> Mailbox::wait(Id id, Duration at_most) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::nanoseconds(at_most.nanoseconds),
                      [&] { return done_.contains(id) || !failure_.empty(); });
    auto found = done_.extract(id);
    if (found.empty()) return std::nullopt;
    return std::move(found.mapped());
}

std::string Mailbox::failure() const {
    const std::lock_guard lock(mutex_);
    return failure_;
}

namespace {

class Guarded final : public env::Node {
  public:
    Guarded(std::unique_ptr<env::Node> inner, std::function<void(const char*)> failed)
        : inner_(std::move(inner)), failed_(std::move(failed)) {}
    void handle(env::Env& env, env::Event event) override {
        if (broken_) return;
        try {
            inner_->handle(env, std::move(event));
        } catch (const std::exception& raised) {
            broken_ = true;
            failed_(raised.what());
            env.stop(1);
        }
    }

  private:
    std::unique_ptr<env::Node> inner_;
    std::function<void(const char*)> failed_;
    bool broken_ = false;
};

}  // namespace

std::unique_ptr<env::Node> guarded(std::unique_ptr<env::Node> inner,
                                   std::function<void(const char*)> failed) {
    return std::make_unique<Guarded>(std::move(inner), std::move(failed));
}

Hosted::Hosted(const std::string& name, const Make& make)
    : mailbox_(std::make_shared<Mailbox>()),
      runtime_(std::make_unique<runtime::Runtime>()),
      process_(::getpid()) {
    runtime::NodeSpec spec;
    spec.name = name;
    spec.log = {};
    spec.factory = [make, mailbox = mailbox_](env::ShardIndex, env::ShardIndex) {
        return guarded(make(mailbox), [mailbox](const char* what) { mailbox->fail(what); });
    };
    node_ = runtime_->add_node(std::move(spec));
    const Status started = runtime_->start();
    KLAMM_ASSERT(started.ok());  // it has no root, by which alone it could fail
}

Hosted::~Hosted() {
    // The threads are the parent's: there is nobody to join, and nothing to close.
    if (!here()) (void)runtime_.release();
}

bool Hosted::here() const { return ::getpid() == process_; }

}  // namespace klamm::live

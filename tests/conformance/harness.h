#pragma once
// A world to try the seam's promises in, simulated or real, behind one face. A test starts scripted
// nodes, runs until they have recorded what it waits for, and compares the records. Nodes of the
// real world run on threads of their own, so everything that a test looks at goes through a
// Recorder.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/env/env.h"

namespace klamm::conformance {

/// What a node has done: lines in order, and named numbers and texts. Any thread.
class Recorder {
  public:
    /// `changed` is called after each change.
    explicit Recorder(std::function<void()> changed) : changed_(std::move(changed)) {}

    void note(std::string line);
    void keep(const std::string& name, std::int64_t number);
    void append(const std::string& name, ByteView bytes);

    [[nodiscard]] std::vector<std::string> lines() const;
    [[nodiscard]] bool has(std::string_view line) const;
    [[nodiscard]] std::optional<std::int64_t> number(const std::string& name) const;
    [[nodiscard]] std::string text(const std::string& name) const;

  private:
    mutable std::mutex mutex_;
    std::function<void()> changed_;
    std::vector<std::string> lines_;
    std::map<std::string, std::int64_t> numbers_;
    std::map<std::string, std::string> texts_;
};

/// What one shard does. With `steps`, the n-th event is given to the n-th step, and events past the
/// last are noted as "unexpected". Else each event goes to its handler, if there is one.
struct Script {
    using Step = std::function<void(env::Env&, env::Event&, Recorder&)>;
    template <class E>
    using Handler = std::function<void(env::Env&, E&, Recorder&)>;

    std::vector<Step> steps;

    Handler<env::Started> started;
    Handler<env::Alarm> alarm;
    Handler<env::ReadDone> read;
    Handler<env::Synced> synced;
    Handler<env::Listed> listed;
    Handler<env::Listening> listening;
    Handler<env::Accepted> accepted;
    Handler<env::Connected> connected;
    Handler<env::Received> received;
    Handler<env::Drained> drained;
    Handler<env::Closed> closed;
    Handler<env::MailArrived> mail;
    Handler<env::Computed> computed;
    Handler<env::StopAsked> stop_asked;
};

/// One shard that follows a script.
class ScriptedNode final : public env::Node {
  public:
    ScriptedNode(Script script, Recorder& record) : script_(std::move(script)), record_(record) {}
    void handle(env::Env& env, env::Event event) override;

  private:
    Script script_;
    Recorder& record_;
    std::size_t events_ = 0;
};

class TestWorld {
  public:
    virtual ~TestWorld() = default;
    [[nodiscard]] virtual std::string_view name() const = 0;
    /// Starts a node, or the next incarnation of the one with this name, killing what runs of it.
    /// Each shard follows a copy of `script`.
    virtual Recorder& start(const std::string& node, Script script, env::ShardIndex shards = 1) = 0;
    virtual void ask_stop(const std::string& node) = 0;
    [[nodiscard]] virtual std::optional<int> status(const std::string& node) = 0;
    /// The host under which a node listens and is reached.
    [[nodiscard]] virtual std::string host(const std::string& node) const = 0;
    /// Lets time pass until `done` holds; false when patience ends first.
    virtual bool run_until(const std::function<bool()>& done) = 0;
};

enum class Kind : std::uint8_t {
    simulated,
    simulated_in_pieces,  // every byte arrives by itself, reads are never cached
    real,
};

std::unique_ptr<TestWorld> make_world(Kind kind);
std::unique_ptr<TestWorld> make_simulated_world(bool in_pieces);
std::unique_ptr<TestWorld> make_real_world();

// Words for results, to compare records by.
std::string word(const Status& status);
template <class T>
std::string word(const Result<T>& result) {
    return result.ok() ? "ok" : to_string(result.failure());
}

/// The bytes of `text` in a buffer.
Buffer buffer(std::string_view text);
/// `size` bytes that differ from place to place.
Bytes pattern(std::size_t size, std::uint64_t seed = 1);
/// The first `size` bytes of a buffer as text.
std::string text_of(const MutableBuffer& bytes, std::size_t size);

}  // namespace klamm::conformance

/// Runs the rest of the test case in each world, as `world`.
#define IN_EACH_WORLD                                                           \
    const auto kind = GENERATE(::klamm::conformance::Kind::simulated,           \
                               ::klamm::conformance::Kind::simulated_in_pieces, \
                               ::klamm::conformance::Kind::real);               \
    const std::unique_ptr<::klamm::conformance::TestWorld> world =              \
        ::klamm::conformance::make_world(kind);                                 \
    INFO("in the world: " << world->name())

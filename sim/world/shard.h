#pragma once
// One shard of a running process, as the world holds it: the node's object, its view of the world
// during a turn, the events that wait for it, and the effects of the turn it is in.
//
// A turn is: begin() sets the moment, the node handles one event, D calls act at once on the disk
// image and add their durations, E calls are put in a row. The world takes the row when the turn
// ends.

#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/world/effects.h"
#include "sim/world/machine.h"

namespace klamm::sim {

class Shard final : public env::Env, public env::Disk, public env::Network, public facts::Facts {
  public:
    Shard(Machine& machine, Process& process, env::ShardIndex index, WorldObserver* observer,
          Plants* plants, const Draws& world_draws);

    // --- Env
    [[nodiscard]] const Turn& turn() const override { return turn_; }
    [[nodiscard]] env::ShardIndex shard() const override { return index_; }
    [[nodiscard]] env::ShardIndex shards() const override;
    env::Disk& disk() override { return *this; }
    env::Network& network() override { return *this; }
    void wake_at(Instant when) override;
    void mail(env::ShardIndex to, env::Mail mail) override;
    void compute(std::unique_ptr<env::Job> job, env::Token token) override;
    void stop(int status) override;
    void log(std::string_view line) override;

    // --- Disk
    Result<env::FileId> open(std::string_view path, env::OpenMode mode) override;
    void close(env::FileId file) override;
    Status mkdir(std::string_view path) override;
    Status write(env::FileId file, std::uint64_t position,
                 std::span<const ByteView> parts) override;
    Status truncate(env::FileId file, std::uint64_t length) override;
    Status rename(std::string_view from, std::string_view to) override;
    Status remove(std::string_view path) override;
    Status allocate(env::FileId file, std::uint64_t length) override;
    Status lock(env::FileId file) override;
    Result<std::uint64_t> length(env::FileId file) override;
    Result<std::uint64_t> space() override;
    Result<std::size_t> read_if_cached(env::FileId file, std::uint64_t position,
                                       MutableByteView out) override;
    void read(env::FileId file, std::uint64_t position, MutableBuffer out,
              env::Token token) override;
    void sync(env::FileId file, env::Token token) override;
    void sync_directory(std::string_view path, env::Token token) override;
    void list(std::string_view path, env::Token token) override;

    // --- Network
    void listen(const env::Endpoint& at, env::ListenerId listener) override;
    env::ConnectionId connect(const env::Endpoint& to) override;
    void receive(env::ConnectionId connection, MutableBuffer into) override;
    void send(env::ConnectionId connection, std::vector<env::Piece> pieces,
              env::Token token) override;
    void close(env::ConnectionId connection) override;

    // --- Facts
    void emit(const facts::Fact& fact) override;

    // --- For the world
    void begin(Instant truth, bool record);
    /// The draws of its turns come from the world's.
    void take_draws(const Draws& world_draws);
    /// Facts of a recorded turn that keeps this many operations of the disk (`cut_inside`: and a
    /// part of the next) and of its effects. A fact holds once the disk operations before it are
    /// done; what one appended that was cut inside is told too: the damage says what of it is not
    /// there. An answer has left when an effect after its fact has.
    void release_facts(std::size_t disk_kept, bool cut_inside, std::size_t effects_kept);

    env::ShardIndex index_;
    Machine& machine_;
    Process& process_;
    WorldObserver* observer_;
    std::unique_ptr<env::Node> node_;
    std::deque<env::Event> waiting_;
    bool busy_ = false;
    bool end_waits_ = false;  // the turn's end fell into a pause
    bool doomed_ = false;     // the process is killed when this turn ends
    bool stuck_ = false;      // in a D call that the disk does not answer
    Duration cost_;           // of the turn
    std::uint64_t turns_ = 0;
    std::vector<Effect> effects_;
    Instant alarm_ = instant_never;        // as the node asked, its own clock
    std::optional<Instant> alarm_asked_;   // by this turn
    Instant alarm_event_ = instant_never;  // true time of the event in the heap
    std::uint64_t alarm_number_ = 0;
    bool alarm_queued_ = false;  // it is due and waits for its turn
    std::uint64_t digest_ = 0;   // of this turn's calls
    std::uint32_t disk_calls_ = 0;
    bool disk_used_ = false;
    std::uint64_t key_;  // of its draws
    std::vector<Instant> mail_last_;
    std::uint64_t mails_ = 0;
    std::uint64_t jobs_ = 0;
    std::uint64_t disk_work_ = 0;

  private:
    void fold(std::uint64_t word) { digest_ = fold64(digest_, word); }
    void fold(std::string_view text) { digest_ = digest64(as_bytes(text), digest_); }
    void spend(std::int64_t nanoseconds);
    [[nodiscard]] InodePointer file(env::FileId file) const;
    [[nodiscard]] bool disk_fails(std::int64_t rate, DrawDomain domain);
    void begin_d(std::uint64_t kind);

    Turn turn_;
    Instant truth_;
    std::uint64_t draw_number_ = 0;  // within the turn
    bool recording_ = false;
    struct HeldFact {
        std::size_t disk_operations;  // before it
        std::size_t effects;
        facts::Fact fact;
    };
    std::vector<HeldFact> held_facts_;
};

}  // namespace klamm::sim

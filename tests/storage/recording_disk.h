#pragma once
// A disk in memory that remembers every operation, so that any state that a power loss may leave
// can be built: of a prefix of the operations, what a finished sync covers is there, and of each
// other unit (512 bytes of a write, a truncate, a name) a chosen subset is.

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/env/env.h"

namespace klamm::tests {

using FileTree = std::map<std::string, Bytes>;  // path → content; directories end in '/'

class RecordingDisk final : public env::Disk {
  public:
    static constexpr std::uint64_t unit_bytes = 512;

    RecordingDisk() = default;
    /// A disk that holds `tree`, durably.
    explicit RecordingDisk(const FileTree& tree);

    Result<env::FileId> open(std::string_view path, env::OpenMode mode) override;
    void close(env::FileId file) override;
    Status mkdir(std::string_view path) override;
    Status write(env::FileId file, std::uint64_t position,
                 std::span<const ByteView> parts) override;
    using env::Disk::write;
    Status truncate(env::FileId file, std::uint64_t length) override;
    Status rename(std::string_view from, std::string_view to) override;
    Status remove(std::string_view path) override;
    Status allocate(env::FileId, std::uint64_t) override { return {}; }
    Status lock(env::FileId) override { return {}; }
    Result<std::uint64_t> length(env::FileId file) override;
    Result<std::uint64_t> space() override { return std::uint64_t{1} << 40; }
    Result<std::size_t> read_if_cached(env::FileId file, std::uint64_t position,
                                       MutableByteView out) override;
    void read(env::FileId file, std::uint64_t position, MutableBuffer out,
              env::Token token) override;
    void sync(env::FileId file, env::Token token) override;
    void sync_directory(std::string_view path, env::Token token) override;
    void list(std::string_view path, env::Token token) override;

    /// The oldest unanswered read, sync or list, answered now; nothing when there is none.
    std::optional<env::Event> answer();
    [[nodiscard]] std::size_t unanswered() const { return asked_.size(); }

    /// The process that asked is gone: nobody is answered, and its handles are closed.
    void forget_asked() {
        asked_.clear();
        open_.clear();
    }

    /// How many changes and finished syncs there were.
    [[nodiscard]] std::size_t operations() const { return operations_.size(); }
    /// Units of the first `prefix` operations that a power loss may keep or lose.
    [[nodiscard]] std::size_t open_units(std::size_t prefix) const;
    /// What a power loss leaves after `prefix` operations, when of the open units those with a true
    /// bit in `kept` (in order) survive.
    [[nodiscard]] FileTree after_power_loss(std::size_t prefix,
                                            const std::vector<bool>& kept) const;
    [[nodiscard]] FileTree cached() const;
    [[nodiscard]] Bytes content(env::FileId file) const;

    /// The n-th fallible call from now on fails with EIO (0: never).
    void fail_call(std::uint64_t n) { fail_in_ = n; }
    /// The next `n` syncs of files fail, and forsake the writes they should have covered.
    void fail_syncs(std::uint64_t n) { failing_syncs_ = n; }
    [[nodiscard]] bool failed() const { return failed_; }
    [[nodiscard]] std::uint64_t calls() const { return calls_; }
    /// Writes that would take all files together past so many bytes fail for want of room.
    void set_capacity(std::uint64_t bytes) { capacity_ = bytes; }
    /// Bytes of all files that have a name or are open.
    [[nodiscard]] std::uint64_t used() const;
    /// Every n-th read_if_cached would block (0: never).
    void block_every(std::uint64_t n) { block_every_ = n; }

  private:
    using Node = std::size_t;  // index of an inode
    struct Operation {
        enum class Kind { write, truncate, name, synced, synced_names, forsaken } kind;
        Node node = 0;
        std::uint64_t position = 0;  // or length
        Bytes bytes{};
        std::string from{};    // name: loses it, unless empty
        std::string to{};      // name: gains it, unless empty
        std::size_t upto = 0;  // synced, forsaken: operations before this one
        std::string directory{};
    };
    struct Asked {
        enum class Kind { read, sync, sync_names, list } kind;
        env::Token token;
        Node node;
        std::uint64_t position;
        MutableBuffer out;
        std::string path;
        std::size_t upto;
    };
    struct State {
        std::map<Node, Bytes> files;
        std::map<std::string, Node> names;
    };

    bool fails();
    static void apply_write(Bytes& file, std::uint64_t position, ByteView bytes);
    static std::string directory_of(const std::string& path);
    void note(Operation operation);
    static void apply(State& state, const Operation& operation);
    [[nodiscard]] std::vector<bool> durable(std::size_t prefix) const;
    [[nodiscard]] static std::size_t units_of(const Operation& operation);

    State start_;
    State now_;
    std::set<Node> directories_;
    Node nodes_ = 0;
    std::map<env::FileId, Node> open_;
    std::uint64_t opened_ = 0;
    std::vector<Operation> operations_;
    std::deque<Asked> asked_;
    std::uint64_t fail_in_ = 0;
    bool failed_ = false;
    std::uint64_t failing_syncs_ = 0;
    std::uint64_t calls_ = 0;
    std::uint64_t block_every_ = 0;
    std::uint64_t capacity_ = UINT64_MAX;
    std::uint64_t cached_reads_ = 0;
};

}  // namespace klamm::tests

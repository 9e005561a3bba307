// How many events a second the world runs: pairs of nodes that echo 100 bytes to one another.
// Prints turns and events a second of CPU time.
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "sim/world/world.h"

namespace {

using namespace klamm;
using namespace klamm::sim;

class Echo final : public env::Node {
  public:
    Echo(std::string name, std::string to, std::uint64_t& turns)
        : name_(std::move(name)), to_(std::move(to)), turns_(turns), buffer_(100) {}

    void handle(env::Env& env, env::Event event) override {
        ++turns_;
        if (std::holds_alternative<env::Started>(event)) {
            if (to_.empty())
                env.network().listen({name_, 1}, env::ListenerId{1});
            else
                (void)env.network().connect({to_, 1});
        } else if (const auto* up = std::get_if<env::Connected>(&event)) {
            env.network().send(up->connection, {Buffer::copy_of(Bytes(100, 7))}, 0);
            env.network().receive(up->connection, buffer_);
        } else if (const auto* in = std::get_if<env::Accepted>(&event)) {
            env.network().receive(in->connection, buffer_);
        } else if (const auto* received = std::get_if<env::Received>(&event)) {
            std::vector<env::Piece> pieces;
            pieces.emplace_back(Buffer::copy_of(buffer_.span().first(received->count)));
            env.network().send(received->connection, std::move(pieces), 0);
            env.network().receive(received->connection, buffer_);
        }
    }

  private:
    std::string name_;
    std::string to_;
    std::uint64_t& turns_;
    MutableBuffer buffer_;
};

}  // namespace

int main(int argc, char** argv) {
    const std::uint64_t pairs = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 20;
    const std::int64_t length = argc > 2 ? std::strtoll(argv[2], nullptr, 10) : 20;
    std::uint64_t turns = 0;
    World world({.seed = 1});
    for (std::uint64_t i = 0; i < pairs; ++i) {
        const std::string server = "server" + std::to_string(i);
        const std::string client = "client" + std::to_string(i);
        for (const bool listens : {true, false}) {
            NodeSpec spec;
            spec.name = listens ? server : client;
            spec.factory = [&turns, listens, server, client](auto, auto) {
                return std::make_unique<Echo>(listens ? server : client, listens ? "" : server,
                                              turns);
            };
            const NodeId node = world.add_node(std::move(spec));
            world.schedule(Instant{listens ? 0 : 10'000'000}, i,
                           [&world, node] { world.start(node); });
        }
    }
    const std::clock_t before = std::clock();
    const bool passed = world.run_for(seconds(length));
    const double spent = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
    std::printf(
        "%llu turns, %llu events, %.3f s CPU: %.2f million turns/s, %.2f million events/s\n",
        static_cast<unsigned long long>(turns), static_cast<unsigned long long>(world.events()),
        spent, static_cast<double>(turns) / spent / 1e6,
        static_cast<double>(world.events()) / spent / 1e6);
    std::printf("hash %016llx\n", static_cast<unsigned long long>(world.hash()));
    return passed ? 0 : 1;
}

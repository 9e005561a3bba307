// The coordinator under random schedules: clients of both protocols, zombies, lost commits,
// takeovers between any two records, appends that fail, time that passes. What must hold is held
// against the log that came of it.

#include <rapidcheck/catch.h>
#include <catch2/catch.hpp>

#include "tests/transaction/bench.h"

using namespace klamm;
using namespace klamm::transaction;

namespace {

struct Client {
    std::string id;
    std::int16_t version = 0;
    ProducerAnswer who{};
    std::optional<Caller> waits{};
    bool begins = false;  // the answer will be of Init
    bool ends = false;    // of End, which may bring an epoch
    bool zombie = false;  // another had the id when it asked
};

/// What an id's records, one after another, must be.
std::string broken(const std::vector<TransactionRecord>& log) {
    std::map<std::string, Transaction> before;
    for (const TransactionRecord& record : log) {
        if (!record.value) {
            before.erase(record.id);
            continue;
        }
        const Transaction& now = *record.value;
        const auto at = before.find(record.id);
        if (at == before.end()) {
            if (now.state != State::empty) return "an id begins with a transaction";
            before.emplace(record.id, now);
            continue;
        }
        const Transaction& was = at->second;
        if (was.producer == now.producer && now.epoch < was.epoch) return "an epoch falls";
        if (was.prepared()) {
            const State must =
                was.state == State::prepare_commit ? State::complete_commit : State::complete_abort;
            if (now.state != must) return "what was decided does not end so";
            if (!now.partitions.empty()) return "what has ended keeps its partitions";
        } else if (now.completed()) {
            return "what was not decided ends";
        } else if (now.prepared() && was.state != State::ongoing &&
                   (now.state == State::prepare_commit || !now.partitions.empty())) {
            return "what has not begun is decided";
        } else if (now.state == State::ongoing && was.state == State::ongoing &&
                   !std::includes(now.partitions.begin(), now.partitions.end(),
                                  was.partitions.begin(), was.partitions.end())) {
            return "a partition leaves its transaction";
        }
        at->second = now;
    }
    return "";
}

class World {
  public:
    World() {
        for (int i = 0; i < 6; ++i)
            clients_.push_back({.id = "tx" + std::to_string(i / 2),
                                .version = static_cast<std::int16_t>(i % 3 == 0 ? 2 : 0)});
    }

    void step() {
        Client& client = clients_[*rc::gen::inRange<std::size_t>(0, clients_.size())];
        switch (*rc::gen::weightedElement<int>(
            {{4, 0}, {10, 1}, {8, 2}, {6, 3}, {6, 4}, {1, 5}, {1, 6}, {1, 7}, {3, 8}})) {
            case 0:
                if (ask(client, init(client.id,
                                     *rc::gen::arbitrary<bool>() ? client.who : ProducerAnswer{})))
                    client.begins = true;
                break;
            case 1:
                ask(client, add(client.id, client.who, {*rc::gen::inRange(0, 3)}, client.version));
                break;
            case 2:
                if (ask(client,
                        end(client.id, client.who, *rc::gen::arbitrary<bool>(), client.version)))
                    client.ends = true;
                break;
            case 3: bench_.write_markers(); break;
            case 4:
                bench_.commit_to(
                    bench_.watermark +
                    *rc::gen::inRange<std::size_t>(0, bench_.log.size() - bench_.watermark + 1));
                break;
            case 5: bench_.pass(seconds(*rc::gen::inRange(1, 40))); break;
            case 6:
                bench_.fail_over(
                    bench_.watermark +
                    *rc::gen::inRange<std::size_t>(0, bench_.log.size() - bench_.watermark + 1));
                break;
            case 7:
                if (bench_.append_error)
                    bench_.append_error.reset();
                else
                    bench_.append_error = ErrorCode::coordinator_not_available;
                break;
            case 8: bench_.commits_at_once = !bench_.commits_at_once; break;
        }
        look();
    }

    void finish() {
        bench_.append_error.reset();
        bench_.commits_at_once = true;
        for (int i = 0; i < 4; ++i) {
            bench_.commit_all();
            bench_.write_markers();
            bench_.pass(seconds(75));
        }
        look();
        for (const auto& [id, known] : bench_.coordinator.log().latest().transactions()) {
            RC_ASSERT(!known.prepared());
            RC_ASSERT(known.state != State::ongoing);
        }
        RC_ASSERT(broken(bench_.log) == "");
        TransactionLog again;
        for (const TransactionRecord& record : bench_.log) {
            const KeyAndValue bytes = encode(record, bench_.settings.version);
            again.apply(**decode(bytes.key, ByteView(*bytes.value)));
        }
        for (const auto& [id, known] : bench_.coordinator.log().latest().transactions()) {
            Transaction kept = known;
            kept.last_epoch = no_producer_epoch;
            RC_ASSERT(again.find(id) != nullptr);
            RC_ASSERT(*again.find(id) == kept);
        }
    }

  private:
    bool ask(Client& client, Command command) {
        if (client.waits) return false;
        client.begins = client.ends = false;
        const auto newest = newest_.find(client.id);
        client.zombie = newest != newest_.end() && older(client.who, newest->second);
        client.waits = bench_.send(std::move(command));
        return true;
    }
    static bool older(const ProducerAnswer& who, const ProducerAnswer& than) {
        if (who.producer != than.producer) return who.producer < than.producer;
        return who.epoch < than.epoch;
    }
    /// Takes the answers, and looks at what is to be sent.
    void look() {
        for (const Markers& one : bench_.markers) {
            const Transaction* known = bench_.coordinator.log().committed().find(one.id);
            RC_ASSERT(known != nullptr);
            // Sent only for what is decided and committed; a repetition may come late.
            if (!known->prepared()) continue;
            RC_ASSERT(one.producer == known->producer && one.epoch == known->epoch);
            RC_ASSERT(one.commit == (known->state == State::prepare_commit));
            RC_ASSERT(one.partitions == known->partitions);
        }
        for (Client& client : clients_) {
            if (!client.waits || bench_.waits(*client.waits)) continue;
            const AnswerBody body = bench_.answers.at(*client.waits);
            bench_.answers.erase(*client.waits);
            client.waits.reset();
            if (const auto* added = std::get_if<PartitionsAnswer>(&body)) {
                if (client.zombie) RC_ASSERT(added->error != ErrorCode::none);
                continue;
            }
            const auto& done = std::get<ProducerAnswer>(body);
            if (done.error != ErrorCode::none) continue;
            if (client.ends) {
                if (client.zombie) RC_FAIL("a zombie has ended a transaction");
                if (client.version >= 2) client.who = done;
            } else if (client.begins) {
                client.who = done;
                // From here on whoever had the id before has it no more.
                auto& newest = newest_[client.id];
                if (older(newest, done)) newest = done;
            }
        }
    }

    Bench bench_;
    std::vector<Client> clients_;
    std::map<std::string, ProducerAnswer> newest_;
};

}  // namespace

TEST_CASE(
    "transaction: under any schedule what is decided ends so, epochs rise, zombies are fenced") {
    rc::prop("the log says so", [] {
        World world;
        for (int i = *rc::gen::inRange(10, 120); i > 0; --i) world.step();
        world.finish();
    });
}

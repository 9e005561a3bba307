// See sockets.h.

#include "core/runtime/sockets.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>
#include <utility>

#include "core/runtime/os_error.h"

namespace klamm::runtime {

namespace {

using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

constexpr std::chrono::milliseconds accept_pause{100};

std::string to_text(const env::Endpoint& at) { return at.host + ":" + std::to_string(at.port); }

/// The address that needs no resolver: a numeric one, or any for "".
std::optional<tcp::endpoint> numeric(const env::Endpoint& at) {
    if (at.host.empty()) return tcp::endpoint(tcp::v4(), at.port);
    SystemError failed;
    const asio::ip::address address = asio::ip::make_address(at.host, failed);
    if (failed) return std::nullopt;
    return tcp::endpoint(address, at.port);
}

bool out_of_descriptors(const SystemError& failed) {
    return failed.value() == EMFILE || failed.value() == ENFILE || failed.value() == ENOBUFS ||
           failed.value() == ENOMEM;
}

void prepare(tcp::socket& socket) {
    SystemError ignored;  // a socket that refuses is found broken at its first use
    socket.set_option(tcp::no_delay(true), ignored);
    socket.native_non_blocking(true, ignored);
}

}  // namespace

Sockets::Sockets(asio::io_context& loop, EventSink& sink, ListenerPorts* shared_ports)
    : loop_(loop), sink_(sink), shared_ports_(shared_ports), resolver_(loop) {}

ConnectionPointer Sockets::find(env::ConnectionId id) const {
    const auto row = connections_.find(static_cast<std::uint64_t>(id));
    return row == connections_.end() ? nullptr : row->second;
}

// --- Listening

void Sockets::listen(const env::Endpoint& at, env::ListenerId id) {
    auto listener = std::make_shared<Listener>(loop_, id);
    const bool is_new = listeners_.emplace(id, listener).second;
    KLAMM_ASSERT(is_new);
    if (const auto endpoint = numeric(at)) {
        opened_listener(listener, *endpoint);
        return;
    }
    resolver_.async_resolve(
        at.host, std::to_string(at.port),
        [this, listener, at](const SystemError& failed, const tcp::resolver::results_type& found) {
            if (failed == asio::error::operation_aborted) return;
            if (failed || found.empty()) {
                listeners_.erase(listener->id);
                sink_.deliver(env::Listening{
                    listener->id,
                    Error{Failure::not_found, to_text(at) + ": the host cannot be resolved"}});
                return;
            }
            // One address: of the older kind if there is one, which every client tries.
            tcp::endpoint chosen = found.begin()->endpoint();
            for (const auto& row : found) {
                if (chosen.address().is_v4()) break;
                chosen = row.endpoint();
            }
            opened_listener(listener, chosen);
        });
}

Result<std::uint16_t> Sockets::bind(Listener& listener, const tcp::endpoint& at) {
    const auto error = [&at](const SystemError& failed) {
        return error_from_errno(failed.value(), "listen at",
                                at.address().to_string() + ":" + std::to_string(at.port()));
    };
    SystemError failed;
    tcp::endpoint endpoint = at;
    std::unique_lock<std::mutex> lock;
    if (shared_ports_ != nullptr) {
        lock = std::unique_lock(shared_ports_->mutex);
        const auto row = shared_ports_->bound.find(listener.id);
        if (at.port() == 0 && row != shared_ports_->bound.end()) endpoint.port(row->second);
    }
    if (listener.acceptor.open(endpoint.protocol(), failed); failed) return error(failed);
    if (listener.acceptor.set_option(tcp::acceptor::reuse_address(true), failed); failed) {
        return error(failed);
    }
    if (shared_ports_ != nullptr) {
        if (listener.acceptor.set_option(ReusePort(true), failed); failed) return error(failed);
    }
    if (listener.acceptor.bind(endpoint, failed); failed) return error(failed);
    if (listener.acceptor.listen(tcp::acceptor::max_listen_connections, failed); failed) {
        return error(failed);
    }
    const std::uint16_t port = listener.acceptor.local_endpoint(failed).port();
    if (failed) return error(failed);
    if (shared_ports_ != nullptr) shared_ports_->bound[listener.id] = port;
    return port;
}

void Sockets::opened_listener(const ListenerPointer& listener, const tcp::endpoint& at) {
    Result<std::uint16_t> port = bind(*listener, at);
    const bool bound = port.ok();
    asio::post(loop_, [this, listener, port = std::move(port)]() mutable {
        sink_.deliver(env::Listening{listener->id, std::move(port)});
    });
    if (bound) {
        accept(listener);
    } else {
        listeners_.erase(listener->id);
    }
}

void Sockets::accept(const ListenerPointer& listener) {
    listener->acceptor.async_accept(
        loop_, [this, listener](const SystemError& failed, tcp::socket socket) {
            if (!listener->acceptor.is_open()) return;
            if (out_of_descriptors(failed)) {
                listener->pause.expires_after(accept_pause);
                listener->pause.async_wait([this, listener](const SystemError& stopped) {
                    if (!stopped && listener->acceptor.is_open()) accept(listener);
                });
                return;
            }
            accept(listener);
            if (failed) return;  // it went away before it was taken
            SystemError gone;
            const tcp::endpoint peer = socket.remote_endpoint(gone);
            if (gone) return;
            prepare(socket);
            auto connection = std::make_shared<Connection>(std::move(socket), next_id());
            connection->phase = Phase::open;
            connections_.emplace(static_cast<std::uint64_t>(connection->id), connection);
            sink_.deliver(
                env::Accepted{listener->id, connection->id,
                              peer.address().to_string() + ":" + std::to_string(peer.port())});
        });
}

// --- Connecting

void Sockets::connect(env::ConnectionId id, const env::Endpoint& to) {
    auto connection = std::make_shared<Connection>(loop_, id);
    connections_.emplace(static_cast<std::uint64_t>(id), connection);
    const auto after = [this, connection](const SystemError& failed, const tcp::endpoint&) {
        if (connection->phase != Phase::connecting) return;
        if (failed) {
            break_now(connection);
        } else {
            connected(connection);
        }
    };
    if (const auto endpoint = numeric(to)) {
        asio::async_connect(connection->socket, std::vector<tcp::endpoint>{*endpoint}, after);
        return;
    }
    resolver_.async_resolve(to.host, std::to_string(to.port),
                            [this, connection, after](const SystemError& failed,
                                                      const tcp::resolver::results_type& found) {
                                if (connection->phase != Phase::connecting) return;
                                if (failed || found.empty()) {
                                    break_now(connection);
                                } else {
                                    asio::async_connect(connection->socket, found, after);
                                }
                            });
}

void Sockets::connected(const ConnectionPointer& connection) {
    prepare(connection->socket);
    connection->phase = Phase::open;
    sink_.deliver(env::Connected{connection->id});
    // What was asked for while connecting.
    if (!connection->lent.empty()) read(connection);
    if (!connection->outbox.empty()) pump(connection);
}

// --- Receiving

void Sockets::receive(env::ConnectionId id, MutableBuffer into) {
    const ConnectionPointer connection = find(id);
    if (connection == nullptr || !connection->alive()) return;
    KLAMM_ASSERT(!into.empty());
    KLAMM_ASSERT(connection->lent.empty());
    connection->lent = std::move(into);
    if (connection->phase == Phase::open) read(connection);
}

void Sockets::read(const ConnectionPointer& connection) {
    Connection& c = *connection;
    if (c.phase != Phase::open || c.reading || c.answering) return;
    KLAMM_ASSERT(!c.lent.empty());
    if (c.staged_begin < c.staged_end) {
        std::size_t count = std::min(c.staged_end - c.staged_begin, c.lent.size());
        std::copy_n(c.staging.data() + c.staged_begin, count, c.lent.data());
        c.staged_begin += count;
        if (c.lent.size() - count >= staging_bytes) {
            // The bulk of a large frame is often there already. An end or a failure of the stream
            // shows again at the next read.
            const ssize_t n = ::recv(c.socket.native_handle(), c.lent.data() + count,
                                     c.lent.size() - count, MSG_DONTWAIT);
            if (n > 0) count += static_cast<std::size_t>(n);
        }
        post_received(connection, count);
        return;
    }
    c.reading = true;
    if (c.lent.size() >= staging_bytes) {
        c.socket.async_receive(
            asio::buffer(c.lent.data(), c.lent.size()),
            [this, connection, lent = c.lent](const SystemError& failed, std::size_t count) {
                connection->reading = false;
                if (connection->phase != Phase::open) return;
                if (failed) return break_now(connection);
                tell_received(connection, count);
            });
        return;
    }
    if (c.staging.empty()) c.staging = MutableBuffer(staging_bytes);
    c.socket.async_receive(asio::buffer(c.staging.data(), c.staging.size()),
                           [this, connection](const SystemError& failed, std::size_t count) {
                               Connection& r = *connection;
                               r.reading = false;
                               if (r.phase != Phase::open) return;
                               if (failed) return break_now(connection);
                               const std::size_t taken = std::min(count, r.lent.size());
                               std::copy_n(r.staging.data(), taken, r.lent.data());
                               r.staged_begin = taken;
                               r.staged_end = count;
                               tell_received(connection, taken);
                           });
}

void Sockets::post_received(const ConnectionPointer& connection, std::size_t count) {
    connection->answering = true;
    asio::post(loop_, [this, connection, count] {
        connection->answering = false;
        if (connection->phase != Phase::gone) tell_received(connection, count);
    });
}

void Sockets::tell_received(const ConnectionPointer& connection, std::size_t count) {
    connection->lent = {};
    sink_.deliver(env::Received{connection->id, count});
}

// --- Sending

void Sockets::send(env::ConnectionId id, std::vector<PinnedPiece> pieces, env::Token token) {
    const ConnectionPointer connection = find(id);
    if (connection == nullptr || !connection->alive()) return;
    connection->outbox.push(std::move(pieces), token);
    if (connection->phase == Phase::open && !connection->pump_asked) {
        connection->pump_asked = true;
        pumps_asked_.push_back(connection);
    }
}

void Sockets::pump_asked() {
    for (const ConnectionPointer& connection : pumps_asked_) {
        connection->pump_asked = false;
        pump(connection);
    }
    pumps_asked_.clear();
}

void Sockets::pump(const ConnectionPointer& connection) {
    Connection& c = *connection;
    if (c.phase != Phase::open || c.waiting_writable) return;
    drained_.clear();
    const Pumped pumped = c.outbox.pump(c.socket.native_handle(), drained_);
    for (const env::Token token : drained_) {
        asio::post(loop_, [this, connection, token] {
            if (connection->phase == Phase::gone) return;
            sink_.deliver(env::Drained{connection->id, token});
        });
    }
    const auto again = [this, connection](const SystemError& failed) {
        connection->waiting_writable = false;
        if (connection->phase != Phase::open) return;
        if (failed) return break_now(connection);
        pump(connection);
    };
    switch (pumped) {
        case Pumped::all: break;
        case Pumped::blocked:
            c.waiting_writable = true;
            c.socket.async_wait(tcp::socket::wait_write, again);
            break;
        case Pumped::paused:
            c.waiting_writable = true;
            asio::post(loop_, [again] { again({}); });
            break;
        case Pumped::broken: break_later(connection); break;
    }
}

// --- The end of a connection

void Sockets::close(env::ConnectionId id) {
    const ConnectionPointer connection = find(id);
    if (connection == nullptr) return;
    if (connection->pump_asked) pump(connection);  // what this turn sent before, as far as it goes
    shut(*connection, Phase::gone);
    connections_.erase(static_cast<std::uint64_t>(id));
}

void Sockets::break_later(const ConnectionPointer& connection) {
    if (!connection->alive()) return;
    shut(*connection, Phase::broken);
    asio::post(loop_, [this, connection] {
        if (connection->phase != Phase::gone) break_now(connection);
    });
}

void Sockets::break_now(const ConnectionPointer& connection) {
    shut(*connection, Phase::gone);
    connections_.erase(static_cast<std::uint64_t>(connection->id));
    sink_.deliver(env::Closed{connection->id});
}

void Sockets::shut(Connection& connection, Phase phase) {
    connection.phase = phase;
    SystemError ignored;
    connection.socket.close(ignored);
    connection.outbox.clear();
    // While a Received is under way its buffer stays lent; else nobody waits for it any more.
    if (!connection.answering) connection.lent = {};
}

void Sockets::close_all() {
    resolver_.cancel();
    for (auto& [id, listener] : listeners_) {
        SystemError ignored;
        listener->acceptor.close(ignored);
        listener->pause.cancel();
    }
    listeners_.clear();
    pumps_asked_.clear();
    for (auto& [id, connection] : connections_) shut(*connection, Phase::gone);
    connections_.clear();
}

}  // namespace klamm::runtime

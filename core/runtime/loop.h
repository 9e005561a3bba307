#pragma once
// Boost.Asio, as the runtime uses it: header only, error codes instead of exceptions.

#include <utility>  // boost/asio/awaitable.hpp of 1.74 uses std::exchange without it

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "core/env/env.h"

namespace klamm::runtime {

namespace asio = boost::asio;
using asio::ip::tcp;
using SystemError = boost::system::error_code;

/// Where the handlers of a loop bring what they have to tell. Called outside of any turn, on the
/// loop's thread.
class EventSink {
  public:
    virtual ~EventSink() = default;
    virtual void deliver(env::Event event) = 0;
};

}  // namespace klamm::runtime

#pragma once
// Result<T>: what may happen in operation, as a value. It holds either a T or an Error, must be
// looked at, and never throws: reading the side that is not there is a bug and fails an assertion.

#include <cstdint>
#include <string>
#include <utility>
#include <variant>

#include "core/base/assert.h"

namespace klamm {

/// The kinds of failure that a caller may want to tell apart.
enum class Failure : std::uint8_t {
    not_found,    // no such file, partition, version
    exists,       // it is there already
    io,           // the disk answered EIO
    no_space,     // ENOSPC
    locked,       // another process holds the lock
    invalid,      // input that violates its format or range
    truncated,    // input that ends too early
    corrupt,      // a checksum does not hold
    unsupported,  // a version, magic or codec that is not served
    limit,        // a named bound is reached
    offline,      // the log directory is out of service
    closed,       // the connection or the file is gone
};

/// The name of a failure as it is printed, e.g. "no_space".
const char* to_string(Failure failure);

struct Error {
    Failure failure;
    std::string text;  // one clear sentence for a person; may be empty
};

template <class T>
class [[nodiscard]] Result {
  public:
    Result(T value)
        : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: implicit by design
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT
    Result(Failure failure) : Result(Error{failure, {}}) {}                    // NOLINT

    [[nodiscard]] bool ok() const { return state_.index() == 0; }
    explicit operator bool() const { return ok(); }

    T& value() & {
        KLAMM_ASSERT(ok());
        return *std::get_if<0>(&state_);
    }
    const T& value() const& {
        KLAMM_ASSERT(ok());
        return *std::get_if<0>(&state_);
    }
    T&& value() && {
        KLAMM_ASSERT(ok());
        return std::move(*std::get_if<0>(&state_));
    }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(*this).value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }

    const Error& error() const {
        KLAMM_ASSERT(!ok());
        return *std::get_if<1>(&state_);
    }
    Failure failure() const { return error().failure; }

  private:
    std::variant<T, Error> state_;
};

struct Unit {
    friend bool operator==(Unit, Unit) = default;
};

/// A Result that carries nothing but its success.
class [[nodiscard]] Status : public Result<Unit> {
  public:
    using Result<Unit>::Result;
    Status() : Result<Unit>(Unit{}) {}
};

}  // namespace klamm

/// Returns the error of `expression` from the enclosing function, else goes on.
#define KLAMM_TRY(expression)                                              \
    do {                                                                   \
        if (auto klamm_try_ = (expression); !klamm_try_.ok()) [[unlikely]] \
            return klamm_try_.error();                                     \
    } while (false)

#pragma once
// What goes wrong on the way from Python, as a C++ exception: main.cc turns it into the exception
// of klamm/_errors.py with that name and the same sentence.

#include <stdexcept>
#include <string>
#include <utility>

#include "core/base/result.h"

namespace klamm::python {

struct Trouble : std::runtime_error {
    Trouble(std::string named, const std::string& sentence)
        : std::runtime_error(sentence), name(std::move(named)) {}
    std::string name;  // of a class of klamm/_errors.py
};

/// What was asked for makes no sense: klamm.Refused.
[[noreturn]] inline void refuse(const std::string& sentence) { throw Trouble("Refused", sentence); }

inline void check(const Status& status) {
    if (!status) refuse(status.error().text);
}
template <class T>
T value_of(Result<T> result) {
    if (!result) refuse(result.error().text);
    return *std::move(result);
}

}  // namespace klamm::python

#pragma once
// Histories as JSON lines (FORMAT.md): one event a line, strict in both directions. What
// write_event gives, read_history takes back unchanged; whatever else is refused with the line, the
// key and what was expected there.

#include <functional>
#include <string>
#include <string_view>

#include "checkers/history.h"
#include "core/base/result.h"

namespace klamm::checkers {

/// One event as a line of JSON with its newline; only the keys that its kind has.
std::string write_event(const Event& event);

/// The whole history, one line an event.
std::string write_history(const History& history);

/// Calls `take` for each event in order, with one Event that is used again, so that a history that
/// does not fit into memory can be judged. Errors as of read_history; events before them are taken.
Status read_events(std::string_view text, const std::function<void(const Event&)>& take);

/// Reads what write_history gives; empty lines are skipped. Failure::invalid names line, key and
/// what was expected, e.g. `line 3, key "offset": expected an integer, found "x"`.
Result<History> read_history(std::string_view text);

}  // namespace klamm::checkers

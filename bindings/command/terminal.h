#pragma once
// What a terminal is told besides the text itself: a line that renews itself while work is long,
// and colour where it helps to find the verdict. Neither where the output is not a terminal.

#include <string>
#include <string_view>

#include "bindings/command/commands.h"

namespace klamm::command {

/// A line on a terminal that renews itself; nothing elsewhere.
class ProgressLine {
  public:
    explicit ProgressLine(const Console& console) : console_(console) {}
    ~ProgressLine() { clear(); }
    ProgressLine(const ProgressLine&) = delete;
    ProgressLine& operator=(const ProgressLine&) = delete;
    void show(const std::string& text);
    void clear();

  private:
    const Console& console_;
    bool shown_ = false;
};

/// A report with its verdict in green or red, its violations in red and its replay line in bold,
/// when the console has colour; else as it is. Nothing but colour is added.
std::string painted(const Console& console, std::string_view report);

}  // namespace klamm::command

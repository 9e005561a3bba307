#pragma once
// The command `klamm`: from words to what is run, printed and returned. The logic lives in sim/run
// and checkers; here are names, texts and exit statuses.
//
// Exit status: 0 passed, 1 safety, 2 liveness, 3 crash, 4 harness error, 5 usage.

#include <functional>
#include <span>
#include <string_view>

#include "core/base/result.h"
#include "sim/run/plan.h"

namespace klamm::command {

/// Where a command prints, and what it may ask of its surroundings.
struct Console {
    std::function<void(std::string_view)> out;
    std::function<void(std::string_view)> err;
    bool progress = false;                     // err is a terminal: a line that renews itself
    bool colour = false;                       // out is a terminal that is to have colour
    std::function<bool()> interrupted;         // ctrl-C was pressed; may be empty
    std::string_view self = "/proc/self/exe";  // this executable, for runs in processes anew
};

/// Runs `klamm WORDS...` and returns its exit status.
int run_command(std::span<const std::string_view> words, const Console& console);

using Words = std::span<const std::string_view>;
int sim_command(Words words, const Console& console);
int replay_command(Words words, const Console& console);
int shrink_command(Words words, const Console& console);
int diverge_command(Words words, const Console& console);
int swarm_command(Words words, const Console& console);
int zoo_command(Words words, const Console& console);
int check_command(Words words, const Console& console);
int why_command(Words words, const Console& console);
int scenario_command(Words words, const Console& console);
int dump_log_command(Words words, const Console& console);
int distance_command(Words words, const Console& console);
int record_command(Words words, const Console& console);

/// The plan that a token names, of either kind.
Result<sim::RunPlan> plan_of_token(std::string_view token);

/// "klamm sim: ..." on err; the exit status of wrong usage.
int complain(const Console& console, std::string_view command, std::string_view sentence);

}  // namespace klamm::command

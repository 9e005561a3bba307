// The executable: its words, its streams and its signals, handed to run_command.
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "bindings/command/commands.h"

namespace {

volatile sig_atomic_t interrupts = 0;

/// The first ctrl-C asks for what was found so far; the second ends the process.
void on_interrupt(int) {
    interrupts = interrupts + 1;
    if (interrupts > 1) ::_exit(130);
}

/// As no-color.org has it: NO_COLOR, set to anything but nothing, means no colour.
bool wants_colour() {
    const char* no_colour = ::getenv("NO_COLOR");
    const char* terminal = ::getenv("TERM");
    return ::isatty(STDOUT_FILENO) == 1 && (no_colour == nullptr || *no_colour == 0) &&
           (terminal == nullptr || std::string_view(terminal) != "dumb");
}

void print(std::FILE* stream, std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stream);
    std::fflush(stream);
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string_view> words(argv + 1, argv + argc);
    klamm::command::Console console;
    console.out = [](std::string_view text) { print(stdout, text); };
    console.err = [](std::string_view text) { print(stderr, text); };
    console.progress = ::isatty(STDERR_FILENO) == 1;
    console.colour = wants_colour();
    console.interrupted = [] { return interrupts > 0; };
    const bool searches =
        !words.empty() && (words[0] == "swarm" || words[0] == "zoo" || words[0] == "shrink" ||
                           words[0] == "why" || words[0] == "record");
    if (searches) {
        struct sigaction action {};
        action.sa_handler = on_interrupt;
        ::sigaction(SIGINT, &action, nullptr);
    }
    const int status = klamm::command::run_command(words, console);
    if (std::ferror(stdout) == 0) return status;
    print(stderr, "klamm: standard output cannot be written\n");
    return status == 0 ? 4 : status;
}

// The form of a catalogue of goals, as tables.

#include <array>

#include "sim/scenario/spec.h"
#include "sim/scenario/words.h"

namespace klamm::sim {

const ObjectSpec& goals_spec() {
    static const std::array goal_keys{
        KeySpec{"name", Form::text, "a short one, given once", true},
        KeySpec{"says", Form::text, "what it is and why it matters, for a person", true},
        KeySpec{"kind", Form::choice,
                "reachable: its moment comes in some run. sometimes: some run ends with its counts "
                "within their bounds. always: every run does, and there is one",
                true, nullptr, goal_words},
        KeySpec{
            "moment", Form::object,
            "of `reachable`: what must come. Else: only runs in which it comes are asked; all if "
            "absent. Whom it names by a role: drawn clusters are of any size",
            false, &moment_spec()},
        KeySpec{
            "counts", Form::bounds,
            "of `sometimes` and `always`: what must be so at the end of one run, all at once. By "
            "the names of the report, or `promised`, `stranded`, `lost.O1` to `lost.O5`, "
            "`avoidable.O1` to `avoidable.O5`, `fired.` and a kind of fault"},
        KeySpec{"after_runs",
                Form::integer,
                "a swarm of so many runs must have reached it; as the catalogue says if absent",
                false,
                nullptr,
                {},
                1},
    };
    static const ObjectSpec goal_spec{"a goal of runs", "Something that a swarm must reach.",
                                      goal_keys};

    static const std::array catalogue_keys{
        KeySpec{"says", Form::text, "what the catalogue is for, for a person", true},
        KeySpec{"after_runs",
                Form::integer,
                "a swarm of so many runs that has not reached a goal fails",
                true,
                nullptr,
                {},
                1},
        KeySpec{"goals", Form::objects, "in any order", true, &goal_spec},
    };
    static const ObjectSpec catalogue_spec{"a catalogue of goals",
                                           "What runs must reach, together, to mean anything.",
                                           catalogue_keys};
    return catalogue_spec;
}

}  // namespace klamm::sim

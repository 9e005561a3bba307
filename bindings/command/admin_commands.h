#pragma once
// The commands `klamm topics` and `klamm configs`: what kafka-topics.sh and kafka-configs.sh do,
// under their options' names, for machines without Java.

#include "bindings/command/commands.h"

namespace klamm::command {

/// Exit status: 0 when all was done; 1 when the cluster refused or did not answer, with a sentence
/// on stderr; 2 for wrong words.
int topics_command(Words words, const Console& console);
int configs_command(Words words, const Console& console);

}  // namespace klamm::command

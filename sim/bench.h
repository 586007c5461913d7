#pragma once
// The answers of bench mode, built once: the size and shape of ordinary GPT answers, no work per
// call.
#include "sim/world.h"

namespace belay::sim {

[[nodiscard]] BenchReply build_bench(const Scenario& scenario);

}  // namespace belay::sim

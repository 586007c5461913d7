#pragma once
// POST /chat/completions, answering side: an Answer in the flavour of the model's family, plain or
// as a stream. The quirks of the call decide every deviation from the OpenAI shape.
#include "sim/capi.h"

namespace belay::sim {

[[nodiscard]] Reply render_chat(Call& call, const Ask& ask, const Answer& answer);

}  // namespace belay::sim

#pragma once
// POST /v1/messages, answering side: the message object and its event stream.
#include "sim/capi.h"

namespace belay::sim {

[[nodiscard]] Reply render_messages(Call& call, const Ask& ask, const Answer& answer);

}  // namespace belay::sim

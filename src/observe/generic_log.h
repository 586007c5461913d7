#pragma once
// A finished request as LiteLLM's logging payload (LiteLLM docs, "Logging payload"), for the
// generic_api callback. Texts of prompts and replies are never in it.
#include <string>

#include "observe/hub.h"

namespace belay::observe {

// One JSON object. `hide_keys` leaves out who called (redact_user_api_key_info).
[[nodiscard]] std::string render_log(const Heard& heard, const Names& names, bool hide_keys);

}  // namespace belay::observe

#pragma once
// POST /responses, answering side: the response object and its event stream, with the upstream's
// habit of giving every mention of an item (and of the response) another id.
#include "sim/capi.h"

namespace belay::sim {

[[nodiscard]] Reply render_responses(Call& call, const Ask& ask, const Answer& answer);

// About 400 base64 characters; recognisable later as issued here.
[[nodiscard]] std::string make_item_id(const State& state, Random& random);
[[nodiscard]] bool is_item_id(const State& state, std::string_view id);

}  // namespace belay::sim

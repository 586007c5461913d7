#pragma once
// Deployments as /model/info and /model_group/info show them, from the routing table in use and the
// entities that were added at run time. Nothing secret is in them.
#include <string_view>
#include <vector>

#include "admin/call.h"
#include "routing/table.h"

namespace belay::admin {

// Every deployment once, wildcards as patterns: {model_name, litellm_params, model_info}.
[[nodiscard]] std::vector<Value> deployment_rows(const Call& call);
// Whether the caller may ask for the row's model; a team's own model is for that team.
[[nodiscard]] bool may_use(const Call& call, const Value& row);
// One row for each group that the caller may ask for; patterns are shown as what they stand for.
[[nodiscard]] std::vector<Value> group_rows(const Call& call);

// US$ for one token, as a JSON number without rounding: "2.5e-07".
[[nodiscard]] Value usd_per_token(PricePerMillion price);

}  // namespace belay::admin

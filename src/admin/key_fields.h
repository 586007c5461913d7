#pragma once
// What a key says: the members of its row, the body of generate and update.
#include "admin/families.h"

namespace belay::admin {

inline constexpr Field kKeyFields[] = {
    {"key_alias", Type::text, "a name for people; unique"},
    {"models", Type::list, "models it may call; empty = all that its team and user may", "[]"},
    {"aliases", Type::map, "asked name to model", "{}"},
    {"config", Type::map, "kept for clients", "{}"},
    {"user_id", Type::text, "whose it is"},
    {"team_id", Type::text, "the team that it belongs to"},
    {"organization_id", Type::text, "the organization that it belongs to"},
    {"project_id", Type::text, "kept for clients"},
    {"agent_id", Type::text, "kept for clients"},
    {"budget_id", Type::text, "a budget whose limits hold where the key has none"},
    {"budget_limits", Type::list, "further budgets: [{budget_duration, max_budget}]"},
    {"budget_fallbacks", Type::map, "model to models when its own budget is spent"},
    {"throttle_on_budget_exceeded", Type::boolean, "slow down instead of refusing"},
    {"model_rpm_limit", Type::map, "model to requests a minute"},
    {"model_tpm_limit", Type::map, "model to tokens a minute"},
    {"rpm_limit_type", Type::text, "how team limits are shared", "", false,
     "guaranteed_throughput|best_effort_throughput|dynamic"},
    {"tpm_limit_type", Type::text, "how team limits are shared", "", false,
     "guaranteed_throughput|best_effort_throughput|dynamic"},
    {"mcp_rpm_limit", Type::map, "kept for clients"},
    {"tag_rpm_limit", Type::map, "kept for clients"},
    {"metadata", Type::map, "anything", "{}"},
    {"permissions", Type::map, "switches", "{}"},
    {"allowed_routes", Type::list, "paths, patterns ending in *, or group names; empty = by role",
     "[]"},
    {"allowed_passthrough_routes", Type::list, "kept for clients"},
    {"allowed_cache_controls", Type::list, "cache controls it may use", "[]"},
    {"guardrails", Type::list, "kept for clients"},
    {"policies", Type::list, "kept for clients", "[]"},
    {"prompts", Type::list, "kept for clients"},
    {"enforced_params", Type::list, "kept for clients"},
    {"router_settings", Type::map, "router settings of its requests"},
    {"object_permission", Type::map, "kept for clients"},
    {"access_group_ids", Type::list, "access groups whose models it may call", "[]"},
    {"blocked", Type::boolean, "refused while set"},
    {"auto_rotate", Type::boolean, "kept for clients", "false"},
    {"rotation_interval", Type::duration, "kept for clients"},
    {"disable_global_guardrails", Type::boolean, "kept for clients"},
    {"max_premium_requests", Type::number, "premium requests that may be spent in one window"},
    {"max_credits", Type::number, "AI credits that may be spent in one window"},
    {"store_prompts_in_spend_logs", Type::boolean, "keep its prompts and replies, or never"},
};
// Said when it is made or changed, shown elsewhere in the row.
inline constexpr Field kKeyOrders[] = {
    {"duration", Type::duration, "how long it lives; null or -1 = for ever"},
    {"spend", Type::number, "what it has spent already, US$"},
    {"tags", Type::list, "added to every request; stored in metadata.tags"},
    {"key_type", Type::text, "a preset of allowed_routes", "", false,
     "default|llm_api|management|read_only"},
    {"send_invite_email", Type::boolean, "accepted; no mail is sent"},
};
inline constexpr Field kKeyState[] = {
    {"key_name", Type::text, "the key's last four characters"},
    {"spend", Type::number, "US$ spent in the running window", "0.0"},
    {"expires", Type::time, "when it ends; null = never"},
    {"budget_reset_at", Type::time, "end of the running window"},
    {"rotation_count", Type::integer, "how often it was regenerated", "0"},
    {"last_rotation_at", Type::time, "when it was last regenerated"},
};

}  // namespace belay::admin

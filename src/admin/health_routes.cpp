// What belongs to /health besides the checks that need no key, and small answers that dashboards
// ask for at their start.
#include <array>

#include "admin/call.h"
#include "admin/families.h"

namespace belay::admin {
namespace {

Result<Value> backlog(Call& call) {
    const size_t n = call.services.requests_in_flight ? call.services.requests_in_flight() : 0;
    return Value::object({{"in_flight_requests", Value(static_cast<int64_t>(n))}});
}

// By what the router has learned: a probe would spend the user's quota.
Result<Value> latest(Call& call) {
    Value checks = Value::object();
    const auto table = call.services.table ? call.services.table() : nullptr;
    for (const auto& d : table ? table->deployments : decltype(table->deployments)()) {
        const bool rests = call.services.is_cooling && call.services.is_cooling(d->id);
        checks.set(d->id, Value::object({{"model_name", Value(d->group)},
                                         {"model_id", Value(d->id)},
                                         {"status", rests ? "unhealthy" : "healthy"},
                                         {"checked_at", Value(call.now)}}));
    }
    const auto total = static_cast<int64_t>(checks.size());
    return Value::object(
        {{"latest_health_checks", std::move(checks)}, {"total_models", Value(total)}});
}

Result<Value> license(Call& call) {
    (void)call;
    return Value::object({{"has_license", Value(false)},
                          {"license_type", Value()},
                          {"premium_user", Value(true)},
                          {"message", "every feature is free"}});
}

Result<Value> ui_config(Call& call) {
    return Value::object({{"server_root_path", Value(call.settings->root_path)},
                          {"proxy_base_url", Value()},
                          {"auto_redirect_to_sso", Value(false)},
                          {"admin_ui_disabled", Value(false)},
                          {"sso_configured", Value(false)},
                          {"hide_default_credentials_hint", Value(true)},
                          {"is_control_plane", Value(false)},
                          {"workers", Value::array()}});
}

Result<Value> model_cost_map(Call& call) {
    return Value::object({{"message",
                           "Prices are shipped with the program and kept current by "
                           "the upstream's catalogue"},
                          {"status", "success"},
                          {"models_count", Value(0)},
                          {"timestamp", Value(call.now)}});
}

}  // namespace

std::span<const Route> health_routes() {
    static const std::array made = {
        Route{"GET", "/health/backlog", "", "health_backlog", "health", "Requests running now",
              kAdminsRead, backlog},
        Route{"GET", "/health/latest", "", "health_latest", "health",
              "Each deployment's state, as the router knows it", kAdminsRead, latest},
        Route{"GET", "/health/license", "", "health_license", "health",
              "There is no license to buy", kPeople, license},
        Route{"GET",
              "/.well-known/litellm-ui-config",
              "/litellm/.well-known/litellm-ui-config",
              "ui_config",
              "health",
              "What a dashboard asks before signing in",
              kAll,
              ui_config,
              Effect::reads,
              {},
              {},
              Access::open},
        Route{"POST", "/reload/model_cost_map", "", "reload_model_cost_map", "health",
              "Accepted: prices need no reload", kAdmin, model_cost_map},
    };
    return made;
}

}  // namespace belay::admin

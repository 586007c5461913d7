#pragma once
// The families of routes, one file each; schema.cpp strings them together. The tables of fields
// that several families share stand here too.
#include <array>
#include <span>

#include "admin/schema.h"

namespace belay::admin {

std::span<const Route> key_routes();
std::span<const Route> user_routes();
std::span<const Route> team_routes();
std::span<const Route> organization_routes();
std::span<const Route> customer_routes();
std::span<const Route> budget_routes();
std::span<const Route> tag_routes();
std::span<const Route> model_routes();
std::span<const Route> credential_routes();
std::span<const Route> access_group_routes();
std::span<const Route> spend_routes();
std::span<const Route> global_spend_routes();
std::span<const Route> spend_report_routes();
std::span<const Route> activity_routes();
std::span<const Route> config_routes();
std::span<const Route> fallback_routes();
std::span<const Route> health_routes();
std::span<const Route> login_routes();
std::span<const Route> invitation_routes();
std::span<const Route> audit_routes();
std::span<const Route> account_routes();
std::span<const Route> connect_routes();
std::span<const Route> service_routes();

inline constexpr std::array kFamilies = {
    &key_routes,        &user_routes,         &team_routes,         &organization_routes,
    &customer_routes,   &budget_routes,       &tag_routes,          &model_routes,
    &credential_routes, &access_group_routes, &spend_routes,        &global_spend_routes,
    &activity_routes,   &config_routes,       &fallback_routes,     &health_routes,
    &login_routes,      &invitation_routes,   &audit_routes,        &account_routes,
    &connect_routes,    &service_routes,      &spend_report_routes,
};

// What a budget says; null clears.
inline constexpr Field kLimitFields[] = {
    {"max_budget", Type::number, "US$ that may be spent in one window"},
    {"soft_budget", Type::number, "US$ at which an alert is sent; never refuses"},
    {"budget_duration", Type::duration, "length of the window: 30s, 30m, 24h, 7d, 1mo"},
    {"tpm_limit", Type::integer, "tokens a minute", "", false, "", 0},
    {"rpm_limit", Type::integer, "requests a minute", "", false, "", 0},
    {"max_parallel_requests", Type::integer, "requests running at once", "", false, "", 0},
    {"model_max_budget", Type::map, "model to {budget_limit, time_period}", "{}"},
};

// What every row says about its own making.
inline constexpr Field kStamps[] = {
    {"created_at", Type::time, "when it was made"},
    {"created_by", Type::text, "who made it"},
    {"updated_at", Type::time, "when it was last changed"},
    {"updated_by", Type::text, "who last changed it"},
};

// Pages.
inline constexpr int64_t kPagesMost = 10'000'000;

extern const Fields kKeyRow;
extern const Fields kUserRow;
extern const Fields kTeamRow;

}  // namespace belay::admin

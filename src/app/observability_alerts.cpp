// What alerts are made of: budgets as they stand, the Copilot account, models that all rest.
#include <map>

#include "app/observability.h"
#include "observe/watch.h"

namespace belay::app {
namespace {

using governance::ScopeKind;

}  // namespace

std::vector<observe::BudgetStanding> Observability::budgets_of(const std::string& key,
                                                               const std::string& end_user) const {
    const governance::Directory& directory = needs_.directory;
    const int64_t now_ms = unix_millis(system_clock().wall());
    std::vector<observe::BudgetStanding> out;
    const auto caller = key.empty() ? directory.master() : directory.caller(key);
    const auto add = [&](const governance::Scope& scope) {
        const governance::Limits& limits = scope.limits;
        if (!scope.budgets_apply || (limits.budgets.empty() && !limits.soft_budget)) {
            return;
        }
        observe::BudgetStanding b;
        b.kind = scope.kind;
        b.id = scope.kind == ScopeKind::key ? shown_key(scope.id) : scope.id;
        b.shown = scope.shown.empty() ? scope.id : scope.shown;
        b.spent = needs_.governor.standing(scope.kind, scope.id).spent;
        b.soft = limits.soft_budget;
        if (!limits.budgets.empty()) {
            b.most = limits.budgets.front().most_at(now_ms);
            b.resets_at_ms = limits.budgets.front().reset_at_ms;
        }
        if (caller != nullptr && scope.kind != ScopeKind::customer) {
            b.user_id = caller->user_id;
            b.user_email = caller->user_email;
            b.team_id = caller->team_id;
            b.team_alias = caller->team_alias;
            b.organization_id = caller->organization_id;
            if (scope.kind == ScopeKind::key) {
                b.key_alias = caller->key_alias;
            }
        }
        out.push_back(std::move(b));
    };
    if (caller != nullptr) {
        for (const auto& scope : caller->scopes) {
            add(scope);
        }
    }
    if (!end_user.empty()) {
        if (const auto customer = directory.customer(end_user)) {
            add(*customer);
        }
    }
    return out;
}

observe::WatchPorts Observability::watch_ports() {
    observe::WatchPorts ports;
    ports.budgets = [this](const std::string& key, const std::string& end_user) {
        return budgets_of(key, end_user);
    };
    ports.account = [this] {
        observe::AccountStanding out;
        const auto view = needs_.account();
        if (view == nullptr) {
            return out;
        }
        out.needs_login =
            view->phase == accounts::Phase::needs_login || view->phase == accounts::Phase::refused;
        out.problem = view->problem.title;
        for (const auto& quota : view->quotas) {
            if (!quota.unlimited && !quota.placeholder && quota.entitlement > 0) {
                out.allowances.push_back(
                    {quota.id, quota.remaining, quota.entitlement, quota.percent_remaining,
                     accounts::describe_quota(quota),
                     quota.reset_at == Wall::min() ? 0 : unix_seconds(quota.reset_at)});
            }
        }
        return out;
    };
    ports.resting_groups = [this] {
        std::map<std::string, bool> all_rest;
        const auto table = needs_.table();
        const Mono now = system_clock().mono();
        for (const auto& deployment : table->deployments) {
            if (!deployment->from_wildcard) {
                const bool rests = needs_.health.look(*deployment, now).cooling;
                const auto at = all_rest.emplace(deployment->group, true).first;
                at->second = at->second && rests;
            }
        }
        std::vector<std::string> out;
        for (const auto& [group, rest] : all_rest) {
            if (rest) {
                out.push_back(group);
            }
        }
        return out;
    };
    ports.ledger_failing = [this] { return needs_.ledger.stats().failing; };
    return ports;
}

}  // namespace belay::app

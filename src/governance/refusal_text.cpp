#include "governance/refusal_text.h"

#include <algorithm>

#include "base/clock.h"

namespace belay::governance {
namespace {

constexpr int64_t kRetryMax = 60;

// "Key=ci (sk-...wxyz)", "Team=t1", "User=u1 in Team=t1"; "" for the whole proxy.
std::string who(const Scope& scope) {
    const auto named = [&](std::string_view name) { return std::string(name) + "=" + scope.shown; };
    switch (scope.kind) {
        case ScopeKind::key:
            return named("Key");
        case ScopeKind::user:
        case ScopeKind::team_member:
            return named("User");
        case ScopeKind::team:
            return named("Team");
        case ScopeKind::organization:
            return named("Organization");
        case ScopeKind::customer:
            return named("End User");
        case ScopeKind::tag:
            return named("Tag");
        case ScopeKind::global:
            break;
    }
    return {};
}

std::string model_budget_text(const OverBudget& over, std::string_view key_alias,
                              std::string_view asked_model) {
    std::string text;
    if (over.scope.kind == ScopeKind::key) {
        text = "LiteLLM Virtual Key: " + over.scope.id +
               ", key_alias: " + (key_alias.empty() ? "None" : std::string(key_alias));
    } else {
        std::string name = who(over.scope);
        const size_t equals = name.find('=');
        text = "LiteLLM " + name.substr(0, equals) + ": " + over.scope.shown;
    }
    return text + ", exceeded budget for model=" + std::string(asked_model);
}

std::string budget_text(const OverBudget& over) {
    const std::string spent = render_cost(over.spent);
    const std::string most = render_cost(over.most);
    const ScopeKind kind = over.scope.kind;
    if ((kind == ScopeKind::user || kind == ScopeKind::customer) && over.window == nullptr) {
        return "ExceededBudget: " + who(over.scope) + " over budget. Spend=" + spent +
               ", Budget=" + most;
    }
    std::string text = "Budget has been exceeded! ";
    if (std::string name = who(over.scope); !name.empty()) {
        text += name + " ";
    }
    if (over.window != nullptr) {
        text += "Window=" + over.window->duration + " ";
    }
    return text + "Current cost: " + spent + ", Max budget: " + most;
}

std::string render_milli(int64_t milli) {
    std::string text = std::to_string(milli / 1000);
    if (const int64_t rest = milli % 1000; rest != 0) {
        std::string digits = std::to_string(1000 + rest).substr(1);
        digits.erase(digits.find_last_not_of('0') + 1);
        text += "." + digits;
    }
    return text;
}

Error refusal(Kind kind, std::string text) { return caller_error(kind, std::move(text)); }

// "api_key", or "model_per_key" and the like for a model's limit within a scope.
std::string rate_scope(const OverRate& over) {
    if (over.model == nullptr) {
        return std::string(scope_kind_name(over.scope.kind));
    }
    const bool key = over.scope.kind == ScopeKind::key;
    return "model_per_" + std::string(key ? "key" : scope_kind_name(over.scope.kind));
}

std::string rate_value(const OverRate& over) {
    std::string value = over.scope.id;
    if (over.scope.kind == ScopeKind::team_member) {
        if (const size_t slash = value.find('/'); slash != std::string::npos) {
            value[slash] = ':';
        }
    }
    return over.model == nullptr ? value : value + ":" + over.model->model;
}

}  // namespace

std::string render_cost(NanoCredits amount) {
    std::string text = render_usd(amount);
    return text.find('.') == std::string::npos ? text + ".0" : text;
}

std::string render_reset(int64_t unix_ms) {
    std::string text = render_utc(Wall(milliseconds(unix_ms)));  // "2026-05-31T10:04:41.000Z"
    text[10] = ' ';
    return text.substr(0, 19) + " UTC";
}

Error over_budget_error(const OverBudget& over, std::string_view key_alias,
                        std::string_view asked_model) {
    std::string text =
        over.model != nullptr ? model_budget_text(over, key_alias, asked_model) : budget_text(over);
    if (over.spent < over.most && over.bound.value > 0) {
        // Without this line the numbers above would look as if there were room.
        text += ". This request may cost up to " + render_cost(over.bound) +
                ", running ones hold " + render_cost(over.reserved);
    }
    return refusal(Kind::budget_exhausted, std::move(text));
}

Error over_premium_error(const Scope& scope, int64_t used_milli, int64_t most_milli) {
    std::string name = who(scope);
    return refusal(Kind::budget_exhausted,
                   "Premium requests have been exceeded! " + name + (name.empty() ? "" : " ") +
                       "Current premium requests: " + render_milli(used_milli) +
                       ", Max premium requests: " + render_milli(most_milli));
}

Error over_rate_error(const OverRate& over) {
    Error error = refusal(Kind::rate_limited,
                          "Rate limit exceeded for " + rate_scope(over) + ": " + rate_value(over) +
                              ". Limit type: " + std::string(over.limit_type) +
                              ". Current limit: " + std::to_string(over.limit) +
                              ", Remaining: " + std::to_string(over.remaining) +
                              ". Limit resets at: " + render_reset(over.resets_at_ms));
    error.retry_after =
        seconds(std::clamp<int64_t>((over.resets_in_ms + 999) / 1000, 1, kRetryMax));
    return error;
}

Error blocked_customer_error(std::string_view id) {
    return refusal(Kind::forbidden,
                   "User blocked from making LLM API Calls. End User=" + std::string(id));
}

}  // namespace belay::governance

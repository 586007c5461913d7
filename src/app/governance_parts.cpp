#include "app/governance_parts.h"

#include <map>
#include <utility>

#include "app/cli.h"
#include "governance/duration.h"
#include "store/postgres_entities.h"
#include "store/sqlite_entities.h"

namespace belay::app {
namespace {

governance::ScopeKind to_scope(ledger::ScopeSum::Kind kind) {
    switch (kind) {
        case ledger::ScopeSum::Kind::key:
            return governance::ScopeKind::key;
        case ledger::ScopeSum::Kind::user:
            return governance::ScopeKind::user;
        case ledger::ScopeSum::Kind::team:
            return governance::ScopeKind::team;
        case ledger::ScopeSum::Kind::team_member:
            return governance::ScopeKind::team_member;
        case ledger::ScopeSum::Kind::organization:
            return governance::ScopeKind::organization;
        case ledger::ScopeSum::Kind::customer:
            return governance::ScopeKind::customer;
        case ledger::ScopeSum::Kind::tag:
            return governance::ScopeKind::tag;
        case ledger::ScopeSum::Kind::global:
            return governance::ScopeKind::global;
    }
    return governance::ScopeKind::global;
}

NanoCredits to_money(double usd) {
    const auto amount = parse_usd(json::dump(json::Value(usd)));
    return amount ? *amount : NanoCredits{};
}

// What the file says of one section, as a document: secrets are left out.
json::Value section(const Config& config, std::string_view name) {
    json::Value out = json::Value::object();
    const std::string prefix = std::string(name) + ".";
    for (auto at = config.effective.lower_bound(prefix);
         at != config.effective.end() && at->first.starts_with(prefix); ++at) {
        const std::string key = at->first.substr(prefix.size());
        if (key.find('.') != std::string::npos || at->second.shown.empty()) {
            continue;
        }
        auto value = json::parse(at->second.shown);
        if (value.ok()) {
            out.set(key, std::move(*value));
        }
    }
    return out;
}

}  // namespace

std::optional<governance::EntityKind> entity_of(governance::ScopeKind kind) {
    switch (kind) {
        case governance::ScopeKind::key:
            return governance::EntityKind::key;
        case governance::ScopeKind::user:
            return governance::EntityKind::user;
        case governance::ScopeKind::team:
            return governance::EntityKind::team;
        case governance::ScopeKind::team_member:
            return governance::EntityKind::team_member;
        case governance::ScopeKind::organization:
            return governance::EntityKind::organization;
        case governance::ScopeKind::customer:
            return governance::EntityKind::customer;
        case governance::ScopeKind::tag:
            return governance::EntityKind::tag;
        case governance::ScopeKind::global:
            return governance::EntityKind::config;
    }
    return std::nullopt;
}

int64_t offset_of(const json::Value& doc) {
    if (const json::Value* offset = doc.find(kOffset)) {
        return offset->as_int().value_or(0);
    }
    const auto initial = parse_usd(doc["spend"].number_text());
    return initial ? initial->value : 0;
}

Result<std::unique_ptr<governance::EntityStore>> open_entities(const Config& config,
                                                               const std::string& data_dir) {
    const Secret& url = config.general.database_url;
    if (!url.empty()) {
        return std::unique_ptr<governance::EntityStore>(
            TRY(store::PostgresEntities::open(url.reveal())));
    }
    return std::unique_ptr<governance::EntityStore>(TRY(store::SqliteEntities::open(
        data_dir + "/" + std::string(store::SqliteEntities::kDatabaseName))));
}

Result<std::unique_ptr<Seal>> open_seal(const Config& config, const Secret& master_key) {
    std::vector<Secret> salts;
    if (!config.general.salt_key.empty()) {
        salts.push_back(config.general.salt_key);
    }
    salts.push_back(master_key);
    return make_seal(std::move(salts));
}

governance::Directory::Defaults directory_defaults(const Config& config) {
    governance::Directory::Defaults defaults;
    const LitellmSettings& litellm = config.litellm;
    defaults.zone = litellm.zone;
    const int64_t now_ms = unix_millis(system_clock().wall());
    const auto window = [&](double usd, const std::string& duration) {
        governance::BudgetWindow budget;
        budget.most = to_money(usd);
        budget.duration = duration;
        if (!duration.empty()) {
            const auto end = governance::window_end(duration, now_ms, litellm.zone);
            budget.reset_at_ms = end ? *end : 0;
        }
        return budget;
    };
    if (litellm.max_budget.value_or(0) > 0) {
        defaults.global.budgets.push_back(window(*litellm.max_budget, litellm.budget_duration));
    }
    if (litellm.max_end_user_budget) {
        defaults.customer_budget = window(*litellm.max_end_user_budget, {});
    }
    defaults.customer_budget_id = litellm.max_end_user_budget_id;
    return defaults;
}

std::shared_ptr<admin::Settings> admin_settings(const Config& config, const Secret& master_key) {
    const LitellmSettings& litellm = config.litellm;
    auto settings = std::make_shared<admin::Settings>();
    settings->master_key = master_key;
    settings->ui_username = config.general.ui_username;
    settings->ui_password = config.general.ui_password;
    settings->store_model_in_db = config.general.store_model_in_db;
    settings->store_audit_logs = litellm.store_audit_logs;
    settings->viewers_read_prompts = config.general.allow_viewers_to_read_prompts;
    settings->zone = litellm.zone;
    if (litellm.max_budget.value_or(0) > 0) {
        settings->max_budget = to_money(*litellm.max_budget);
    }
    settings->router_settings = section(config, "router_settings");
    settings->general_settings = section(config, "general_settings");
    settings->litellm_settings = section(config, "litellm_settings");
    for (auto& [name, place] :
         {std::pair{"key_generation_settings", &settings->key_generation_settings},
          {"default_key_generate_params", &settings->default_key_generate_params},
          {"upperbound_key_generate_params", &settings->upperbound_key_generate_params},
          {"default_internal_user_params", &settings->default_internal_user_params}}) {
        *place = settings->litellm_settings[name];
    }
    settings->version = kVersion;
    return settings;
}

governance::Spent to_spent(const ledger::ScopeSum& sum) {
    return {to_scope(sum.kind), sum.id, sum.model, sum.cost, sum.premium_milli, {}};
}

Result<std::vector<governance::Spent>> find_spent(ledger::Queries& queries,
                                                  const governance::Directory& directory) {
    return spent_of(TRY(queries.scope_sums()), directory);
}

std::vector<governance::Spent> spent_of(const std::vector<ledger::ScopeSum>& sums,
                                        const governance::Directory& directory) {
    std::vector<governance::Spent> spent;
    std::map<std::pair<governance::ScopeKind, std::string>, bool> seen;
    for (const auto& sum : sums) {
        governance::Spent one = to_spent(sum);
        const auto kind = entity_of(one.kind);
        const auto entity = kind && one.model.empty() ? directory.find(*kind, one.id) : nullptr;
        if (entity != nullptr) {
            one.amount.value += offset_of(entity->doc);
        }
        if (one.model.empty()) {
            seen[{one.kind, one.id}] = true;
        }
        spent.push_back(std::move(one));
    }
    // Scopes that begin with a spend of their own and were never charged here.
    for (const auto scope :
         {governance::ScopeKind::key, governance::ScopeKind::user, governance::ScopeKind::team,
          governance::ScopeKind::team_member, governance::ScopeKind::organization,
          governance::ScopeKind::customer, governance::ScopeKind::tag}) {
        for (const auto& entity : directory.list(*entity_of(scope))) {
            const int64_t offset = offset_of(entity->doc);
            if (offset != 0 && !seen[{scope, entity->id}]) {
                spent.push_back({scope, entity->id, {}, NanoCredits{offset}, 0});
            }
        }
    }
    return spent;
}

}  // namespace belay::app

#include "governance/caller_maker.h"

#include <algorithm>

#include "governance/documents.h"

namespace belay::governance {
namespace {

using json::Value;

constexpr int64_t kLongAgo = 1;  // an expiry that is no time counts as over
constexpr size_t kMostTags = 32;
constexpr int kMostRegenerations = 16;  // whose grace periods overlap

// Everything one key's request is judged by; absent ones are null.
struct Parties {
    const Value& key;
    const Value& user;
    const Value& team;
    const Value& member;
    const Value& organization;
};

// --- Models ---

bool is_everything(std::string_view name) { return name == "*" || name == "all-proxy-models"; }

// Adds what `models` and `groups` (access_group_ids) name; nothing is added when neither says
// anything, or when one of the names means every model.
void add_list(const Documents& documents, ScopeKind whose, const Value& models, const Value& groups,
              std::vector<Caller::ModelList>& lists) {
    std::vector<std::string> names = read_names(models);
    const std::vector<std::string> group_ids = read_names(groups);
    if (names.empty() && group_ids.empty()) {
        return;
    }
    if (std::any_of(names.begin(), names.end(), is_everything)) {
        return;
    }
    std::vector<std::string> expanded;
    for (const auto& name : names) {
        if (const auto* held = documents.find_group(name)) {
            expanded.insert(expanded.end(), held->begin(), held->end());
        }
    }
    for (const auto& id : group_ids) {
        if (const auto* held = documents.find_group(id)) {
            expanded.insert(expanded.end(), held->begin(), held->end());
        }
    }
    names.insert(names.end(), expanded.begin(), expanded.end());
    if (std::any_of(expanded.begin(), expanded.end(), is_everything)) {
        return;
    }
    lists.push_back({whose, std::move(names)});
}

bool says_all_team_models(const Value& key) {
    for (const Value& one : key["models"].items()) {
        if (one.as_string() == "all-team-models") {
            return true;
        }
    }
    return false;
}

void add_model_lists(const Documents& documents, const Parties& p, Caller& caller) {
    auto& lists = caller.model_lists;
    const bool in_team = !caller.team_id.empty();
    if (!in_team || !says_all_team_models(p.key)) {
        add_list(documents, ScopeKind::key, p.key["models"], p.key["access_group_ids"], lists);
    }
    if (in_team) {
        const Value& own = p.member["allowed_models"];
        add_list(documents, ScopeKind::team_member,
                 own.size() > 0 ? own : own_or_metadata(p.team, "default_team_member_models"), {},
                 lists);
        add_list(documents, ScopeKind::team, p.team["models"], p.team["access_group_ids"], lists);
    } else {
        add_list(documents, ScopeKind::user, p.user["models"], p.user["access_group_ids"], lists);
    }
    add_list(documents, ScopeKind::organization, p.organization["models"], {}, lists);
}

// --- Scopes ---

Scope make_scope(const Maker& maker, ScopeKind kind, std::string id, const Value& doc) {
    Scope scope;
    scope.kind = kind;
    scope.id = std::move(id);
    scope.shown = scope.id;
    const std::string_view budget_id = doc["budget_id"].as_string();
    static const Value kNone;
    scope.limits = read_limits(
        kind, doc,
        budget_id.empty() ? kNone : maker.documents.find_doc(EntityKind::budget, budget_id));
    scope.spent_before = read_usd(doc["spend"]).value_or(NanoCredits());
    scope.blocked = doc["blocked"].as_bool();
    scope.made = maker.generation;
    return scope;
}

Scope make_global(const Maker& maker) {
    Scope scope;
    scope.kind = ScopeKind::global;
    scope.id = std::string(kGlobalScope);
    scope.shown = scope.id;
    scope.limits = maker.defaults.global;
    scope.made = maker.generation;
    return scope;
}

// A member's own limits, else what the team gives each of its members.
Scope make_member(const Maker& maker, const Caller& caller, const Parties& p) {
    Value doc = p.member.is_object() ? p.member : Value::object();
    const auto inherit = [&](std::string_view name, std::string_view from) {
        const Value& given = own_or_metadata(p.team, from);
        if (doc[name].is_null() && !given.is_null()) {
            doc.set(name, given);
        }
    };
    if (doc["max_budget"].is_null() && !doc["max_budget_in_team"].is_null()) {
        doc.set("max_budget", Value(doc["max_budget_in_team"]));
    }
    if (doc["budget_id"].is_null()) {
        inherit("budget_id", "team_member_budget_id");
        if (doc["max_budget"].is_null() && doc["budget_id"].is_null()) {
            inherit("max_budget", "team_member_budget");
            inherit("budget_duration", "team_member_budget_duration");
        }
        inherit("rpm_limit", "team_member_rpm_limit");
        inherit("tpm_limit", "team_member_tpm_limit");
    }
    Scope scope =
        make_scope(maker, ScopeKind::team_member, caller.team_id + "/" + caller.user_id, doc);
    scope.shown = caller.user_id + " in Team=" + caller.team_id;
    return scope;
}

void add_tag_scopes(const Maker& maker, Caller& caller) {
    for (const auto& name : caller.tags) {
        const Value& doc = maker.documents.find_doc(EntityKind::tag, name);
        if (!doc.is_null()) {
            caller.scopes.push_back(make_scope(maker, ScopeKind::tag, name, doc));
        }
    }
}

void add_scopes(const Maker& maker, const Parties& p, Caller& caller) {
    const bool in_team = !caller.team_id.empty();
    if (in_team && !caller.user_id.empty()) {
        caller.scopes.push_back(make_member(maker, caller, p));
    }
    if (in_team) {
        caller.scopes.push_back(make_scope(maker, ScopeKind::team, caller.team_id, p.team));
    }
    if (!caller.user_id.empty()) {
        Scope user = make_scope(maker, ScopeKind::user, caller.user_id, p.user);
        user.budgets_apply = !in_team;  // a team's key spends the team's money, not its owner's
        caller.scopes.push_back(std::move(user));
    }
    if (!caller.organization_id.empty()) {
        caller.scopes.push_back(
            make_scope(maker, ScopeKind::organization, caller.organization_id, p.organization));
    }
    caller.scopes.push_back(make_global(maker));
    add_tag_scopes(maker, caller);
    caller.has_budget =
        std::any_of(caller.scopes.begin(), caller.scopes.end(), [](const Scope& scope) {
            const Limits& limits = scope.limits;
            return scope.budgets_apply &&
                   (!limits.budgets.empty() ||
                    std::any_of(limits.models.begin(), limits.models.end(),
                                [](const ModelLimit& model) { return model.budget.has_value(); }));
        });
}

// --- The rest ---

void add_aliases(const Value& map, Caller& caller) {
    for (const auto& [name, target] : map.members()) {
        if (target.is_string() && alias_target(caller, name) == nullptr) {
            caller.aliases.emplace_back(name, target.as_string());
        }
    }
}

Value merge_metadata(const Value& team, const Value& key) {
    Value merged = team.is_object() ? team : Value::object();
    for (const auto& [name, value] : key.members()) {
        merged.set(name, value);
    }
    return merged;
}

void add_tags(const Value& tags, Caller& caller) {
    for (auto& tag : read_names(tags)) {
        const bool known =
            std::find(caller.tags.begin(), caller.tags.end(), tag) != caller.tags.end();
        if (!known && caller.tags.size() < kMostTags) {
            caller.tags.push_back(std::move(tag));
        }
    }
}

// A word against keeping prompts holds wherever it stands; a word for it is the key's, then the
// team's.
std::optional<bool> prompts_word(const Value& key, const Value& team) {
    if (own_or_metadata(key, "turn_off_message_logging").as_bool() ||
        own_or_metadata(team, "turn_off_message_logging").as_bool()) {
        return false;
    }
    for (const Value* doc : {&key, &team}) {
        const Value& word = own_or_metadata(*doc, "store_prompts_in_spend_logs");
        if (word.is_bool()) {
            return word.as_bool();
        }
    }
    return std::nullopt;
}

// Whose Copilot seat serves: the one that the key is bound to, unless it belongs to somebody else
// than the key does; else the one that the key's user has connected. A team has no seat: a seat
// belongs to one person.
void add_account(const Documents& documents, const Parties& p, Caller& caller) {
    const std::string_view bound = p.key["metadata"]["copilot_account"].as_string();
    const Value& account = documents.find_doc(EntityKind::account, bound);
    const std::string_view owner = account["user_id"].as_string();
    if (account.is_object() &&
        (owner.empty() || caller.user_id.empty() || owner == caller.user_id)) {
        caller.account = std::string(bound);
    } else if (!p.key["seat_withheld"].as_bool()) {
        caller.account = std::string(documents.account_of(caller.user_id));
    }
    for (const Value* doc : {&p.key, &p.user, &p.team}) {
        const Value& metadata = (*doc)["metadata"];
        const auto credits = read_credits(metadata["credits_floor"]);
        const auto premium = read_milli(metadata["premium_floor"]);
        caller.credits_floor = std::max(caller.credits_floor, credits ? credits->value : 0);
        caller.premium_floor = std::max(caller.premium_floor, premium.value_or(0));
    }
}

std::vector<std::string> routes_of(const Value& key) {
    std::vector<std::string> routes = read_names(key["allowed_routes"]);
    if (!routes.empty()) {
        return routes;
    }
    const std::string_view type = key["key_type"].as_string();
    if (type == "llm_api") {
        return {"llm_api_routes"};
    }
    if (type == "management") {
        return {"management_routes"};
    }
    if (type == "read_only") {
        return {"info_routes"};
    }
    return {};
}

void add_user(const Value& user, Caller& caller) {
    caller.user_email = std::string(user["user_email"].as_string());
    caller.role = parse_role(user["user_role"].as_string()).value_or(Role::internal_user);
}

// The key that a presented secret stands for: itself, or what it became in one regeneration after
// another, each of whose grace periods must still run. No key when the trail ends or has no end.
struct Current {
    const Value* key = nullptr;
    std::string_view hash;
    int64_t revoked_ms = 0;  // the first end of a grace period; 0 = none
};
Current find_current(const Documents& documents, std::string_view hash) {
    Current current{nullptr, hash, 0};
    for (int step = 0; step < kMostRegenerations; ++step) {
        const Value& key = documents.find_doc(EntityKind::key, current.hash);
        if (!key.is_object()) {
            return {};
        }
        const Value& successor = key["active_token_id"];
        if (successor.is_null()) {
            current.key = &key;
            return current;
        }
        int64_t end = read_time_ms(key["revoke_at"], kLongAgo);
        end = end == 0 ? kLongAgo : end;
        current.revoked_ms = current.revoked_ms == 0 ? end : std::min(current.revoked_ms, end);
        current.hash = successor.as_string();
    }
    return {};
}

Scope make_key_scope(const Maker& maker, const Caller& caller, const Value& key) {
    Scope scope = make_scope(maker, ScopeKind::key, caller.key_hash, key);
    scope.blocked = false;  // a blocked key is turned away before anything is counted
    scope.shown = caller.key_alias.empty() ? caller.key_name
                                           : caller.key_alias + " (" + caller.key_name + ")";
    return scope;
}

}  // namespace

std::shared_ptr<Caller> Maker::make_caller(std::string_view key_hash) const {
    const Current current = find_current(documents, key_hash);
    const Value* key = current.key;
    if (key == nullptr) {
        return nullptr;
    }
    auto caller = std::make_shared<Caller>();
    caller->key_hash = std::string(current.hash);
    const int64_t revoked_ms = current.revoked_ms;
    caller->key_name = std::string((*key)["key_name"].as_string("sk-..."));
    caller->key_alias = std::string((*key)["key_alias"].as_string());
    caller->user_id = std::string((*key)["user_id"].as_string());
    caller->team_id = std::string((*key)["team_id"].as_string());
    caller->blocked = (*key)["blocked"].as_bool();
    caller->expires_ms = read_time_ms((*key)["expires"], kLongAgo);
    if (revoked_ms != 0 && (caller->expires_ms == 0 || revoked_ms < caller->expires_ms)) {
        caller->expires_ms = revoked_ms;
    }

    const Value& team = documents.find_doc(EntityKind::team, caller->team_id);
    caller->organization_id =
        std::string((*key)["organization_id"].as_string(team["organization_id"].as_string()));
    const Parties p{
        *key, documents.find_doc(EntityKind::user, caller->user_id), team,
        documents.find_doc(EntityKind::team_member, caller->team_id + "/" + caller->user_id),
        documents.find_doc(EntityKind::organization, caller->organization_id)};
    caller->team_alias = std::string(team["team_alias"].as_string());
    caller->team_blocked = team["blocked"].as_bool();
    add_user(p.user, *caller);
    add_model_lists(documents, p, *caller);
    add_aliases((*key)["aliases"], *caller);
    add_aliases(team["model_aliases"], *caller);
    caller->allowed_routes = routes_of(*key);
    caller->metadata = merge_metadata(team["metadata"], (*key)["metadata"]);
    add_tags(own_or_metadata(*key, "tags"), *caller);
    add_tags(own_or_metadata(team, "tags"), *caller);
    caller->store_prompts = prompts_word(*key, team);
    caller->allow_client_mock = caller->metadata["allow_client_mock_response"].as_bool();
    add_account(documents, p, *caller);
    caller->scopes.push_back(make_key_scope(*this, *caller, *key));
    add_scopes(*this, p, *caller);
    return caller;
}

std::shared_ptr<Caller> Maker::make_caller_of_user(std::string_view user) const {
    static const Value kNone;
    const Value& doc = documents.find_doc(EntityKind::user, user);
    if (!doc.is_object()) {
        return nullptr;
    }
    auto caller = std::make_shared<Caller>();
    caller->user_id = std::string(user);
    add_user(doc, *caller);
    const Parties p{kNone, doc, kNone, kNone, kNone};
    add_model_lists(documents, p, *caller);
    caller->metadata = doc["metadata"].is_object() ? doc["metadata"] : Value::object();
    add_account(documents, p, *caller);
    add_scopes(*this, p, *caller);
    return caller;
}

std::shared_ptr<Caller> Maker::make_master() const {
    auto caller = std::make_shared<Caller>();
    caller->is_master = true;
    caller->role = Role::proxy_admin;
    caller->key_alias = "litellm_proxy_master_key";
    caller->user_id = "default_user_id";
    caller->metadata = Value::object();
    Scope everything = make_global(*this);
    everything.budgets_apply = false;
    everything.limits.rpm.reset();
    everything.limits.tpm.reset();
    everything.limits.max_parallel.reset();
    caller->scopes.push_back(std::move(everything));
    return caller;
}

std::shared_ptr<Scope> Maker::make_customer(std::string_view id) const {
    Value doc = documents.find_doc(EntityKind::customer, id);
    const bool known = doc.is_object();
    if (!known) {
        doc = Value::object();
    }
    const bool own_budget = !doc["budget_id"].as_string().empty() || !doc["max_budget"].is_null();
    if (!own_budget && !defaults.customer_budget_id.empty()) {
        doc.set("budget_id", defaults.customer_budget_id);
    }
    auto scope =
        std::make_shared<Scope>(make_scope(*this, ScopeKind::customer, std::string(id), doc));
    if (scope->limits.budgets.empty() && !own_budget && defaults.customer_budget) {
        scope->limits.budgets.push_back(*defaults.customer_budget);
    }
    return known || !scope->limits.empty() ? scope : nullptr;
}

std::shared_ptr<Scope> Maker::make_tag(std::string_view name) const {
    const Value& doc = documents.find_doc(EntityKind::tag, name);
    if (!doc.is_object()) {
        return nullptr;
    }
    return std::make_shared<Scope>(make_scope(*this, ScopeKind::tag, std::string(name), doc));
}

}  // namespace belay::governance

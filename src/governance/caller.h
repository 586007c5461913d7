#pragma once
// Who a request comes from, with all that is decided about it beforehand: immutable, shared by the
// requests of one key until a management write makes another. Looking at one costs no lock.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "governance/limits.h"
#include "wire/json.h"

namespace belay::governance {

// LiteLLM's user_role.
enum class Role : uint8_t {
    proxy_admin,
    proxy_admin_viewer,
    org_admin,
    internal_user,
    internal_user_viewer,
    team,
    customer,
};
[[nodiscard]] std::string_view role_name(Role role);
[[nodiscard]] std::optional<Role> parse_role(std::string_view name);

struct Caller {
    bool is_master = false;  // the master key: an administrator without limits
    std::string key_hash;    // "" for the master key
    std::string key_name;    // "sk-...wxyz"
    std::string key_alias;
    std::string user_id, user_email, team_id, team_alias, organization_id;
    Role role = Role::internal_user;
    bool blocked = false;
    bool team_blocked = false;
    int64_t expires_ms = 0;  // 0 = never

    // Which models may be asked for: exactly these names and patterns ("x/*"); access groups are
    // expanded. Each list of key, member, team, user and organization that says something must
    // allow the name; a list without names allows nothing.
    struct ModelList {
        ScopeKind whose = ScopeKind::key;
        std::vector<std::string> names;
    };
    std::vector<ModelList> model_lists;                        // empty: every model
    std::vector<std::pair<std::string, std::string>> aliases;  // asked name -> group
    std::vector<std::string> allowed_routes;                   // empty: by role

    // From the narrowest to the widest; those without limits are there too (spend is counted).
    std::vector<Scope> scopes;
    json::Value metadata;           // the key's, merged over the team's
    std::vector<std::string> tags;  // of key and team, added to every request
    std::string account;            // the Copilot account it is bound to; "" = the process's own
    std::optional<bool> store_prompts;  // the key's or team's own word
    // What it may not take of the Copilot account's allowance: the last nano-credits, the last
    // premium requests x 1000 (accounts that are billed by them).
    int64_t credits_floor = 0;
    int64_t premium_floor = 0;
    bool allow_client_mock = false;
    bool has_budget = false;  // some amount of money bounds it

    [[nodiscard]] bool has_floor() const { return (credits_floor | premium_floor) != 0; }
    [[nodiscard]] bool is_admin() const { return is_master || role == Role::proxy_admin; }
    [[nodiscard]] bool reads_all() const { return is_admin() || role == Role::proxy_admin_viewer; }
};
using CallerPtr = std::shared_ptr<const Caller>;

// True for an equal name and for a pattern whose stars stand for any text ("x/*", "*").
[[nodiscard]] bool matches_model(std::string_view pattern, std::string_view model);
// What the caller's own alias of that name stands for, or nothing.
[[nodiscard]] const std::string* alias_target(const Caller& caller, std::string_view model);

// The list that forbids the model, or nothing. A list allows what it names by the asked name (after
// the caller's own aliases) or by the group that the router's aliases make of it.
[[nodiscard]] const Caller::ModelList* forbids_model(const Caller& caller, std::string_view model,
                                                     std::string_view resolved_group);

}  // namespace belay::governance

#pragma once
// What an administrator manages: keys, users, teams, budgets and the rest. Each is a JSON document
// with LiteLLM's field names (litellm docs, "Virtual Keys" and the proxy's OpenAPI document), so
// that what a client sends and what it reads back are the same object; schema.h says which fields
// there are. The data path never looks into documents: directory.h makes typed Callers of them.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "wire/json.h"

namespace belay::governance {

enum class EntityKind : uint8_t {
    key,  // id: the token's hash, 64 hexadecimal digits (see keys.h)
    user,
    team,
    organization,
    customer,  // an end user, as requests name it
    budget,
    tag,
    team_member,  // id: "<team>/<user>"
    org_member,   // id: "<organization>/<user>"
    model,        // a deployment added at run time; id: model_info.id
    credential,
    access_group,
    config,  // stored settings; id: "router_settings", "general_settings", ...
    invitation,
    deleted_key,  // kept for reports
    deleted_team,
    audit,
    account,  // a person's Copilot account; id: "acct-..." (accounts/account_set.h)
};
inline constexpr size_t kEntityKinds = 18;

// "key", "team_member", ...: also the value of the store's column.
[[nodiscard]] std::string_view entity_kind_name(EntityKind kind);
[[nodiscard]] std::optional<EntityKind> parse_entity_kind(std::string_view name);

struct Entity {
    EntityKind kind = EntityKind::key;
    std::string id;
    json::Value doc;      // an object; null = deleted
    int64_t version = 0;  // of the store's last write to it: grows over all entities

    bool operator==(const Entity&) const = default;
    [[nodiscard]] bool is_deleted() const { return doc.is_null(); }
};

}  // namespace belay::governance

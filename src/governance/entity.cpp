#include "governance/entity.h"

#include <array>

namespace belay::governance {
namespace {

constexpr std::array<std::string_view, kEntityKinds> kNames = {
    "key",    "user",        "team",        "organization", "customer",   "budget",
    "tag",    "team_member", "org_member",  "model",        "credential", "access_group",
    "config", "invitation",  "deleted_key", "deleted_team", "audit",      "account"};

}  // namespace

std::string_view entity_kind_name(EntityKind kind) {
    const auto at = static_cast<size_t>(kind);
    return at < kNames.size() ? kNames[at] : std::string_view();
}

std::optional<EntityKind> parse_entity_kind(std::string_view name) {
    for (size_t i = 0; i < kNames.size(); ++i) {
        if (kNames[i] == name) {
            return static_cast<EntityKind>(i);
        }
    }
    return std::nullopt;
}

}  // namespace belay::governance

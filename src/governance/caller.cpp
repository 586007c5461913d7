#include "governance/caller.h"

#include <array>

namespace belay::governance {
namespace {

constexpr std::array<std::pair<Role, std::string_view>, 7> kRoles = {{
    {Role::proxy_admin, "proxy_admin"},
    {Role::proxy_admin_viewer, "proxy_admin_viewer"},
    {Role::org_admin, "org_admin"},
    {Role::internal_user, "internal_user"},
    {Role::internal_user_viewer, "internal_user_viewer"},
    {Role::team, "team"},
    {Role::customer, "customer"},
}};

bool allows(const Caller::ModelList& list, std::string_view model) {
    for (const auto& name : list.names) {
        if (matches_model(name, model)) {
            return true;
        }
    }
    return false;
}

}  // namespace

std::string_view role_name(Role role) {
    for (const auto& [value, name] : kRoles) {
        if (value == role) {
            return name;
        }
    }
    return "";
}

std::optional<Role> parse_role(std::string_view name) {
    for (const auto& [value, text] : kRoles) {
        if (text == name) {
            return value;
        }
    }
    return std::nullopt;
}

bool matches_model(std::string_view pattern, std::string_view model) {
    const size_t star = pattern.find('*');
    if (star == std::string_view::npos) {
        return pattern == model;
    }
    if (!model.starts_with(pattern.substr(0, star))) {
        return false;
    }
    model.remove_prefix(star);
    pattern.remove_prefix(star);
    // The text between two stars stands at its first place; the last one at the end.
    while (!pattern.empty()) {
        pattern.remove_prefix(1);
        const size_t next = pattern.find('*');
        if (next == std::string_view::npos) {
            return model.ends_with(pattern);
        }
        const size_t at = model.find(pattern.substr(0, next));
        if (at == std::string_view::npos) {
            return false;
        }
        model.remove_prefix(at + next);
        pattern.remove_prefix(next);
    }
    return true;
}

const std::string* alias_target(const Caller& caller, std::string_view model) {
    for (const auto& [name, target] : caller.aliases) {
        if (name == model) {
            return &target;
        }
    }
    return nullptr;
}

const Caller::ModelList* forbids_model(const Caller& caller, std::string_view model,
                                       std::string_view resolved_group) {
    if (caller.model_lists.empty()) {
        return nullptr;
    }
    if (const std::string* target = alias_target(caller, model)) {
        model = *target;  // what the alias stands for must be allowed, not the alias
    }
    for (const auto& list : caller.model_lists) {
        if (!allows(list, model) &&
            (resolved_group.empty() || resolved_group == model || !allows(list, resolved_group))) {
            return &list;
        }
    }
    return nullptr;
}

}  // namespace belay::governance

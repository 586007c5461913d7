#include "governance/limits.h"

namespace belay::governance {

std::string_view scope_kind_name(ScopeKind kind) {
    switch (kind) {
        case ScopeKind::key:
            return "api_key";
        case ScopeKind::user:
            return "user";
        case ScopeKind::team:
            return "team";
        case ScopeKind::team_member:
            return "team_member";
        case ScopeKind::organization:
            return "organization";
        case ScopeKind::customer:
            return "end_user";
        case ScopeKind::tag:
            return "tag";
        case ScopeKind::global:
            return "global";
    }
    return "";
}

}  // namespace belay::governance

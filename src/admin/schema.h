#pragma once
// The management API as data: which routes there are, who may call them, which fields their bodies
// and queries have. Validation, defaults, the check of roles and the OpenAPI document
// (api/admin.openapi.json) all read these tables; a handler sees only what has passed them. Names
// and shapes are LiteLLM's (the proxy's OpenAPI document, LiteLLM docs "Virtual Keys"). Pure.
#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "governance/caller.h"
#include "wire/json.h"

namespace belay::admin {

enum class Type : uint8_t { text, integer, number, boolean, list, map, any, duration, time };

// One member of a body, a query or a row.
struct Field {
    std::string_view name;
    Type type = Type::text;
    std::string_view doc = {};
    std::string_view fallback = {};  // JSON text; "" = null
    bool required = false;
    std::string_view choices = {};  // "a|b|c"
    int64_t least = std::numeric_limits<int64_t>::min();
    int64_t most = std::numeric_limits<int64_t>::max();
};
using Fields = std::span<const Field>;

// A set of roles; nobody is in it who is not named.
using Roles = uint8_t;
[[nodiscard]] constexpr Roles role_bit(governance::Role role) {
    return static_cast<Roles>(1U << static_cast<unsigned>(role));
}
inline constexpr Roles kAdmin = role_bit(governance::Role::proxy_admin);
inline constexpr Roles kViewer = role_bit(governance::Role::proxy_admin_viewer);
inline constexpr Roles kOrgAdmin = role_bit(governance::Role::org_admin);
inline constexpr Roles kUser = role_bit(governance::Role::internal_user);
inline constexpr Roles kUserViewer = role_bit(governance::Role::internal_user_viewer);
inline constexpr Roles kTeam = role_bit(governance::Role::team);
inline constexpr Roles kCustomer = role_bit(governance::Role::customer);

inline constexpr Roles kAdminsRead = kAdmin | kViewer;
inline constexpr Roles kManagers = kAdmin | kOrgAdmin;
// Who may change what is theirs: the handler looks at whose it is.
inline constexpr Roles kOwners = kAdmin | kOrgAdmin | kUser | kTeam;
inline constexpr Roles kPeople = kOwners | kViewer | kUserViewer;
inline constexpr Roles kAll = kPeople | kCustomer;

class Call;
using Handler = Result<json::Value> (*)(Call&);

// How a handler treats what is stored.
enum class Effect : uint8_t {
    reads,   // runs beside others
    writes,  // one at a time; its changes are committed after it, all or none
};
enum class Access : uint8_t { keyed, open };  // open: needs no key (signing in)

struct Route {
    std::string_view method;
    std::string_view path;  // "/key/{key}/regenerate"; "{name*}" takes the rest
    std::string_view also;  // a second spelling, or ""
    std::string_view id;    // operationId
    std::string_view tag;
    std::string_view doc;
    Roles roles = 0;
    Handler handler = nullptr;
    Effect effect = Effect::reads;
    std::array<Fields, 4> body = {};
    Fields query = {};
    Access access = Access::keyed;
    bool form = false;  // also takes application/x-www-form-urlencoded

    [[nodiscard]] bool has_body() const { return method != "GET" && !body[0].empty(); }
};

// Every route, in the order of the document.
[[nodiscard]] const std::vector<Route>& routes();

struct Match {
    const Route* route = nullptr;  // null with known_path: another method
    bool known_path = false;
    std::vector<std::pair<std::string_view, std::string>> path;  // decoded
};
// `path` has passed wire's safe_path.
[[nodiscard]] Match find_route(std::string_view method, std::string_view path);

// The role that counts for a caller: the master key's is the administrator's.
[[nodiscard]] governance::Role effective_role(const governance::Caller& caller);
// Whether the caller's role is named by the route, and the key's own allowed_routes (exact paths,
// patterns ending in '*', group names) cover it.
[[nodiscard]] bool role_allows(const Route& route, const governance::Caller& caller);
[[nodiscard]] bool key_allows(const Route& route, std::string_view path,
                              const governance::Caller& caller);

// FastAPI's list of mistakes: [{"type","loc","msg","input"}]; empty when there are none.
struct Checked {
    json::Value value;  // an object of known members, coerced, with defaults for queries
    json::Array mistakes;
};
[[nodiscard]] Checked check_body(const Route& route, const json::Value& body);
[[nodiscard]] Checked check_query(const Route& route, std::string_view query);

// A row: the table's fields first (the stored value or the default), then whatever else is stored.
[[nodiscard]] json::Value row_of(std::initializer_list<Fields> tables, const json::Value& doc);

// The OpenAPI 3.1 document of all routes.
[[nodiscard]] std::string openapi_document();

}  // namespace belay::admin

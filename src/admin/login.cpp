// Signing in to the dashboard. A session is a key of the team litellm-dashboard that lives for a
// day; the browser holds it in a cookie that no script reads and no other site sends.
#include <array>

#include "admin/call.h"
#include "admin/families.h"
#include "admin/password.h"
#include "governance/keys.h"

namespace belay::admin {
namespace {

constexpr std::string_view kSessionTeam = "litellm-dashboard";
constexpr int64_t kSessionMs = 24 * 3'600'000;
// The operator's own sessions. Not "default_user_id": keys that the master key makes belong to that
// one, and must not become an administrator's.
constexpr std::string_view kOperator = "litellm-dashboard-admin";

Error wrong(const std::string& user) {
    return unauthorized("Invalid credentials used to access UI.\nNot valid credentials for " +
                        user);
}

bool is_operator(const Call& call, const std::string& user, const std::string& password) {
    const Settings& s = *call.settings;
    const Secret& own = s.ui_password.empty() ? s.master_key : s.ui_password;
    return user == s.ui_username && own.equals(password);
}

std::string lower(std::string text) {
    for (char& c : text) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
    }
    return text;
}

Result<Value> find_user(Call& call) {
    const std::string name = call.text("username");
    const std::string password = call.text("password");
    if (LoginGuard* guard = call.services.guard.get()) {
        if (const int64_t wait = guard->wait_s(call.now_ms); wait > 0) {
            Error e = caller_error(Kind::rate_limited, "Too many wrong passwords: try again in " +
                                                           std::to_string(wait) + " seconds");
            e.code = "auth_error";
            return e;
        }
    }
    if (is_operator(call, name, password)) {
        Value user = call.doc(EntityKind::user, kOperator);
        if (user["user_role"].as_string() != "proxy_admin") {
            user = Value::object({{"user_id", Value(kOperator)},
                                  {"user_alias", Value(name)},
                                  {"user_role", "proxy_admin"},
                                  {"teams", Value::array()}});
            call.put(EntityKind::user, kOperator, user);
        }
        return user;
    }
    const auto known = call.services.directory.user_by_email(lower(name));
    const std::string_view stored = known ? known->doc["password"].as_string() : std::string_view();
    if (!stored.empty() && password_matches(password, stored)) {
        return known->doc;
    }
    if (stored.empty()) {
        pretend_to_check(password);  // a name that is not known costs the same time
    }
    if (LoginGuard* guard = call.services.guard.get()) {
        guard->count_wrong();
    }
    return wrong(name);
}

std::string cookie_line(const Call& call, std::string_view value, int64_t seconds) {
    std::string line = "token=" + std::string(value) +
                       "; Path=/; HttpOnly; SameSite=Strict; Max-Age=" + std::to_string(seconds);
    return call.settings->over_tls ? line + "; Secure" : line;
}

// A key for the user's browser; ended ones of the same user go.
std::string begin_session(Call& call, const Value& user) {
    const std::string id(user["user_id"].as_string());
    for (const auto& key : call.services.directory.keys_of_user(id)) {
        const std::string_view end = key->doc["expires"].as_string();
        if (key->doc["team_id"].as_string() == kSessionTeam &&
            unix_millis(parse_utc(end)) <= call.now_ms) {
            call.erase(EntityKind::key, key->id);
        }
    }
    const Secret secret = governance::generate_key();
    Value key = Value::object({{"key_name", Value(governance::key_name(secret.reveal()))},
                               {"user_id", Value(id)},
                               {"team_id", Value(kSessionTeam)},
                               {"spend", Value(json::Number{"0.0"})}});
    if (user["user_role"].as_string() != "proxy_admin") {
        // A team's key is outside its owner's budget, so a person's session manages and looks;
        // model calls take a key of the person's own.
        key.set("allowed_routes",
                Value::array({"management_routes", "info_routes", "spend_tracking_routes",
                              "/user/*", "/team/*", "/model/*", "/v1/model/*", "/v2/model/*",
                              "/model_group/*", "/v1/models", "/models", "/logout"}));
    }
    key.set("expires", render_utc(Wall(milliseconds(call.now_ms + kSessionMs))));
    const std::string key_id = call.services.directory.key_id(secret.reveal());
    call.keep_token(key, key_id, secret);
    call.put(EntityKind::key, key_id, std::move(key));
    return secret.reveal();
}

void set_session(Call& call, const std::string& key) {
    call.headers.emplace_back("Set-Cookie", cookie_line(call, key, kSessionMs / 1000));
    call.headers.emplace_back("Cache-Control", "no-store");
}

std::string landing(const Call& call) { return call.settings->root_path + "/ui/?login=success"; }

Result<Value> login_json(Call& call) {
    const Value user = TRY(find_user(call));
    set_session(call, begin_session(call, user));
    return Value::object({{"redirect_url", Value(landing(call))},
                          {"user_id", user["user_id"]},
                          {"user_email", user["user_email"]},
                          {"user_role", user["user_role"]},
                          {"login_method", "username_password"},
                          {"premium_user", Value(true)},
                          {"auth_header_name", "Authorization"},
                          {"disabled_non_admin_personal_key_creation", Value(false)},
                          {"server_root_path", Value(call.settings->root_path)}});
}

Result<Value> login_form(Call& call) {
    const Value user = TRY(find_user(call));
    set_session(call, begin_session(call, user));
    call.status = 303;
    call.headers.emplace_back("Location", landing(call));
    call.raw = std::string();
    return Value();
}

Result<Value> logout(Call& call) {
    if (call.caller.team_id == kSessionTeam) {
        call.erase(EntityKind::key, call.caller.key_hash);
    }
    call.headers.emplace_back("Set-Cookie", cookie_line(call, "", 0));
    return Value::object({{"message", "Signed out"}});
}

constexpr Field kCredentials[] = {
    {"username", Type::text, "UI_USERNAME, or a user's address", "", true},
    {"password", Type::text, "UI_PASSWORD (the master key when there is none), or the user's", "",
     true},
};

}  // namespace

std::span<const Route> login_routes() {
    static const std::array made = {
        Route{"POST",
              "/v2/login",
              "",
              "login_v2",
              "login",
              "Signs a browser in",
              kAll,
              login_json,
              Effect::writes,
              {kCredentials},
              {},
              Access::open},
        Route{"POST",
              "/login",
              "",
              "login",
              "login",
              "Signs a browser in from a form",
              kAll,
              login_form,
              Effect::writes,
              {kCredentials},
              {},
              Access::open,
              true},
        Route{"POST", "/logout", "", "logout", "login", "Ends the session", kOwners, logout,
              Effect::writes},
    };
    return made;
}

}  // namespace belay::admin

// api.github.com: the token exchange, the account with its quota, and the plain user record.
#include "sim/state.h"

namespace belay::sim {
namespace {

std::string_view bearer(const Call& call) {
    const std::string_view value = call.request.header("authorization");
    for (const std::string_view scheme : {"Bearer ", "bearer ", "token ", "Token "}) {
        if (value.starts_with(scheme)) {
            return value.substr(scheme.size());
        }
    }
    return {};
}

Reply rest_error(int status, std::string message) {
    json::Value v = json::Value::object({{"message", std::move(message)},
                                         {"documentation_url", "https://docs.github.com/rest"},
                                         {"status", std::to_string(status)}});
    return json_reply(status, v);
}

// tid=…;exp=…;sku=…:mac. `tid` carries the account and its token epoch, so that a token is
// recognised without being remembered.
std::string make_token(const State& state, const Account& a, int64_t expires, Random& random) {
    const uint64_t key = state.key("copilot-token");
    const std::string tid =
        hex64(keyed_hash(key, a.spec.name)) + hex64(a.token_epoch ^ (random.next() << 16));
    const std::string text =
        "tid=" + tid + ";exp=" + std::to_string(expires) + ";sku=" + a.spec.sku +
        ";proxy-ep=proxy." + a.spec.host + ".githubcopilot.com;st=dotcom;chat=1;cit=1;malfil=1;" +
        "editor_preview_features=1;agent_mode=1;mcp=1;ccr=1;8kp=1;ip=203.0.113.7;asn=AS64500";
    return text + ":" + hex64(keyed_hash(key, text));
}

std::string_view part_of(std::string_view token, std::string_view name) {
    const size_t at = token.find(name);
    if (at == std::string_view::npos) {
        return {};
    }
    const auto rest = token.substr(at + name.size());
    return rest.substr(0, rest.find(';'));
}

bool read_copilot_token(Call& call, std::string_view token) {
    const uint64_t key = call.state.key("copilot-token");
    const size_t colon = token.rfind(':');
    if (colon == std::string_view::npos ||
        token.substr(colon + 1) != hex64(keyed_hash(key, token.substr(0, colon)))) {
        return false;
    }
    const auto tid = part_of(token, "tid=");
    const auto exp = part_of(token, "exp=");
    if (std::strtoll(std::string(exp).c_str(), nullptr, 10) <= unix_seconds(call.now)) {
        return false;
    }
    for (auto& account : call.state.accounts) {
        const bool his = tid.substr(0, 16) == hex64(keyed_hash(key, account.spec.name));
        if (his && tid.substr(28) == hex64(account.token_epoch).substr(12)) {
            call.account = &account;
            return true;
        }
    }
    return false;
}

json::Value exchange_body(const Call& call, std::string token, int64_t lifetime) {
    const AccountSpec& spec = call.account->spec;
    const int64_t refresh = call.state.scenario.refresh_in_s;
    const bool free = spec.legacy_free;
    json::Value v = json::Value::object({{"token", std::move(token)}});
    v.set("expires_at", unix_seconds(call.now) + lifetime);
    v.set("refresh_in", refresh != 0      ? refresh
                        : lifetime >= 600 ? lifetime - 300
                                          : std::max<int64_t>(1, lifetime / 2));
    v.set("sku", spec.sku);
    v.set("individual", spec.individual);
    for (const char* flag :
         {"chat_enabled", "chat_jetbrains_enabled", "annotations_enabled",
          "agent_mode_auto_approval", "code_quote_enabled", "code_review_enabled", "codesearch"}) {
        v.set(flag, true);
    }
    v.set("azure_only", false);
    v.set("copilotignore_enabled", false);
    if (call.state.scenario.token_host == "announced") {
        const std::string api = call.api_url(spec.host);
        v.set("endpoints", json::Value::object({{"api", api},
                                                {"origin-tracker", api + "/origin-tracker"},
                                                {"proxy", api + "/proxy"},
                                                {"telemetry", api + "/telemetry"}}));
    }
    v.set("enterprise_list",
          spec.plan == "enterprise" ? json::Value::array({4242}) : json::Value());
    v.set("organization_list", spec.organization.empty()
                                   ? json::Value::array()
                                   : json::Value::array({"a5db0bcaae94032fe715fb34a5e4bce2"}));
    v.set("limited_user_quotas",
          free ? json::Value::object(
                     {{"chat", std::max<int64_t>(0, call.account->remaining()) / kUnit},
                      {"completions", 1841}})
               : json::Value());
    v.set("limited_user_reset_date",
          free ? json::Value(unix_seconds(next_month(call.now))) : json::Value());
    v.set("public_suggestions", "enabled");
    v.set("telemetry", spec.individual ? "enabled" : "disabled");
    v.set("vsc_electron_fetcher_v2", false);
    return v;
}

Reply refused(const Call& call, const std::string& id) {
    const bool not_signed_up = id == "not_signed_up";
    json::Value details = json::Value::object({{"message", ""}, {"notification_id", id}});
    details.set("message", id == "spammy_user" ? "Your account was flagged. Please contact support."
                                               : "No access to GitHub Copilot found for " +
                                                     call.account->spec.login + ".");
    details.set("title", id == "spammy_user" ? "Contact Support" : "Signup for GitHub Copilot");
    details.set("url", "https://github.com/settings/copilot?editor=");
    json::Value v = json::Value::object({{"can_signup_for_limited", not_signed_up}});
    v.set("error_details", std::move(details));
    v.set("message", "Resource not accessible by integration");
    return json_reply(403, v);
}

}  // namespace

std::string make_copilot_token(State& state, std::string_view account, Wall now) {
    const Account* found = state.find_account(account);
    if (found == nullptr) {
        return {};
    }
    Random random(keyed_hash(state.scenario.seed, "issued") + ++state.ordinal);
    return make_token(state, *found, unix_seconds(now) + state.scenario.token_lifetime_s, random);
}

bool read_github_credential(Call& call) {
    const auto token = bearer(call);
    call.credential = token.empty() ? Credential::none : Credential::invalid;
    const auto found = call.state.github_tokens.find(token);
    if (found == call.state.github_tokens.end()) {
        return false;
    }
    Account* account = call.state.find_account(found->second.account);
    if (account == nullptr || account->signed_out) {
        return false;
    }
    call.credential = Credential::github;
    call.account = account;
    return true;
}

bool read_capi_credential(Call& call) {
    const auto token = bearer(call);
    if (token.starts_with("tid=") && read_copilot_token(call, token)) {
        call.credential = Credential::copilot;
        return true;
    }
    if (!read_github_credential(call)) {
        return false;
    }
    const bool direct = call.state.github_tokens.find(token)->second.direct;
    if (!direct || !call.account->spec.direct) {
        call.credential = Credential::invalid;
        return false;
    }
    return true;
}

Reply serve_exchange(Call& call) {
    if (!read_github_credential(call)) {
        return rest_error(401, "Bad credentials");
    }
    const AccountSpec& spec = call.account->spec;
    Reply r;
    if (!call.state.github_tokens.find(bearer(call))->second.exchange ||
        spec.exchange == "not_found") {
        r = rest_error(404, "Not Found");
    } else if (spec.exchange == "bad_credentials") {
        r = rest_error(401, "Bad credentials");
    } else if (spec.exchange == "rate_limited") {
        r = rest_error(403, "API rate limit exceeded for user ID 583231.");
    } else if (spec.exchange == "server_error") {
        r = text_reply(500, "Internal Server Error\n");
    } else if (spec.exchange == "html") {
        r = named_error(call, "html_200");
    } else if (spec.exchange != "ok") {
        r = refused(call, spec.exchange);
    } else {
        const int64_t lifetime = call.state.scenario.token_lifetime_s;
        ++call.state.counters["copilot_tokens_issued"];
        std::string token =
            make_token(call.state, *call.account, unix_seconds(call.now) + lifetime, call.random);
        r = json_reply(200, exchange_body(call, std::move(token), lifetime));
    }
    r.head_delay += milliseconds(spec.exchange_delay_ms);
    return r;
}

Reply serve_copilot_user(Call& call) {
    ++call.state.counters["user_reads"];
    if (!read_github_credential(call)) {
        return rest_error(401, "Bad credentials");
    }
    const AccountSpec& spec = call.account->spec;
    if (spec.user == "bad_credentials") {
        return rest_error(401, "Bad credentials");
    }
    if (spec.user == "forbidden") {
        return rest_error(403, "Resource not accessible by integration");
    }
    if (spec.user == "not_found") {
        return rest_error(404, "Not Found");
    }
    if (spec.user == "server_error") {
        return text_reply(502, "Bad Gateway\n");
    }
    call.account->roll(call.now);
    const std::string& host = spec.user_host.empty() ? spec.host : spec.user_host;
    return json_reply(200, render_user(*call.account, call.api_url(host), call.now));
}

Reply serve_github_user(Call& call) {
    if (!read_github_credential(call)) {
        return rest_error(401, "Bad credentials");
    }
    const std::string& login = call.account->spec.login;
    return json_reply(200, json::Value::object({{"login", login},
                                                {"id", 583231},
                                                {"type", "User"},
                                                {"name", "The Octocat"},
                                                {"avatar_url", ""},
                                                {"html_url", "https://github.com/" + login}}));
}

}  // namespace belay::sim

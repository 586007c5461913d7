// github.com: the device flow and the page on which a human (or a browser test) authorises it.
#include <algorithm>

#include "sim/state.h"
#include "wire/url.h"

namespace belay::sim {
namespace {

using Decision = DeviceCode::Decision;

constexpr std::string_view kGrant = "urn:ietf:params:oauth:grant-type:device_code";

// Members of the request, JSON or form.
std::string field(const Call& call, std::string_view name) {
    if (call.body.is_object()) {
        return std::string(call.body[name].as_string());
    }
    for (const auto& [key, value] : parse_form(call.request.body)) {
        if (key == name) {
            return value;
        }
    }
    return query_value(call.query, name);
}

// JSON when the client accepts it, else form-encoded, always with status 200.
Reply oauth_reply(const Call& call, const json::Value& body) {
    if (call.request.header("accept").find("json") != std::string_view::npos) {
        return json_reply(200, body);
    }
    std::string form;
    for (const auto& member : body.members()) {
        form += form.empty() ? "" : "&";
        form += member.key + "=" +
                percent_encode(member.value.is_string() ? member.value.as_string()
                                                        : member.value.number_text());
    }
    Reply r = text_reply(200, form);
    set_header(r.headers, "content-type", "application/x-www-form-urlencoded; charset=utf-8");
    return r;
}

Reply oauth_error(const Call& call, std::string_view code, std::string_view description,
                  int64_t interval = 0) {
    json::Value v = json::Value::object(
        {{"error", std::string(code)},
         {"error_description", std::string(description)},
         {"error_uri",
          "https://docs.github.com/developers/apps/authorizing-oauth-apps#error-codes-"
          "for-the-device-flow"}});
    if (interval != 0) {
        v.set("interval", interval);
    }
    return oauth_reply(call, v);
}

bool known_client(const State& state, std::string_view id) {
    if (!state.scenario.clients.empty()) {
        return std::any_of(state.scenario.clients.begin(), state.scenario.clients.end(),
                           [id](const AllowList& list) { return list.id == id; });
    }
    return id.starts_with("Iv1.") || id.starts_with("Iv23") || id.starts_with("Ov23") ||
           id == "178c6fc778ccc68e1d6a" || id == "01ab8ac9400c4e429b23";
}

// Which credentials an application's tokens are good for: GitHub Apps of the plug-in family and VS
// Code may exchange, third-party OAuth apps are direct only.
GithubToken issued_to(std::string_view client_id, std::string_view account) {
    const bool plugin = client_id.starts_with("Iv");
    const bool vscode = client_id == "01ab8ac9400c4e429b23";
    return {std::string(account), std::string(client_id), plugin || vscode, !plugin};
}

DeviceCode* find_device(State& state, std::string_view code) {
    for (auto& device : state.devices) {
        if (device.device_code == code) {
            return &device;
        }
    }
    return nullptr;
}

Reply issue_token(Call& call, DeviceCode& device) {
    const std::string account =
        device.account.empty() ? call.state.scenario.device.account : device.account;
    const bool app = device.client_id.starts_with("Iv");
    const std::string token = (app ? "ghu_" : "gho_") + call.random.alnum(36);
    call.state.github_tokens[token] = issued_to(device.client_id, account);
    device.decision = Decision::used;
    ++call.state.counters["github_tokens_issued"];
    return oauth_reply(call, json::Value::object({{"access_token", token},
                                                  {"token_type", "bearer"},
                                                  {"scope", app ? std::string() : device.scope}}));
}

Reply slow_down(Call& call, DeviceCode& device) {
    device.interval_s += 5;
    return oauth_error(call, "slow_down", "Too many requests have been made in the same timeframe.",
                       device.interval_s);
}

// Plays the next step of the script; the last one repeats.
void play_step(Call& call, DeviceCode& device, std::string& step) {
    const auto& script = call.state.scenario.device.script;
    if (script.empty() || device.decision != Decision::open) {
        return;
    }
    step = script[std::min(device.step++, script.size() - 1)];
    if (step == "success") {
        device.decision = Decision::authorized;
    } else if (step == "denied") {
        device.decision = Decision::denied;
    } else if (step == "expired") {
        device.decision = Decision::expired;
    }
}

std::string escape_html(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '&':
                out += "&amp;";
                break;
            case '"':
                out += "&quot;";
                break;
            case '\'':
                out += "&#39;";
                break;
            default:
                out += c;
        }
    }
    return out;
}

Reply page(int status, std::string_view body) {
    Reply r;
    r.status = status;
    r.headers.push_back({"content-type", "text/html; charset=utf-8"});
    r.headers.push_back({"cache-control", "no-store"});
    std::string html =
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
        "content=\"width=device-width,initial-scale=1\"><title>Device activation "
        "(simulated)</title>"
        "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:12vh auto;padding:0 "
        "1rem;color:#1f2328;background:#fff}input,select,button{font:inherit;padding:.5rem .75rem;"
        "border:1px solid "
        "#d0d7de;border-radius:6px}input{width:100%;box-sizing:border-box;text-align:"
        "center;letter-spacing:.2em;text-transform:uppercase}button{cursor:pointer}.go{background:"
        "#1f883d;border-color:#1f883d;color:#fff}p.note{color:#59636e;font-size:14px}@media("
        "prefers-"
        "color-scheme:dark){body{background:#0d1117;color:#f0f6fc}input,select,button{background:"
        "#151b23;color:inherit;border-color:#3d444d}.go{background:#238636}}</style></head><body>";
    html += body;
    html +=
        "<p class=\"note\">This page belongs to the simulator. It is not GitHub and no real "
        "account is involved.</p></body></html>";
    r.parts.push_back({std::move(html)});
    return r;
}

Reply device_form(const Call& call) {
    const std::string code = query_value(call.query, "user_code");
    std::string body =
        "<h1>Device activation</h1><p>Enter the code displayed on your device.</p>"
        "<form method=\"post\" action=\"/login/device\"><p><input name=\"user_code\" "
        "id=\"user_code\" maxlength=\"9\" autocomplete=\"off\" autofocus required "
        "placeholder=\"ABCD-1234\" value=\"" +
        escape_html(code) + "\"></p><p><label>Account <select name=\"account\">";
    for (const auto& account : call.state.accounts) {
        const bool chosen = account.spec.name == call.state.scenario.device.account;
        body += "<option value=\"" + escape_html(account.spec.name) + "\"" +
                (chosen ? " selected" : "") + ">" + escape_html(account.spec.login) + "</option>";
    }
    body +=
        "</select></label></p><p><button class=\"go\" name=\"action\" value=\"authorize\" "
        "id=\"authorize\">Authorize</button> <button name=\"action\" value=\"deny\" "
        "id=\"cancel\">Cancel</button></p></form>";
    return page(200, body);
}

}  // namespace

std::string decide_device(State& state, std::string_view user_code, Decision decision,
                          std::string_view account) {
    std::string wanted(user_code);
    std::transform(wanted.begin(), wanted.end(), wanted.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    if (wanted.size() == 8 && wanted.find('-') == std::string::npos) {
        wanted.insert(4, "-");
    }
    for (auto& device : state.devices) {
        if (device.user_code != wanted) {
            continue;
        }
        if (device.decision != Decision::open) {
            return "this code has already been used";
        }
        device.decision = decision;
        device.account = account;
        return {};
    }
    return "there is no such code";
}

Reply serve_device_code(Call& call) {
    const std::string client_id = field(call, "client_id");
    if (!known_client(call.state, client_id)) {
        return oauth_error(call, "incorrect_client_credentials",
                           "The client_id and/or client_secret passed are incorrect.");
    }
    const DeviceSpec& spec = call.state.scenario.device;
    DeviceCode device;
    device.device_code = call.random.hex(40);
    std::string code = call.random.hex(8);
    std::transform(code.begin(), code.end(), code.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    device.user_code = code.substr(0, 4) + "-" + code.substr(4);
    device.client_id = client_id;
    device.scope = field(call, "scope");
    device.created = call.now;
    device.interval_s = spec.interval_s;
    if (call.state.devices.size() >= 1000) {  // the oldest are long expired
        call.state.devices.erase(call.state.devices.begin());
    }
    call.state.devices.push_back(device);
    ++call.state.counters["device_codes"];
    return oauth_reply(
        call, json::Value::object({{"device_code", device.device_code},
                                   {"user_code", device.user_code},
                                   {"verification_uri", call.state.base_url + "/login/device"},
                                   {"expires_in", spec.expires_in_s},
                                   {"interval", spec.interval_s}}));
}

Reply serve_access_token(Call& call) {
    if (field(call, "grant_type") != kGrant) {
        return oauth_error(call, "unsupported_grant_type",
                           "The authorization grant type is not supported.");
    }
    DeviceCode* device = find_device(call.state, field(call, "device_code"));
    if (device == nullptr || device->decision == Decision::used) {
        return oauth_error(call, "incorrect_device_code", "The device_code provided is not valid.");
    }
    if (field(call, "client_id") != device->client_id) {
        return oauth_error(call, "incorrect_client_credentials",
                           "The client_id and/or client_secret passed are incorrect.");
    }
    const DeviceSpec& spec = call.state.scenario.device;
    if (call.now >= device->created + seconds(spec.expires_in_s)) {
        device->decision = Decision::expired;
    }
    const bool early =
        device->last_poll != Wall{} && call.now < device->last_poll + seconds(device->interval_s);
    device->last_poll = call.now;
    if (early && spec.enforce_interval && device->decision != Decision::expired) {
        ++call.state.counters["device_early_polls"];
        return slow_down(call, *device);
    }
    std::string step;
    play_step(call, *device, step);
    if (step == "slow_down") {
        return slow_down(call, *device);
    }
    switch (device->decision) {
        case Decision::authorized:
            return issue_token(call, *device);
        case Decision::denied:
            return oauth_error(call, "access_denied",
                               "The authorization request was denied by the user.");
        case Decision::expired:
            return oauth_error(call, "expired_token", "The device code has expired.");
        case Decision::open:
        case Decision::used:
            break;
    }
    return oauth_error(call, "authorization_pending",
                       "The authorization request is still pending.");
}

Reply serve_device_page(Call& call) {
    if (call.request.method != "POST") {
        return device_form(call);
    }
    const bool allow = field(call, "action") != "deny";
    const std::string account = field(call, "account");
    if (!account.empty() && call.state.find_account(account) == nullptr) {
        return page(404, "<h1>No such account</h1>");
    }
    const std::string problem =
        decide_device(call.state, field(call, "user_code"),
                      allow ? Decision::authorized : Decision::denied, account);
    if (!problem.empty()) {
        return page(422, "<h1>That did not work</h1><p id=\"problem\">" + escape_html(problem) +
                             ". <a href=\"/login/device\">Try again</a></p>");
    }
    return page(200, allow
                         ? "<h1>Congratulations, you're all set!</h1><p id=\"done\">Your device is "
                           "now connected.</p>"
                         : "<h1>Cancelled</h1><p id=\"done\">The device was not connected.</p>");
}

}  // namespace belay::sim

// /_sim/: how a test or a person looks at the world and changes it while it runs.
#include <algorithm>
#include <cmath>

#include "sim/state.h"
#include "wire/url.h"

namespace belay::sim {
namespace {

Reply ok() { return json_reply(200, json::Value::object({{"ok", true}})); }

Reply bad(std::string message) {
    return json_reply(400, json::Value::object({{"error", std::move(message)}}));
}

json::Value counts(const std::map<std::string, int64_t, std::less<>>& map) {
    json::Value v = json::Value::object({});
    for (const auto& [name, n] : map) {
        v.members().push_back({name, n});
    }
    return v;
}

json::Value usage_object(const Usage& u) {
    return json::Value::object({{"input", u.input},
                                {"cached", u.cached},
                                {"cache_write", u.cache_write},
                                {"output", u.output},
                                {"reasoning", u.reasoning}});
}

json::Value units(int64_t nano) { return static_cast<double>(nano) / static_cast<double>(kUnit); }

json::Value account_object(const Account& a) {
    json::Value v = json::Value::object({{"name", a.spec.name},
                                         {"plan", a.spec.plan},
                                         {"login", a.spec.login},
                                         {"github_token", a.spec.github_token}});
    v.set("billing", a.spec.billing == Billing::credits ? "credits" : "requests");
    v.set("entitlement", units(a.spec.entitlement));
    v.set("used", units(a.used));
    v.set("used_nano", a.used);
    v.set("exhausted", a.exhausted());
    return v;
}

json::Value device_object(const DeviceCode& d) {
    static constexpr std::string_view kNames[] = {"open", "authorized", "denied", "expired",
                                                  "used"};
    return json::Value::object({{"user_code", d.user_code},
                                {"client_id", d.client_id},
                                {"interval", d.interval_s},
                                {"state", kNames[static_cast<size_t>(d.decision)]}});
}

Reply show_state(const Call& call) {
    const State& s = call.state;
    json::Value v = json::Value::object(
        {{"base_url", s.base_url}, {"now", render_utc(call.now)}, {"seed", s.scenario.seed}});
    for (const char* name : {"token_exchanges", "device_polls", "device_early_polls", "requests"}) {
        const auto found = s.counters.find(name);
        v.set(name, found == s.counters.end() ? int64_t{0} : found->second);
    }
    v.set("counters", counts(s.counters));
    v.set("statuses", counts(s.statuses));
    v.set("model_calls", counts(s.model_calls));
    v.set("usage", usage_object(s.usage));
    v.set("charged_nano", s.charged);
    json::Value sums = json::Value::array();
    for (const auto& [key, sum] : s.sums) {
        const auto& [account, model, user] = key;
        json::Value one = json::Value::object({{"account", account},
                                               {"model", model},
                                               {"user", user},
                                               {"calls", sum.calls},
                                               {"charged_nano", sum.charged}});
        one.set("usage", usage_object(sum.usage));
        sums.push(std::move(one));
    }
    v.set("sums", std::move(sums));
    json::Value accounts = json::Value::array();
    for (const auto& account : s.accounts) {
        accounts.push(account_object(account));
    }
    v.set("accounts", std::move(accounts));
    json::Value devices = json::Value::array();
    for (const auto& device : s.devices) {
        devices.push(device_object(device));
    }
    v.set("devices", std::move(devices));
    v.set("last_credential", s.log.empty() ? "none" : s.log.back().credential);
    return json_reply(200, v);
}

json::Value entry_object(const LogEntry& e) {
    json::Value headers = json::Value::object({});
    for (const auto& header : e.headers) {
        std::string name = header.name;
        std::transform(name.begin(), name.end(), name.begin(),
                       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        headers.set(name, header.value);
    }
    json::Value faults = json::Value::array();
    for (const auto& fault : e.faults) {
        faults.push(fault);
    }
    json::Value v = json::Value::object({{"number", e.number},
                                         {"at", render_utc(e.at)},
                                         {"method", e.method},
                                         {"target", e.target},
                                         {"status", e.status},
                                         {"credential", e.credential},
                                         {"account", e.account},
                                         {"model", e.model}});
    v.set("headers", std::move(headers));
    auto parsed = json::parse(e.body);
    v.set("body", parsed.ok() ? std::move(*parsed) : json::Value(e.body));
    v.set("faults", std::move(faults));
    v.set("usage", usage_object(e.usage));
    v.set("charged_nano", e.charged);
    return v;
}

Reply show_requests(const Call& call) {
    const std::string last = query_value(call.query, "last");
    const std::string path = query_value(call.query, "path");
    const int64_t after = std::strtoll(query_value(call.query, "after").c_str(), nullptr, 10);
    size_t wanted =
        last.empty() ? 50 : static_cast<size_t>(std::strtoul(last.c_str(), nullptr, 10));
    json::Value list = json::Value::array();
    const auto& log = call.state.log;
    std::vector<const LogEntry*> chosen;
    for (auto it = log.rbegin(); it != log.rend() && chosen.size() < wanted; ++it) {
        if (it->number <= after) {
            break;
        }
        if (path.empty() || it->target.find(path) != std::string::npos) {
            chosen.push_back(&*it);
        }
    }
    for (auto it = chosen.rbegin(); it != chosen.rend(); ++it) {
        list.push(entry_object(**it));
    }
    return json_reply(200, json::Value::object({{"requests", std::move(list)}}));
}

Reply show_faults(const Call& call) {
    json::Value rules = json::Value::array();
    for (const auto& rule : call.state.scenario.faults) {
        rules.push(json::Value::object({{"id", rule.id},
                                        {"fault", rule.fault.name},
                                        {"path", rule.path},
                                        {"model", rule.model},
                                        {"seen", rule.seen},
                                        {"fired", rule.fired}}));
    }
    json::Value names = json::Value::array();
    for (const auto name : fault_names()) {
        names.push(std::string(name));
    }
    return json_reply(
        200, json::Value::object({{"rules", std::move(rules)}, {"names", std::move(names)}}));
}

// A list replaces all rules; with ?add=1 its rules are appended (or replace those of the same id).
Reply set_faults(Call& call, const json::Value& body) {
    auto rules = parse_faults(body);
    if (!rules.ok()) {
        return bad(rules.error().message);
    }
    auto& all = call.state.scenario.faults;
    if (query_value(call.query, "add").empty()) {
        all.clear();
    }
    for (auto& rule : *rules) {
        std::erase_if(
            all, [&rule](const FaultRule& old) { return !rule.id.empty() && old.id == rule.id; });
        all.push_back(std::move(rule));
    }
    return ok();
}

Reply set_scenario(Call& call, const json::Value& body) {
    auto scenario = parse_scenario(body);
    if (!scenario.ok()) {
        return bad(scenario.error().message);
    }
    load_scenario(call.state, std::move(*scenario));
    return ok();
}

Reply authorize(Call& call, const json::Value& body) {
    std::string code(body["user_code"].as_string());
    if (code.empty()) {  // the newest that still waits
        for (const auto& device : call.state.devices) {
            if (device.decision == DeviceCode::Decision::open) {
                code = device.user_code;
            }
        }
    }
    const std::string account(body["account"].as_string());
    if (!account.empty() && call.state.find_account(account) == nullptr) {
        return bad("there is no account \"" + account + "\"");
    }
    const auto wish = body["decision"].as_string("authorize");
    const auto decision = wish == "deny"     ? DeviceCode::Decision::denied
                          : wish == "expire" ? DeviceCode::Decision::expired
                                             : DeviceCode::Decision::authorized;
    const std::string problem = decide_device(call.state, code, decision, account);
    return problem.empty() ? ok() : bad(problem);
}

Reply advance(Call& call, const json::Value& body) {
    const auto by = body["seconds"].as_double();
    if (!by || *by < 0 || *by > 1e9) {
        return bad("seconds must be a number from 0 to 1000000000");
    }
    call.state.clock_offset += milliseconds(std::llround(*by * 1000));
    return ok();
}

// Kills tokens: {"account":"pro_plus","what":"copilot"|"github"}.
Reply revoke(Call& call, const json::Value& body) {
    Account* account = call.state.find_account(body["account"].as_string());
    if (account == nullptr) {
        return bad("account must name one of the scenario's accounts");
    }
    if (body["what"].as_string("copilot") == "github") {
        account->signed_out = true;
    } else {
        account->token_epoch = (account->token_epoch + 1) & 0xffff;
    }
    return ok();
}

// Changes what an account has used: {"account":"pro_plus","used":7000}.
Reply set_account(Call& call, const json::Value& body) {
    Account* account = call.state.find_account(body["account"].as_string());
    if (account == nullptr) {
        return bad("account must name one of the scenario's accounts");
    }
    account->roll(call.now);
    if (const auto used = body["used"].as_double()) {
        account->used = std::llround(*used * static_cast<double>(kUnit));
    }
    if (const json::Value* out = body.find("signed_out")) {
        account->signed_out = out->as_bool();
    }
    if (const json::Value* exchange = body.find("exchange")) {
        const auto outcomes = exchange_outcomes();
        if (std::find(outcomes.begin(), outcomes.end(), exchange->as_string()) == outcomes.end()) {
            return bad("exchange is no outcome of the token exchange");
        }
        account->spec.exchange = exchange->as_string();
    }
    return json_reply(200, account_object(*account));
}

Reply issue(Call& call, const json::Value& body) {
    const std::string token =
        make_copilot_token(call.state, body["account"].as_string("pro_plus"), call.now);
    return token.empty() ? bad("account must name one of the scenario's accounts")
                         : json_reply(200, json::Value::object({{"token", token}}));
}

Reply reset(Call& call) {
    State& s = call.state;
    Scenario scenario = std::move(s.scenario);
    for (auto& rule : scenario.faults) {
        rule.seen = rule.fired = 0;
    }
    s.devices.clear();
    s.log.clear();
    s.counters.clear();
    s.statuses.clear();
    s.model_calls.clear();
    s.usage = {};
    s.charged = 0;
    s.sums.clear();
    s.clock_offset = milliseconds(0);
    s.ordinal = 0;
    load_scenario(s, std::move(scenario));
    return ok();
}

}  // namespace

Reply serve_control(Call& call) {
    const std::string_view path = call.path;
    if (call.request.method == "GET") {
        if (path == "/_sim/state") {
            return show_state(call);
        }
        if (path == "/_sim/requests") {
            return show_requests(call);
        }
        if (path == "/_sim/faults") {
            return show_faults(call);
        }
        return json_reply(404, json::Value::object({{"error", "no such control; see docs"}}));
    }
    if (call.request.method == "DELETE" && path == "/_sim/faults") {
        call.state.scenario.faults.clear();
        return ok();
    }
    if (path == "/_sim/reset") {
        return reset(call);
    }
    auto parsed = json::parse(call.request.body.empty() ? "{}" : call.request.body);
    if (!parsed.ok()) {
        return bad("the body is not JSON: " + parsed.error().message);
    }
    const json::Value& body = *parsed;
    using Control = Reply (*)(Call&, const json::Value&);
    static constexpr std::pair<std::string_view, Control> kControls[] = {
        {"/_sim/scenario", set_scenario},
        {"/_sim/faults", set_faults},
        {"/_sim/authorize", authorize},
        {"/_sim/advance", advance},
        {"/_sim/revoke", revoke},
        {"/_sim/account", set_account},
        {"/_sim/token", issue}};
    for (const auto& [name, control] : kControls) {
        if (path == name && call.request.method == "POST") {
            return control(call, body);
        }
    }
    return json_reply(404, json::Value::object({{"error", "no such control; see docs"}}));
}

}  // namespace belay::sim

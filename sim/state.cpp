#include "sim/state.h"

#include <algorithm>

namespace belay::sim {

Account* State::find_account(std::string_view name) {
    for (auto& account : accounts) {
        if (account.spec.name == name) {
            return &account;
        }
    }
    return nullptr;
}

const Model* State::find_model(std::string_view id) const {
    for (const auto& model : scenario.models) {
        if (model.id == id) {
            return &model;
        }
    }
    return nullptr;
}

std::string Call::api_url(std::string_view host_name) const {
    std::string url = state.base_url;
    if (host_name.find("://") != std::string_view::npos) {
        return std::string(host_name);
    }
    if (state.scenario.plan_hosts && !host_name.empty()) {
        url += "/" + std::string(host_name);
    }
    return url;
}

Reply json_reply(int status, const json::Value& body) {
    Reply r;
    r.status = status;
    r.headers.push_back({"content-type", "application/json; charset=utf-8"});
    r.parts.push_back({json::dump(body)});
    return r;
}

Reply text_reply(int status, std::string_view text) {
    Reply r;
    r.status = status;
    r.headers.push_back({"content-type", "text/plain; charset=utf-8"});
    r.parts.push_back({std::string(text)});
    return r;
}

Reply capi_error(const Call& call, int status, std::string_view code, std::string message,
                 std::string_view param, std::string_view type) {
    Fault f;
    f.status = status;
    f.code = code;
    f.message = std::move(message);
    f.param = param;
    f.type = type;
    return render_fault(f, call.state.scenario.json_errors_as_text);
}

Reply named_error(const Call& call, std::string_view fault) {
    return render_fault(*find_fault(fault), call.state.scenario.json_errors_as_text);
}

Reply stream_reply() {
    Reply r;
    r.streamed = true;
    r.headers.push_back({"content-type", "text/event-stream"});
    r.headers.push_back({"cache-control", "no-cache"});
    return r;
}

const Fault* fault_before(const Call& call) {
    for (const Fault& f : call.faults) {
        if (f.kind == FaultKind::http && f.when == When::before) {
            return &f;
        }
    }
    return nullptr;
}

void load_scenario(State& state, Scenario scenario) {
    state.accounts.clear();
    state.github_tokens.clear();
    for (const auto& spec : scenario.accounts) {
        state.accounts.emplace_back(spec);
        state.github_tokens[spec.github_token] = {spec.name, "", true, spec.direct};
    }
    state.scenario = std::move(scenario);
    state.prompt_cache.clear();
}

}  // namespace belay::sim

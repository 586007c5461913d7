// The catalogue as a service, model policies, and Auto mode (the server chooses the model).
#include <algorithm>

#include "sim/capi.h"

namespace belay::sim {
namespace {

constexpr std::string_view kAutoModels[] = {"gpt-4.1", "gpt-5-mini", "claude-haiku-4.5"};

std::vector<std::string> auto_models(const Call& call) {
    std::vector<std::string> ids;
    for (const auto id : kAutoModels) {
        const Model* model = call.state.find_model(id);
        if (model != nullptr && offers(call, *model)) {
            ids.emplace_back(id);
        }
    }
    return ids;
}

// account|expires|model,model, sealed.
std::string make_session_token(const Call& call, int64_t expires,
                               const std::vector<std::string>& models) {
    std::string text = call.account->spec.name + "|" + std::to_string(expires) + "|";
    for (const auto& id : models) {
        text += id + ",";
    }
    return seal(call.state.key("session"), text);
}

json::Value discounts(const std::vector<std::string>& models) {
    json::Value v = json::Value::object({});
    for (const auto& id : models) {
        v.set(id, 0.1);
    }
    return v;
}

// Long prompts and questions go to the stronger of the models.
std::string choose(const std::vector<std::string>& models, std::string_view prompt) {
    return prompt.size() > 400 ? models.back() : models.front();
}

}  // namespace

Reply serve_models(Call& call) {
    json::Value data = json::Value::array();
    for (const auto& model : call.state.scenario.models) {
        if (offers(call, model)) {
            data.push(render_model(model, policy_for(*call.account, model)));
        }
    }
    ++call.state.counters["catalogue_reads"];
    return json_reply(200, json::Value::object({{"data", std::move(data)}, {"object", "list"}}));
}

Reply serve_policy(Call& call, std::string_view id) {
    const Model* model = call.state.find_model(id);
    if (model == nullptr || !offers(call, *model)) {
        return named_error(call, "not_found");
    }
    if (!call.account->spec.can_enable) {
        return capi_error(call, 403, "forbidden",
                          "model policies of this account are managed by its organization");
    }
    auto& enabled = call.account->enabled_models;
    std::erase(enabled, std::string(id));
    if (call.body["state"].as_string() == "enabled") {
        enabled.emplace_back(id);
    }
    return json_reply(200, json::Value::object({{"state", call.body["state"].as_string()},
                                                {"model", std::string(id)}}));
}

Reply serve_model_session(Call& call) {
    const auto models = auto_models(call);
    if (models.empty()) {
        return named_error(call, "no_available_model_endpoints");
    }
    const int64_t expires = unix_seconds(call.now) + 3600;
    json::Value available = json::Value::array();
    for (const auto& id : models) {
        available.push(id);
    }
    json::Value v = json::Value::object({{"available_models", std::move(available)}});
    v.set("selected_model", models.front());
    v.set("expires_at", expires);
    v.set("discounted_costs", discounts(models));
    v.set("session_token", make_session_token(call, expires, models));
    return json_reply(200, v);
}

Reply serve_intent(Call& call) {
    const auto token = call.request.header("copilot-session-token");
    if (!sealed_by(call.state.key("session"), token)) {
        return named_error(call, "model_not_available_for_session");
    }
    const bool hard = call.body["prompt"].as_string().size() > 400;
    return json_reply(200,
                      json::Value::object(
                          {{"predicted_label", hard ? "needs_reasoning" : "no_reasoning"},
                           {"confidence", 0.93},
                           {"latency_ms", 12},
                           {"candidate_models", call.body["available_models"]},
                           {"scores", json::Value::object({{"needs_reasoning", hard ? 0.93 : 0.07},
                                                           {"no_reasoning", hard ? 0.07 : 0.93}})},
                           {"sticky_override", false}}));
}

Reply serve_auto(Call& call) {
    const auto models = auto_models(call);
    if (models.empty()) {
        return named_error(call, "not_found");
    }
    const std::string chosen = choose(models, call.body["prompt"].as_string());
    const Model& model = *call.state.find_model(chosen);
    json::Value v = json::Value::object(
        {{"session_token", make_session_token(call, unix_seconds(call.now) + 86400, models)}});
    v.set("selected_model", render_model(model, policy_for(*call.account, model)));
    v.set("hydra_scores", json::Value::object({{chosen, 0.9}}));
    v.set("discounted_costs", discounts(models));
    return json_reply(200, v);
}

std::optional<Reply> check_session(const Call& call) {
    const auto token = call.request.header("copilot-session-token");
    if (token.empty()) {
        if (call.account->spec.auto_only) {
            return named_error(call, "model_not_supported");
        }
        return std::nullopt;
    }
    const size_t first = token.find('|');
    const size_t second = token.find('|', first + 1);
    if (!sealed_by(call.state.key("session"), token) || second == std::string_view::npos) {
        return named_error(call, "model_not_available_for_session");
    }
    const std::string expires(token.substr(first + 1, second - first - 1));
    const std::string models = "," + std::string(token.substr(second + 1));
    const bool fits = token.substr(0, first) == call.account->spec.name &&
                      std::strtoll(expires.c_str(), nullptr, 10) > unix_seconds(call.now) &&
                      models.find("," + call.model_id + ",") != std::string::npos;
    if (!fits) {
        return named_error(call, "model_not_available_for_session");
    }
    return std::nullopt;
}

}  // namespace belay::sim

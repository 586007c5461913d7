// Smaller answers that LiteLLM's clients and dashboards ask for: checks of services and of a
// model's settings, the response cache, provider budgets, price estimates, blocking a model. What
// is not here says so: nothing pretends to have been done.
#include <array>

#include "admin/call.h"
#include "admin/families.h"
#include "ledger/price.h"

namespace belay::admin {
namespace {

// ---- the response cache: there is none so far
// ----------------------------------------------------

Error no_cache() {
    Error e = gateway_error(Kind::not_found,
                            "Cache not initialized. This gateway keeps no response cache: every "
                            "request is answered by its model.");
    e.code = "cache_unavailable";
    return e;
}

Result<Value> cache_ping(Call& call) {
    call.status = 503;
    return Value::object({{"status", "unhealthy"},
                          {"cache_type", Value()},
                          {"ping_response", Value(false)},
                          {"set_cache_response", Value()},
                          {"litellm_cache_params", Value::object()},
                          {"health_check_cache_params", Value::object()},
                          {"message", Value(no_cache().message)}});
}
Result<Value> cache_refuse(Call& /*call*/) { return no_cache(); }
Result<Value> cache_settings(Call& /*call*/) {
    return Value::object({{"fields", Value::array()}, {"current_values", Value::object()}});
}

// ---- health
// --------------------------------------------------------------------------------------

Result<Value> health_history(Call& call) {
    return Value::object({{"health_checks", Value::array()},
                          {"total_records", Value(0)},
                          {"limit", Value(call.asked_int("limit"))},
                          {"offset", Value(call.asked_int("offset"))}});
}

Result<Value> health_services(Call& call) {
    const std::string service = call.asked("service");
    bool configured = contains(call.settings->general_settings["alerting"], service);
    for (const char* list : {"callbacks", "success_callback", "failure_callback"}) {
        configured = configured || contains(call.settings->litellm_settings[list], service);
    }
    if (!configured) {
        return bad_request(in_error("Service " + service +
                                    " is not configured: add it to general_settings.alerting or "
                                    "litellm_settings.callbacks"),
                           "service");
    }
    return Value::object(
        {{"status", "success"},
         {"message", Value(service + " is configured; no test message was sent")}});
}

// What can be known without a call that somebody would pay for.
Result<Value> test_connection(Call& call) {
    const Value& params = call.body["litellm_params"];
    const std::string model(params["model"].as_string());
    const size_t slash = model.find('/');
    const std::string provider = params["custom_llm_provider"].is_string()
                                     ? std::string(params["custom_llm_provider"].as_string())
                                     : model.substr(0, slash == std::string::npos ? 0 : slash);
    std::string problem;
    if (model.empty()) {
        problem = "litellm_params.model is missing";
    } else if (provider == "github_copilot") {
        const auto view =
            call.services.accounts != nullptr ? call.services.accounts->main().view() : nullptr;
        const std::string name = slash == std::string::npos ? model : model.substr(slash + 1);
        if (view == nullptr || view->phase != accounts::Phase::signed_in) {
            problem = "the gateway is not signed in to GitHub Copilot: open /github";
        } else if (view->catalogue != nullptr && name != "*" &&
                   view->catalogue->find(name) == nullptr) {
            problem = "GitHub Copilot lists no model " + name + " for this account";
        }
    } else if (params["api_key"].as_string().empty() && params["api_base"].as_string().empty() &&
               params["litellm_credential_name"].as_string().empty()) {
        problem = "neither api_key nor api_base nor litellm_credential_name is given";
    }
    Value result = Value::object({{"model", Value(model)}, {"checked", "settings"}});
    if (problem.empty()) {
        result.set("note", "No request was sent: it would be paid for. Ask the model to be sure.");
    } else {
        result.set("error", problem);
    }
    return Value::object(
        {{"status", problem.empty() ? "success" : "error"}, {"result", std::move(result)}});
}

// ---- money
// ---------------------------------------------------------------------------------------

Result<Value> provider_budgets(Call& /*call*/) {
    return Value::object({{"providers", Value::object()}});
}

NanoCredits times(NanoCredits one, int64_t count) {
    NanoCredits sum;
    for (NanoCredits power = one; count > 0; count /= 2) {
        sum = (count & 1) != 0 ? add(sum, power) : sum;
        power = add(power, power);
    }
    return sum;
}

std::optional<chat::PriceCard> card_of(const Call& call, const std::string& model) {
    const auto table = call.services.table ? call.services.table() : nullptr;
    for (const auto& d : table ? table->deployments : decltype(table->deployments)()) {
        if (d->group == model) {
            return d->price ? d->price : ledger::find_price(d->provider, d->model, d->base_model);
        }
    }
    const size_t slash = model.find('/');
    return slash == std::string::npos
               ? ledger::find_price({}, model, {})
               : ledger::find_price(model.substr(0, slash), model.substr(slash + 1), {});
}

Result<Value> cost_estimate(Call& call) {
    const std::string model = call.text("model");
    const auto card = card_of(call, model);
    if (!card) {
        return not_found(in_error("This model isn't mapped yet. model=" + model +
                                  ". Set its price in model_info"),
                         "model");
    }
    const auto count = [&](std::string_view name) {
        return std::max<int64_t>(call.body[name].as_int().value_or(0), 0);
    };
    chat::Usage input;
    input.input = count("input_tokens");
    chat::Usage output;
    output.output = count("output_tokens");
    const NanoCredits in = chat::price(input, *card);
    const NanoCredits out = chat::price(output, *card);
    Value row = Value::object({{"model", Value(model)},
                               {"input_tokens", Value(input.input)},
                               {"output_tokens", Value(output.output)},
                               {"cost_per_request", usd(add(in, out))},
                               {"input_cost_per_request", usd(in)},
                               {"output_cost_per_request", usd(out)}});
    for (const auto& [period, asked] : {std::pair{"daily", "num_requests_per_day"},
                                        std::pair{"monthly", "num_requests_per_month"}}) {
        const bool given = !call.body[asked].is_null();
        const std::string name(period);
        row.set(asked, call.body[asked]);
        row.set(name + "_cost", given ? usd(times(add(in, out), count(asked))) : Value());
        row.set(name + "_input_cost", given ? usd(times(in, count(asked))) : Value());
        row.set(name + "_output_cost", given ? usd(times(out, count(asked))) : Value());
    }
    return row;
}

Result<Value> cost_map(Call& call) {
    return Value::object({{"message",
                           "Prices are shipped with the program and kept current by the "
                           "upstream's catalogue: there is nothing to reload"},
                          {"status", "success"},
                          {"models_count", Value(0)},
                          {"timestamp", Value(call.now)}});
}

// ---- models
// --------------------------------------------------------------------------------------

Result<Value> set_blocked(Call& call, bool blocked) {
    const std::string id = call.text("id").empty() ? call.text("model_id") : call.text("id");
    Value document = call.doc(EntityKind::model, id);
    if (!document.is_object()) {
        return bad_request(in_error("Model with id=" + id +
                                    " not found in db: models of the file are changed there"),
                           "id");
    }
    Value info = document["model_info"].is_object() ? document["model_info"] : Value::object();
    info.set("blocked", blocked);
    document.set("model_info", std::move(info));
    call.put(EntityKind::model, id, std::move(document));
    call.models_changed();
    call.audit_action = blocked ? "blocked" : "updated";
    return Value::object({{"model_id", Value(id)}, {"blocked", Value(blocked)}});
}
Result<Value> block(Call& call) { return set_blocked(call, true); }
Result<Value> unblock(Call& call) { return set_blocked(call, false); }

constexpr Field kHistory[] = {
    {"model", Type::text, "which"},
    {"status_filter", Type::text, "healthy or unhealthy"},
    {"limit", Type::integer, "rows", "100", false, "", 1, 1000},
    {"offset", Type::integer, "from", "0", false, "", 0},
};
constexpr Field kService[] = {{"service", Type::text, "which", "", true}};
constexpr Field kConnection[] = {
    {"litellm_params", Type::map, "a model's settings, as in model_list", "", true},
    {"mode", Type::text, "chat, embedding, ..."},
    {"model_info", Type::map, "a model's facts, as in model_list"},
};
constexpr Field kEstimate[] = {
    {"model", Type::text, "a model's name", "", true},
    {"input_tokens", Type::integer, "of one request", "", true, "", 0},
    {"output_tokens", Type::integer, "of one answer", "", true, "", 0},
    {"num_requests_per_day", Type::integer, "for the daily cost", "", false, "", 0},
    {"num_requests_per_month", Type::integer, "for the monthly cost", "", false, "", 0},
};
constexpr Field kKeys[] = {{"keys", Type::list, "cache keys"}};
constexpr Field kHours[] = {{"hours", Type::integer, "accepted"}};
constexpr Field kModel[] = {
    {"id", Type::text, "model_info.id"},
    {"model_id", Type::text, "the same"},
};

}  // namespace

std::span<const Route> service_routes() {
    static const std::array made = {
        Route{"GET",
              "/health/history",
              "",
              "health_history",
              "health",
              "No health check is made, so there is no history",
              kAdminsRead,
              health_history,
              Effect::reads,
              {},
              kHistory},
        Route{"GET",
              "/health/services",
              "",
              "health_services",
              "health",
              "Whether a callback or alert is configured",
              kAdminsRead,
              health_services,
              Effect::reads,
              {},
              kService},
        Route{"POST",
              "/health/test_connection",
              "",
              "test_connection",
              "health",
              "Checks a model's settings without a call",
              kAdmin,
              test_connection,
              Effect::reads,
              {kConnection}},
        Route{"GET", "/cache/ping", "", "cache_ping", "cache", "There is no response cache",
              kAdminsRead, cache_ping},
        Route{"POST",
              "/cache/delete",
              "",
              "cache_delete",
              "cache",
              "There is no response cache",
              kAdmin,
              cache_refuse,
              Effect::reads,
              {kKeys}},
        Route{"POST", "/cache/flushall", "", "cache_flushall", "cache",
              "There is no response cache", kAdmin, cache_refuse},
        Route{"GET", "/cache/redis/info", "", "cache_redis_info", "cache",
              "There is no response cache", kAdminsRead, cache_refuse},
        Route{"GET", "/cache/settings", "", "cache_settings", "cache", "There is no response cache",
              kAdminsRead, cache_settings},
        Route{"GET", "/provider/budgets", "", "provider_budgets", "spend",
              "Budgets by provider; none can be set so far", kAdminsRead, provider_budgets},
        Route{"POST",
              "/cost/estimate",
              "",
              "cost_estimate",
              "spend",
              "What calls would cost, each and by day and month",
              kAll,
              cost_estimate,
              Effect::reads,
              {kEstimate}},
        Route{"POST", "/model/cost_map/reload", "", "reload_cost_map", "health",
              "Accepted: prices need no reload", kAdmin, cost_map},
        Route{"POST",
              "/schedule/model_cost_map_reload",
              "",
              "schedule_cost_map_reload",
              "health",
              "Accepted: prices need no reload",
              kAdmin,
              cost_map,
              Effect::reads,
              {},
              kHours},
        Route{"POST",
              "/model/block",
              "",
              "block_model",
              "models",
              "Takes a stored model out of service",
              kAdmin,
              block,
              Effect::writes,
              {kModel}},
        Route{"POST",
              "/model/unblock",
              "",
              "unblock_model",
              "models",
              "Puts it back",
              kAdmin,
              unblock,
              Effect::writes,
              {kModel}},
    };
    return made;
}

}  // namespace belay::admin

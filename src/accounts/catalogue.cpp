#include "accounts/catalogue.h"

#include <algorithm>
#include <cmath>

#include "wire/json.h"

namespace belay::accounts {
namespace {

std::string text_of(const json::Value& v, size_t max = 200) {
    return std::string(v.as_string().substr(0, max));
}

int64_t count_of(const json::Value& v) {
    const auto n = v.as_int();
    return n && *n > 0 && *n < (int64_t{1} << 40) ? *n : 0;
}

std::vector<std::string> texts_of(const json::Value& list) {
    std::vector<std::string> texts;
    for (const json::Value& item : list.items()) {
        if (item.is_string() && texts.size() < 32) {
            texts.push_back(text_of(item, 64));
        }
    }
    return texts;
}

// Credits per `batch` tokens, an exact decimal, to nano-credits per million. nullopt: no number, or
// one beyond any price.
std::optional<PricePerMillion> rate_of(const json::Value& v, int64_t batch) {
    std::string_view text = v.is_string() ? v.as_string() : v.number_text();
    __int128 digits = 0;
    int scale = -1;
    int kept = 0;
    for (const char c : text) {
        if (c == '.' && scale < 0) {
            scale = 0;
        } else if (c >= '0' && c <= '9' && kept < 18) {
            digits = digits * 10 + (c - '0');
            kept += digits > 0;
            scale += scale >= 0;
        } else if (c < '0' || c > '9') {
            // An exponent: rare enough for the detour over double.
            const auto d = v.as_double();
            if (!d || *d < 0 || *d > 1e6) {
                return std::nullopt;
            }
            return PricePerMillion{std::llround(*d * 1e9 * (1e6 / static_cast<double>(batch)))};
        }
    }
    if (text.empty()) {
        return std::nullopt;
    }
    digits *= static_cast<__int128>(1'000'000'000) * 1'000'000;
    __int128 divisor = batch;
    for (int i = 0; i < scale; ++i) {
        divisor *= 10;
    }
    const __int128 nano = (digits + divisor / 2) / divisor;
    if (nano > static_cast<__int128>(INT64_MAX)) {
        return std::nullopt;
    }
    return PricePerMillion{static_cast<int64_t>(nano)};
}

std::optional<TokenRates> rates_of(const json::Value& v, int64_t batch) {
    const auto input = rate_of(v["input_price"], batch);
    const auto output = rate_of(v["output_price"], batch);
    if (!input && !output) {
        return std::nullopt;
    }
    TokenRates rates;
    rates.input = input.value_or(PricePerMillion{});
    rates.output = output.value_or(PricePerMillion{});
    const json::Value& read = v.has("cache_price") ? v["cache_price"] : v["cache_read_price"];
    // What is not said costs what plain input costs: never less than the truth.
    rates.cache_read = rate_of(read, batch).value_or(rates.input);
    rates.cache_write = rate_of(v["cache_write_price"], batch).value_or(rates.input);
    return rates;
}

std::optional<ModelPrice> price_of(const json::Value& prices) {
    if (!prices.is_object()) {
        return std::nullopt;
    }
    const int64_t batch = std::max<int64_t>(1, prices["batch_size"].as_int().value_or(1'000'000));
    const bool flat = !prices.has("default");  // an earlier shape
    const json::Value& usual = flat ? prices : prices["default"];
    const auto base = rates_of(usual, batch);
    if (!base) {
        return std::nullopt;
    }
    ModelPrice price{*base, {}, 0};
    const json::Value& above = prices["long_context"];
    if (const auto rates = rates_of(above, batch)) {
        price.long_context = *rates;
        const int64_t said = count_of(usual["max_prompt_tokens"]);
        price.long_context_from = said > 0 ? said : count_of(usual["context_max"]);
    }
    return price;
}

uint8_t endpoints_of(const json::Value& list, std::string_view type) {
    uint8_t bits = 0;
    for (const json::Value& item : list.items()) {
        for (const Endpoint e : {Endpoint::chat, Endpoint::responses, Endpoint::responses_ws,
                                 Endpoint::messages, Endpoint::embeddings}) {
            if (item.as_string() == endpoint_path(e)) {
                bits |= static_cast<uint8_t>(e);
            }
        }
    }
    if (bits == 0) {
        bits = static_cast<uint8_t>(type == "embeddings" ? Endpoint::embeddings : Endpoint::chat);
    }
    return bits;
}

ModelLimits limits_of(const json::Value& v) {
    ModelLimits l;
    l.context = count_of(v["max_context_window_tokens"]);
    l.prompt = count_of(v["max_prompt_tokens"]);
    l.output = count_of(v["max_output_tokens"]);
    l.output_plain = count_of(v["max_non_streaming_output_tokens"]);
    l.images = count_of(v["vision"]["max_prompt_images"]);
    l.image_bytes = count_of(v["vision"]["max_prompt_image_size"]);
    l.inputs = count_of(v["max_inputs"]);
    return l;
}

ModelSupports supports_of(const json::Value& v) {
    ModelSupports s;
    s.streaming = v["streaming"].as_bool();
    s.tools = v["tool_calls"].as_bool();
    s.parallel_tools = v["parallel_tool_calls"].as_bool();
    s.vision = v["vision"].as_bool();
    s.structured_outputs = v["structured_outputs"].as_bool();
    s.adaptive_thinking = v["adaptive_thinking"].as_bool();
    s.dimensions = v["dimensions"].as_bool();
    s.thinking_budget_min = count_of(v["min_thinking_budget"]);
    s.thinking_budget_max = count_of(v["max_thinking_budget"]);
    s.reasoning_effort = texts_of(v["reasoning_effort"]);
    return s;
}

void read_billing(const json::Value& v, Model& m) {
    if (const auto x = v["multiplier"].as_double(); x && *x >= 0 && *x < 1e6) {
        m.multiplier_milli = static_cast<int32_t>(std::lround(*x * 1000));
    }
    m.restricted_to = texts_of(v["restricted_to"]);
    m.price = price_of(v["token_prices"]);
}

std::optional<Model> read_model(const json::Value& v) {
    Model m;
    m.id = text_of(v["id"]);
    if (m.id.empty()) {
        return std::nullopt;
    }
    m.name = text_of(v["name"]);
    m.name = m.name.empty() ? m.id : m.name;
    m.vendor = text_of(v["vendor"], 60);
    m.version = text_of(v["version"]);
    m.category = text_of(v["model_picker_category"], 40);
    m.preview = v["preview"].as_bool();
    m.picker = v["model_picker_enabled"].as_bool();
    m.chat_default = v["is_chat_default"].as_bool();
    m.chat_fallback = v["is_chat_fallback"].as_bool();
    m.policy_state = text_of(v["policy"]["state"], 40);
    m.policy_terms = text_of(v["policy"]["terms"], 500);
    m.warning = text_of(v["warning_messages"][size_t{0}]["message"], 300);
    const json::Value& capabilities = v["capabilities"];
    m.family = text_of(capabilities["family"]);
    if (capabilities["type"].is_string()) {
        m.type = text_of(capabilities["type"], 40);
    }
    m.limits = limits_of(capabilities["limits"]);
    m.supports = supports_of(capabilities["supports"]);
    m.endpoints = endpoints_of(v["supported_endpoints"], m.type);
    read_billing(v["billing"], m);
    return m;
}

}  // namespace

const Model* Catalogue::find(std::string_view id) const {
    const auto at =
        std::find_if(models.begin(), models.end(), [&](const Model& m) { return m.id == id; });
    return at == models.end() ? nullptr : &*at;
}

Result<Catalogue> parse_catalogue(std::string_view body) {
    const json::Value v = TRY(json::parse(body));
    const json::Value& data = v.is_array() ? v : v["data"];
    if (!data.is_array()) {
        return upstream_error(Kind::upstream_malformed, "the model list holds no \"data\" array");
    }
    Catalogue catalogue;
    for (const json::Value& item : data.items()) {
        auto model = read_model(item);
        if (!model || catalogue.find(model->id) != nullptr || catalogue.models.size() >= 1000) {
            ++catalogue.skipped;
            continue;
        }
        catalogue.models.push_back(std::move(*model));
    }
    return catalogue;
}

std::string why_not(const Model& model) {
    if (model.enabled()) {
        return {};
    }
    if (model.policy_state == "unconfigured") {
        return "not enabled yet: accept its terms in your GitHub Copilot settings";
    }
    if (model.policy_state == "disabled") {
        return "turned off in your (or your organisation's) GitHub Copilot settings";
    }
    return "policy state: " + model.policy_state;
}

std::string_view endpoint_path(Endpoint e) {
    switch (e) {
        case Endpoint::chat:
            return "/chat/completions";
        case Endpoint::responses:
            return "/responses";
        case Endpoint::responses_ws:
            return "ws:/responses";
        case Endpoint::messages:
            return "/v1/messages";
        case Endpoint::embeddings:
            return "/embeddings";
    }
    return {};
}

CataloguePtr join_catalogues(const std::vector<CataloguePtr>& lists) {
    if (lists.size() < 2) {
        return lists.empty() ? nullptr : lists.front();
    }
    auto joined = std::make_shared<Catalogue>(*lists.front());
    for (const CataloguePtr& list : lists) {
        for (const Model& model : list->models) {
            if (joined->find(model.id) == nullptr) {
                joined->models.push_back(model);
            }
        }
    }
    return joined;
}

}  // namespace belay::accounts

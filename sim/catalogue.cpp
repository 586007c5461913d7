#include "sim/catalogue.h"

#include <algorithm>
#include <cmath>

#include "sim/fields.h"

namespace belay::sim {
namespace {

constexpr int64_t kDollar = 100'000'000'000;  // nano-credits

// US$ per million tokens, in thousandths, to nano-credits per million.
constexpr int64_t milli_usd(int64_t thousandths) { return thousandths * (kDollar / 1000); }

Price price(int64_t input, int64_t cached, int64_t output, int64_t write = 0) {
    return {milli_usd(input), milli_usd(cached), milli_usd(write), milli_usd(output)};
}

Model gpt(std::string id, std::string name, std::string served_as, Price p) {
    Model m;
    m.id = std::move(id);
    m.name = std::move(name);
    m.vendor = "Azure OpenAI";
    m.served_as = std::move(served_as);
    m.endpoints = {"/chat/completions"};
    m.price = p;
    m.images_max = 1;
    return m;
}

// Reasoning GPTs: effort levels, and the sampling parameters they refuse.
Model reasoning_gpt(std::string id, std::string name, Price p, std::vector<std::string> endpoints,
                    std::vector<std::string> rejects) {
    Model m = gpt(id, std::move(name), id, p);
    m.vendor = "OpenAI";
    m.endpoints = std::move(endpoints);
    m.rejects = std::move(rejects);
    m.efforts = {"low", "medium", "high"};
    m.context = 400000;
    m.prompt_max = 272000;
    m.output_max = 128000;
    m.restricted_to = {"pro", "pro_plus", "max", "business", "enterprise", "edu"};
    return m;
}

Model claude(std::string id, std::string name, Price p) {
    Model m;
    m.id = std::move(id);
    m.name = std::move(name);
    m.vendor = "Anthropic";
    m.served_as = m.id;
    m.family = Family::claude;
    m.endpoints = {"/v1/messages", "/chat/completions"};
    m.policy = Policy::enabled;
    m.price = p;
    m.context = 200000;
    m.prompt_max = 168000;
    m.output_max = 32000;
    m.plain_output_max = 16000;
    m.images_max = 5;
    m.thinking_min = 1024;
    m.thinking_max = 32000;
    m.restricted_to = {"pro", "pro_plus", "max", "business", "enterprise", "edu"};
    return m;
}

Model opus(std::string id, std::string name) {
    Model m = claude(std::move(id), std::move(name), price(5000, 500, 25000, 6250));
    m.category = "powerful";
    m.context = 264000;
    m.prompt_max = 200000;
    m.output_max = 64000;
    m.multiplier_permille = 3000;
    m.efforts = {"low", "medium", "high", "max"};
    m.restricted_to = {"pro_plus", "max", "business", "enterprise"};
    return m;
}

Model gemini(std::string id, std::string name, Price p) {
    Model m;
    m.id = std::move(id);
    m.name = std::move(name);
    m.vendor = "Google";
    m.served_as = m.id;
    m.family = Family::gemini;
    m.endpoints = {"/chat/completions"};
    m.policy = Policy::enabled;
    m.price = p;
    m.context = 128000;
    m.prompt_max = 109000;
    m.output_max = 64000;
    m.images_max = 10;
    m.thinking_min = 128;
    m.thinking_max = 32768;
    m.restricted_to = {"pro", "pro_plus", "max", "business", "enterprise", "edu"};
    return m;
}

Model embedding(std::string id, std::string name, int64_t dimensions) {
    Model m;
    m.id = std::move(id);
    m.name = std::move(name);
    m.vendor = "Azure OpenAI";
    m.served_as = m.id;
    m.type = ModelType::embeddings;
    m.picker = false;
    m.endpoints = {"/embeddings"};
    m.prompt_max = 8191;
    m.context = 8191;
    m.dimensions = dimensions;
    m.multiplier_permille = 0;
    m.price = price(20, 0, 0);
    m.tools = m.structured = false;
    return m;
}

void add_gpts(std::vector<Model>& all) {
    Model m = gpt("gpt-4.1", "GPT-4.1", "gpt-4.1-2025-04-14", price(2000, 500, 8000));
    m.chat_default = m.chat_fallback = true;
    m.multiplier_permille = 0;
    all.push_back(m);
    m = gpt("gpt-4o", "GPT-4o", "gpt-4o-2024-11-20", price(2500, 1250, 10000));
    m.multiplier_permille = 0;
    m.prompt_max = 64000;
    all.push_back(m);
    m.id = "gpt-4o-2024-11-20";
    m.picker = false;
    all.push_back(m);
    m = gpt("gpt-4o-mini", "GPT-4o mini", "gpt-4o-mini-2024-07-18", price(150, 75, 600));
    m.category = "lightweight";
    m.multiplier_permille = 0;
    m.output_max = 4096;
    m.picker = false;
    all.push_back(m);
    m = reasoning_gpt("gpt-5-mini", "GPT-5 mini", price(250, 25, 2000),
                      {"/chat/completions", "/responses"}, {});
    m.category = "lightweight";
    m.served_as = "gpt-5-mini-2025-08-07";
    m.multiplier_permille = 0;
    m.context = 264000;
    m.prompt_max = 128000;
    m.output_max = 64000;
    m.restricted_to = {};
    all.push_back(m);
    all.push_back(reasoning_gpt("gpt-5.3-codex", "GPT-5.3-Codex", price(1750, 175, 14000),
                                {"/responses", "ws:/responses"}, {"temperature", "top_p"}));
    all.back().efforts = {"low", "medium", "high", "xhigh"};
    m = reasoning_gpt("gpt-5.4", "GPT-5.4", price(2500, 250, 15000),
                      {"/responses", "ws:/responses", "/chat/completions"},
                      {"max_tokens", "top_p", "temperature"});
    m.long_price = price(5000, 500, 22500);
    m.long_from = 272000;
    m.prompt_max = 922000;
    m.context = 1050000;
    m.category = "powerful";
    all.push_back(m);
    m = reasoning_gpt("gpt-5.4-mini", "GPT-5.4 mini", price(750, 75, 4500),
                      {"/responses", "ws:/responses"}, {"max_tokens", "top_p"});
    m.multiplier_permille = 330;
    m.category = "lightweight";
    all.push_back(m);
    m = reasoning_gpt("gpt-5.5", "GPT-5.5", price(5000, 500, 30000),
                      {"/responses", "ws:/responses"}, {"max_tokens", "top_p", "temperature"});
    m.multiplier_permille = 7500;
    m.restricted_to = {"pro_plus", "max", "business", "enterprise"};
    m.category = "powerful";
    all.push_back(m);
    m = reasoning_gpt("grok-4.5", "Grok 4.5", price(2000, 500, 6000),
                      {"/chat/completions", "/responses"}, {});
    m.vendor = "xAI";
    m.policy = Policy::disabled;
    m.efforts = {};
    all.push_back(m);
}

void add_claudes(std::vector<Model>& all) {
    Model m = claude("claude-haiku-4.5", "Claude Haiku 4.5", price(1000, 100, 5000, 1250));
    m.category = "lightweight";
    m.multiplier_permille = 330;
    m.restricted_to = {};
    all.push_back(m);
    all.push_back(claude("claude-sonnet-4.5", "Claude Sonnet 4.5", price(3000, 300, 15000, 3750)));
    m = claude("claude-sonnet-4.6", "Claude Sonnet 4.6", price(3000, 300, 15000, 3750));
    m.adaptive_thinking = true;
    m.efforts = {"low", "medium", "high"};
    all.push_back(m);
    all.push_back(opus("claude-opus-4.5", "Claude Opus 4.5"));
    m = opus("claude-opus-4.6", "Claude Opus 4.6");
    m.adaptive_thinking = true;
    all.push_back(m);
    m = opus("claude-opus-4.7", "Claude Opus 4.7");
    m.adaptive_thinking = true;
    m.enabled_thinking = false;
    m.multiplier_permille = 7500;
    m.efforts = {"low", "medium", "high", "xhigh", "max"};
    all.push_back(m);
}

void add_geminis(std::vector<Model>& all) {
    all.push_back(gemini("gemini-2.5-pro", "Gemini 2.5 Pro", price(1250, 125, 10000)));
    Model m = gemini("gemini-3-pro-preview", "Gemini 3 Pro (Preview)", price(2000, 200, 12000));
    m.category = "powerful";
    m.preview = true;
    all.push_back(m);
    m = gemini("gemini-3-flash-preview", "Gemini 3 Flash (Preview)", price(500, 50, 3000));
    m.category = "lightweight";
    m.preview = true;
    m.multiplier_permille = 330;
    all.push_back(m);
    m = gemini("gemini-3.1-pro-preview", "Gemini 3.1 Pro (Preview)", price(2000, 200, 12000));
    m.category = "powerful";
    m.preview = true;
    m.long_price = price(4000, 400, 18000);
    m.long_from = 200000;
    all.push_back(m);
}

json::Value strings(const std::vector<std::string>& list) {
    json::Value v = json::Value::array();
    for (const auto& s : list) {
        v.push(s);
    }
    return v;
}

// Credits (not nano) per million, as the catalogue states them.
json::Value credits(int64_t nano) {
    if (nano % 1'000'000'000 == 0) {
        return nano / 1'000'000'000;
    }
    return static_cast<double>(nano) / 1e9;
}

json::Value render_price(const Price& p, int64_t prompt_max) {
    json::Value v = json::Value::object({{"input_price", credits(p.input)},
                                         {"output_price", credits(p.output)},
                                         {"cache_price", credits(p.cached)}});
    if (p.cache_write != 0) {
        v.set("cache_write_price", credits(p.cache_write));
    }
    v.set("max_prompt_tokens", prompt_max);
    return v;
}

json::Value render_billing(const Model& m) {
    json::Value prices = json::Value::object({{"batch_size", 1'000'000}});
    prices.set("default", render_price(m.price, m.long_price ? m.long_from : m.prompt_max));
    if (m.long_price) {
        prices.set("long_context", render_price(*m.long_price, m.prompt_max));
    }
    json::Value v = json::Value::object({{"is_premium", m.multiplier_permille != 0}});
    v.set("multiplier", m.multiplier_permille % 1000 == 0
                            ? json::Value(m.multiplier_permille / 1000)
                            : json::Value(m.multiplier_permille / 1000.0));
    if (!m.restricted_to.empty()) {
        v.set("restricted_to", strings(m.restricted_to));
    }
    v.set("token_prices", std::move(prices));
    return v;
}

json::Value render_limits(const Model& m) {
    json::Value v = json::Value::object(
        {{"max_context_window_tokens", m.context}, {"max_prompt_tokens", m.prompt_max}});
    if (m.type == ModelType::embeddings) {
        return json::Value::object({{"max_inputs", m.inputs_max}});
    }
    v.set("max_output_tokens", m.output_max);
    if (m.plain_output_max != 0) {
        v.set("max_non_streaming_output_tokens", m.plain_output_max);
    }
    if (m.images_max != 0) {
        v.set("vision", json::Value::object(
                            {{"max_prompt_image_size", 3145728},
                             {"max_prompt_images", m.images_max},
                             {"supported_media_types",
                              strings({"image/jpeg", "image/png", "image/webp", "image/gif"})}}));
    }
    return v;
}

json::Value render_supports(const Model& m) {
    if (m.type == ModelType::embeddings) {
        return json::Value::object({{"dimensions", true}});
    }
    json::Value v = json::Value::object({{"streaming", true}});
    if (m.tools) {
        v.set("tool_calls", true);
        v.set("parallel_tool_calls", true);
    }
    if (m.images_max != 0) {
        v.set("vision", true);
    }
    if (m.structured) {
        v.set("structured_outputs", true);
    }
    if (m.adaptive_thinking) {
        v.set("adaptive_thinking", true);
    }
    if (m.thinking_max != 0) {
        v.set("min_thinking_budget", m.thinking_min);
        v.set("max_thinking_budget", m.thinking_max);
    }
    if (!m.efforts.empty()) {
        v.set("reasoning_effort", strings(m.efforts));
    }
    return v;
}

}  // namespace

bool Model::serves(std::string_view endpoint) const {
    return std::find(endpoints.begin(), endpoints.end(), endpoint) != endpoints.end();
}

std::vector<Model> default_catalogue() {
    std::vector<Model> all;
    add_gpts(all);
    add_claudes(all);
    add_geminis(all);
    all.push_back(embedding("text-embedding-3-small", "Embedding V3 small", 1536));
    all.push_back(embedding("text-embedding-ada-002", "Embedding V2 Ada", 1536));
    return all;
}

std::string_view policy_name(Policy policy) {
    switch (policy) {
        case Policy::none:
            return "none";
        case Policy::enabled:
            return "enabled";
        case Policy::disabled:
            return "disabled";
        case Policy::unconfigured:
            return "unconfigured";
    }
    return "none";
}

json::Value render_model(const Model& m, Policy policy) {
    json::Value v = json::Value::object({{"id", m.id},
                                         {"object", "model"},
                                         {"name", m.name},
                                         {"vendor", m.vendor},
                                         {"version", m.served_as},
                                         {"preview", m.preview},
                                         {"model_picker_enabled", m.picker}});
    if (m.picker) {
        v.set("model_picker_category", m.category);
    }
    v.set("is_chat_default", m.chat_default);
    v.set("is_chat_fallback", m.chat_fallback);
    v.set("supported_endpoints", strings(m.endpoints));
    v.set("billing", render_billing(m));
    if (policy != Policy::none) {
        v.set("policy", json::Value::object(
                            {{"state", std::string(policy_name(policy))},
                             {"terms", "Enable access to the latest " + m.name + " model."}}));
    }
    json::Value capabilities = json::Value::object(
        {{"object", "model_capabilities"},
         {"type", m.type == ModelType::chat ? "chat" : "embeddings"},
         {"family", m.id},
         {"tokenizer", m.type == ModelType::chat ? "o200k_base" : "cl100k_base"}});
    capabilities.set("limits", render_limits(m));
    capabilities.set("supports", render_supports(m));
    v.set("capabilities", std::move(capabilities));
    return v;
}

Result<Model> parse_model(const json::Value& value, Model m) {
    Fields f(value, "models[" + m.id + "]");
    std::string family;
    std::string policy;
    std::string type;
    double multiplier = m.multiplier_permille / 1000.0;
    std::string like;
    f.text("id", m.id);
    f.text("like", like);
    f.text("name", m.name);
    f.text("vendor", m.vendor);
    f.text("served_as", m.served_as);
    f.choice("family", family, {"gpt", "claude", "gemini"});
    f.choice("type", type, {"chat", "embeddings"});
    f.choice("policy", policy, {"none", "enabled", "disabled", "unconfigured"});
    f.text("category", m.category);
    f.flag("picker", m.picker);
    f.flag("preview", m.preview);
    f.flag("chat_fallback", m.chat_fallback);
    f.texts("endpoints", m.endpoints);
    f.texts("restricted_to", m.restricted_to);
    f.texts("efforts", m.efforts);
    f.texts("rejects", m.rejects);
    f.number("multiplier", multiplier);
    f.integer("context", m.context);
    f.integer("prompt_max", m.prompt_max);
    f.integer("output_max", m.output_max);
    f.integer("plain_output_max", m.plain_output_max);
    f.integer("images_max", m.images_max);
    f.integer("inputs_max", m.inputs_max);
    f.integer("dimensions", m.dimensions);
    f.integer("thinking_min", m.thinking_min);
    f.integer("thinking_max", m.thinking_max);
    f.flag("tools", m.tools);
    f.flag("structured", m.structured);
    f.flag("adaptive_thinking", m.adaptive_thinking);
    f.flag("enabled_thinking", m.enabled_thinking);
    if (const json::Value* p = f.any("price_usd")) {  // US$ per million tokens
        Fields pf(*p, "models[" + m.id + "].price_usd");
        double in = 0, cached = 0, out = 0, write = 0;
        pf.number("input", in);
        pf.number("cached", cached);
        pf.number("output", out);
        pf.number("cache_write", write);
        TRY(pf.finish());
        auto nano = [](double usd) { return std::llround(usd * static_cast<double>(kDollar)); };
        m.price = {nano(in), nano(cached), nano(write), nano(out)};
        m.long_price.reset();
    }
    TRY(f.finish());
    m.multiplier_permille = static_cast<int>(std::lround(multiplier * 1000));
    if (!family.empty()) {
        m.family = family == "claude"   ? Family::claude
                   : family == "gemini" ? Family::gemini
                                        : Family::gpt;
    }
    if (!type.empty()) {
        m.type = type == "chat" ? ModelType::chat : ModelType::embeddings;
    }
    if (!policy.empty()) {
        m.policy = policy == "enabled"    ? Policy::enabled
                   : policy == "disabled" ? Policy::disabled
                   : policy == "none"     ? Policy::none
                                          : Policy::unconfigured;
    }
    return m;
}

}  // namespace belay::sim

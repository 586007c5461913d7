#pragma once
// The model catalogue: what GET /models tells about each model and what the world enforces of it
// (endpoints, limits, rejected parameters, prices). Values follow the live catalogue as seen in mid
// 2026; a scenario changes any of them.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "wire/json.h"

namespace belay::sim {

// Response flavour: which upstream's habits an answer shows.
enum class Family : uint8_t { gpt, claude, gemini };
enum class ModelType : uint8_t { chat, embeddings };
enum class Policy : uint8_t { none, enabled, disabled, unconfigured };

// Nano-credits per million tokens (US$ 1 per million = 10^11).
struct Price {
    int64_t input = 0;
    int64_t cached = 0;
    int64_t cache_write = 0;
    int64_t output = 0;
    bool operator==(const Price&) const = default;
};

struct Model {
    std::string id;
    std::string name;  // for people, and the `model` of Claude's plain chat replies
    std::string vendor;
    std::string served_as;  // the `model` of GPT replies ("gpt-4.1-2025-04-14")
    Family family = Family::gpt;
    ModelType type = ModelType::chat;
    std::string category = "versatile";
    bool picker = true;
    bool preview = false;
    bool chat_default = false;
    bool chat_fallback = false;
    std::vector<std::string> endpoints;      // supported_endpoints
    std::vector<std::string> restricted_to;  // SKU classes; empty = everybody
    Policy policy = Policy::none;
    int multiplier_permille = 1000;  // premium requests per user call, in thousandths
    Price price;
    std::optional<Price> long_price;  // above long_from prompt tokens
    int64_t long_from = 0;
    int64_t context = 128000;
    int64_t prompt_max = 128000;
    int64_t output_max = 16384;
    int64_t plain_output_max = 0;  // max_non_streaming_output_tokens; 0 = not stated
    int64_t images_max = 0;        // 0 = no vision
    int64_t inputs_max = 512;      // embeddings
    int64_t dimensions = 1536;     // embeddings
    bool tools = true;
    bool structured = true;
    bool adaptive_thinking = false;
    bool enabled_thinking = true;  // thinking.type "enabled" is accepted on /v1/messages
    int64_t thinking_min = 0;      // budget range; 0 = no thinking budget
    int64_t thinking_max = 0;
    std::vector<std::string> efforts;  // supports.reasoning_effort
    std::vector<std::string> rejects;  // parameters refused with "Unsupported parameter"

    [[nodiscard]] bool serves(std::string_view endpoint) const;
};

[[nodiscard]] std::vector<Model> default_catalogue();
// The object of GET /models.
[[nodiscard]] json::Value render_model(const Model& model, Policy policy);
// Changes `base` by the members of a scenario's model object; unknown members are refused.
[[nodiscard]] Result<Model> parse_model(const json::Value& value, Model base);
[[nodiscard]] std::string_view policy_name(Policy policy);

}  // namespace belay::sim

#pragma once
// GET /models: what the subscription offers. Read leniently: a model needs an id, everything else
// has a default; a model that makes no sense is left out and counted. Prices become nano-credits.
// Pure.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/money.h"
#include "base/result.h"

namespace belay::accounts {

struct TokenRates {
    PricePerMillion input;
    PricePerMillion output;
    PricePerMillion cache_read;
    PricePerMillion cache_write;
    bool operator==(const TokenRates&) const = default;
};

// `long_context` holds from `long_context_from` prompt tokens on (0 = there is no such tier).
struct ModelPrice {
    TokenRates base;
    TokenRates long_context;
    int64_t long_context_from = 0;
    bool operator==(const ModelPrice&) const = default;
};

struct ModelLimits {  // tokens; 0 = not said
    int64_t context = 0;
    int64_t prompt = 0;
    int64_t output = 0;
    int64_t output_plain = 0;  // cap of replies that do not stream
    int64_t images = 0;
    int64_t image_bytes = 0;
    int64_t inputs = 0;  // embeddings: texts per call
};

struct ModelSupports {
    bool streaming = false;
    bool tools = false;
    bool parallel_tools = false;
    bool vision = false;
    bool structured_outputs = false;
    bool adaptive_thinking = false;
    bool dimensions = false;
    int64_t thinking_budget_min = 0;
    int64_t thinking_budget_max = 0;
    std::vector<std::string> reasoning_effort;
};

enum class Endpoint : uint8_t {
    chat = 1,
    responses = 2,
    responses_ws = 4,
    messages = 8,
    embeddings = 16
};

struct Model {
    std::string id;
    std::string name;
    std::string vendor;
    std::string version;
    std::string family;
    std::string type = "chat";  // chat, embeddings, completion
    std::string category;       // lightweight, versatile, powerful
    std::string policy_state;   // "" = no opt-in needed; enabled, disabled, unconfigured
    std::string policy_terms;
    std::string warning;  // first of warning_messages
    std::vector<std::string> restricted_to;
    uint8_t endpoints = 0;  // bits of Endpoint; never 0 after parsing
    ModelLimits limits;
    ModelSupports supports;
    std::optional<int32_t> multiplier_milli;  // premium requests x 1000 (0.33 = 330)
    std::optional<ModelPrice> price;
    bool preview = false;
    bool picker = false;
    bool chat_default = false;
    bool chat_fallback = false;

    [[nodiscard]] bool offers(Endpoint e) const { return endpoints & static_cast<uint8_t>(e); }
    [[nodiscard]] bool enabled() const { return policy_state.empty() || policy_state == "enabled"; }
};

struct Catalogue {
    std::vector<Model> models;  // in the upstream's order
    size_t skipped = 0;         // entries without an id
    Wall fetched_at = Wall::min();

    [[nodiscard]] const Model* find(std::string_view id) const;
};

using CataloguePtr = std::shared_ptr<const Catalogue>;

[[nodiscard]] Result<Catalogue> parse_catalogue(std::string_view body);

// "" when it can be used, else one phrase: "turned off in your GitHub settings".
[[nodiscard]] std::string why_not(const Model& model);

[[nodiscard]] std::string_view endpoint_path(Endpoint e);

// The models of several accounts, each by its first mention; null when there is no list.
[[nodiscard]] CataloguePtr join_catalogues(const std::vector<CataloguePtr>& lists);

}  // namespace belay::accounts

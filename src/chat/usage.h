#pragma once
// What a call consumed, by class, and what it cost. Classes do not overlap: prompt tokens as OpenAI
// counts them are input + cache_read + cache_write.
#include <cstdint>
#include <optional>
#include <string>

#include "base/money.h"

namespace belay::chat {

struct Usage {
    int64_t input = 0;  // fresh prompt tokens
    int64_t cache_read = 0;
    int64_t cache_write = 0;
    int64_t output = 0;                        // completion tokens, reasoning included
    int64_t reasoning = 0;                     // part of output
    std::optional<NanoCredits> upstream_cost;  // copilot_usage.total_nano_aiu, when given

    bool operator==(const Usage&) const = default;
    [[nodiscard]] int64_t prompt() const { return input + cache_read + cache_write; }
    [[nodiscard]] int64_t total() const { return prompt() + output; }
    [[nodiscard]] bool empty() const { return prompt() == 0 && output == 0; }
};

enum class CostSource : uint8_t { upstream, configured, catalogue, price_table, unknown };
[[nodiscard]] std::string_view cost_source_name(CostSource source);

// Prices of one model in nano-credits per million tokens. Absent parts fall back as LiteLLM does:
// cache_read and cache_write to input.
struct PriceCard {
    PricePerMillion input;
    PricePerMillion output;
    std::optional<PricePerMillion> cache_read;
    std::optional<PricePerMillion> cache_write;
    // Above this many prompt tokens `long_context` replaces the whole card; 0 = no tier.
    int64_t long_context_above = 0;
    PricePerMillion long_input, long_output;
    std::optional<PricePerMillion> long_cache_read, long_cache_write;

    bool operator==(const PriceCard&) const = default;
};

[[nodiscard]] NanoCredits price(const Usage& usage, const PriceCard& card);

}  // namespace belay::chat

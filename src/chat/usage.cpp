#include "chat/usage.h"

#include <algorithm>
#include <limits>

namespace belay::chat {
namespace {

constexpr int64_t kTokensPerPrice = 1'000'000;

// The four prices that hold for one call.
struct Rates {
    PricePerMillion input, output, cache_read, cache_write;
};

Rates rates_for(const Usage& usage, const PriceCard& card) {
    if (card.long_context_above > 0 && usage.prompt() > card.long_context_above) {
        return {card.long_input, card.long_output, card.long_cache_read.value_or(card.long_input),
                card.long_cache_write.value_or(card.long_input)};
    }
    return {card.input, card.output, card.cache_read.value_or(card.input),
            card.cache_write.value_or(card.input)};
}

// An upstream that reports a negative count is wrong, not owed money.
__int128 product(int64_t tokens, PricePerMillion price) {
    return static_cast<__int128>(std::max<int64_t>(tokens, 0)) * price.nanocredits;
}

}  // namespace

std::string_view cost_source_name(CostSource source) {
    switch (source) {
        case CostSource::upstream:
            return "upstream";
        case CostSource::configured:
            return "configured";
        case CostSource::catalogue:
            return "catalogue";
        case CostSource::price_table:
            return "price_table";
        case CostSource::unknown:
            return "unknown";
    }
    return "unknown";
}

// Summed exactly and rounded once: four roundings would drift from what the upstream bills.
NanoCredits price(const Usage& usage, const PriceCard& card) {
    const Rates rates = rates_for(usage, card);
    const __int128 sum =
        product(usage.input, rates.input) + product(usage.cache_read, rates.cache_read) +
        product(usage.cache_write, rates.cache_write) + product(usage.output, rates.output);
    const __int128 half = sum < 0 ? -(kTokensPerPrice / 2) : kTokensPerPrice / 2;
    const __int128 rounded = (sum + half) / kTokensPerPrice;
    constexpr __int128 kMost = std::numeric_limits<int64_t>::max();
    constexpr __int128 kLeast = std::numeric_limits<int64_t>::min();
    return {static_cast<int64_t>(std::clamp(rounded, kLeast, kMost))};
}

}  // namespace belay::chat

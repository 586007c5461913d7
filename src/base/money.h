#pragma once
// Money: signed 64-bit nano-credits, the unit Copilot bills in. 1 AI credit = US$ 0.01 = 10^9
// nano-credits, so 1 nano-credit = 10^-11 US$. Never floating point, never summed in dollars.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace belay {

struct NanoCredits {
    int64_t value = 0;
    auto operator<=>(const NanoCredits&) const = default;
};

// a + b, clamped to the ends of the range instead of wrapping.
[[nodiscard]] NanoCredits add(NanoCredits a, NanoCredits b);

// A price: nano-credits per 10^6 tokens (US$ 5 per million = 500 credits = 5 * 10^11).
struct PricePerMillion {
    int64_t nanocredits = 0;
    bool operator==(const PricePerMillion&) const = default;
};

// tokens x price, rounded half up, in 128 bits, clamped. tokens < 0 counts as 0.
[[nodiscard]] NanoCredits cost(int64_t tokens, PricePerMillion price);

// Exact decimal text ("0.000005", "5e-06", "1.25") of US$ per token to a price per million.
[[nodiscard]] Result<PricePerMillion> parse_usd_per_token(std::string_view text);
// Exact decimal text of US$ to nano-credits.
[[nodiscard]] Result<NanoCredits> parse_usd(std::string_view text);

// "0.000534": US$ with every digit that matters, no trailing zeros, never an exponent.
[[nodiscard]] std::string render_usd(NanoCredits amount);
// "0.0534": credits, the same way.
[[nodiscard]] std::string render_credits(NanoCredits amount);

}  // namespace belay

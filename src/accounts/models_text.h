#pragma once
// `belay models`: the subscription's models as a table that fits the terminal, or as JSON. Pure.
//
//   MODEL             VENDOR     CONTEXT  ENDPOINTS       $ PER MILLION  USABLE
//   claude-opus-4.6   Anthropic     264K  chat messages   5 in, 25 out   yes
//   gpt-5-mini        OpenAI        264K  chat responses  0.33x          yes
#include <cstddef>
#include <string>

#include "accounts/catalogue.h"

namespace belay::accounts {

enum class Billing : uint8_t { credits, requests };

struct TableOptions {
    size_t width = 80;                   // columns of the terminal
    Billing billing = Billing::credits;  // what the account counts: prices, or multipliers
};

[[nodiscard]] std::string render_models_table(const Catalogue& catalogue,
                                              const TableOptions& options);

// {"object": "list", "data": [{id, name, vendor, ..., enabled, reason}]}; prices are US$ per
// million.
[[nodiscard]] std::string render_models_json(const Catalogue& catalogue);

// "264K", "1M", "8191"; "" for 0.
[[nodiscard]] std::string render_tokens(int64_t tokens);

}  // namespace belay::accounts

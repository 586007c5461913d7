#pragma once
// What a call costs. The first source that knows wins: the upstream's own figure, the price
// configured on the deployment, the upstream's live catalogue, the table shipped with the program;
// else the cost is unknown, which is a state of its own and never zero.
//
// The shipped table (prices.inc, facts of public price lists) is embedded as text, sorted by name,
// and searched in place: nothing is parsed at start and nothing is kept on the heap.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "chat/usage.h"

namespace belay::ledger {

struct Cost {
    NanoCredits amount;
    chat::CostSource source = chat::CostSource::unknown;
    bool operator==(const Cost&) const = default;
};

// `configured` and `catalogue` may be null; `shipped` too.
[[nodiscard]] Cost cost_of(const chat::Usage& usage, const chat::PriceCard* configured,
                           const chat::PriceCard* catalogue, const chat::PriceCard* shipped);

// One row of the shipped table.
struct ModelFacts {
    std::string_view name;  // as it stands in the table: "github_copilot/gpt-5-mini", "gpt-5-mini"
    std::string_view provider;             // LiteLLM's provider name
    std::string_view mode;                 // "chat", "embedding", ...
    std::optional<chat::PriceCard> price;  // absent: listed without a price
    std::optional<int64_t> max_input_tokens;
    std::optional<int64_t> max_output_tokens;
    // False: the table does not say what the model supports, and the supports_* below mean nothing.
    bool supports_known = false;
    bool supports_tools = false;
    bool supports_vision = false;
    bool supports_reasoning = false;
    bool supports_parallel_tools = false;
    bool supports_response_schema = false;
    bool supports_prompt_caching = false;
    bool supports_pdf = false;
    bool supports_web_search = false;
    bool retired = false;  // withdrawn from Copilot; kept to price old calls
};

// LiteLLM's order: base_model (when not empty), provider/model, model, then the name with a date or
// a region cut off. For Copilot, dashed and dated Claude names find their dotted rows. Costs a
// handful of binary searches.
[[nodiscard]] std::optional<ModelFacts> find_facts(std::string_view provider,
                                                   std::string_view model,
                                                   std::string_view base_model = {});
// The shipped table's price by the same rules; rows without a price are passed over. Cheap the
// second time on a thread.
[[nodiscard]] std::optional<chat::PriceCard> find_price(std::string_view provider,
                                                        std::string_view model,
                                                        std::string_view base_model = {});

// Premium requests x 1000 that one user-initiated call of a Copilot model costs an annual plan,
// from the public multiplier table; nullopt = not listed. The live catalogue's billing.multiplier
// comes first.
[[nodiscard]] std::optional<int64_t> find_premium_milli(std::string_view model);

}  // namespace belay::ledger

#include "ledger/price.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace belay::ledger {
namespace {

using chat::CostSource;
using chat::PriceCard;
using chat::Usage;

PricePerMillion usd(const char* per_million) { return {parse_usd(per_million)->value}; }

// Guarantee: the worked example of the upstream's own bill comes out to the nano-credit: 1,200
// fresh, 800 cached and 107 completion tokens at 25, 2.5 and 200 credits per million are 0.0534
// credits.
TEST_CASE("the upstream's worked example") {
    PriceCard card;
    card.input = {25'000'000'000};
    card.cache_read = PricePerMillion{2'500'000'000};
    card.cache_write = PricePerMillion{0};
    card.output = {200'000'000'000};
    Usage usage;
    usage.input = 1200;
    usage.cache_read = 800;
    usage.output = 107;
    const Cost cost = cost_of(usage, nullptr, &card, nullptr);
    CHECK(cost.amount.value == 53'400'000);
    CHECK(cost.source == CostSource::catalogue);
    CHECK(render_credits(cost.amount) == "0.0534");
    CHECK(render_usd(cost.amount) == "0.000534");
}

// Guarantee: the first source that knows wins, and no source at all is "unknown", not "free".
TEST_CASE("the order of sources") {
    PriceCard configured, catalogue, shipped;
    configured.input = usd("1");
    catalogue.input = usd("2");
    shipped.input = usd("3");
    struct Case {
        std::optional<NanoCredits> upstream;
        const PriceCard* configured;
        const PriceCard* catalogue;
        const PriceCard* shipped;
        int64_t amount;
        CostSource source;
    };
    for (const Case& c : {
             Case{NanoCredits{7}, &configured, &catalogue, &shipped, 7, CostSource::upstream},
             Case{{}, &configured, &catalogue, &shipped, 100'000'000'000, CostSource::configured},
             Case{{}, nullptr, &catalogue, &shipped, 200'000'000'000, CostSource::catalogue},
             Case{{}, nullptr, nullptr, &shipped, 300'000'000'000, CostSource::price_table},
             Case{{}, nullptr, nullptr, nullptr, 0, CostSource::unknown},
             Case{NanoCredits{0}, nullptr, nullptr, &shipped, 0, CostSource::upstream},
         }) {
        Usage usage;
        usage.input = 1'000'000;
        usage.upstream_cost = c.upstream;
        CHECK(cost_of(usage, c.configured, c.catalogue, c.shipped) ==
              Cost{NanoCredits{c.amount}, c.source});
    }
}

// Guarantee: LiteLLM's formula. Cached tokens at their own price, or at the input price when none
// is named; reasoning is part of the output; above the tier the whole request costs the tier's
// prices.
TEST_CASE("the token cost formula") {
    PriceCard full;
    full.input = usd("5");
    full.output = usd("25");
    full.cache_read = usd("0.5");
    full.cache_write = usd("6.25");
    PriceCard bare;
    bare.input = usd("5");
    bare.output = usd("25");
    PriceCard tiered = bare;
    tiered.long_context_above = 200'000;
    tiered.long_input = usd("10");
    tiered.long_output = usd("37.5");
    struct Case {
        const char* what;
        const PriceCard* card;
        Usage usage;
        const char* usd_total;
    };
    for (const Case& c : {
             Case{"plain", &full, {1000, 0, 0, 100, 0, {}}, "0.0075"},
             Case{"cache read", &full, {1000, 2000, 0, 100, 0, {}}, "0.0085"},
             Case{"cache write", &full, {1000, 0, 400, 100, 0, {}}, "0.01"},
             Case{"cache without a price", &bare, {1000, 2000, 400, 100, 0, {}}, "0.0195"},
             Case{"reasoning within output", &full, {1000, 0, 0, 100, 90, {}}, "0.0075"},
             Case{"at the tier", &tiered, {200'000, 0, 0, 0, 0, {}}, "1"},
             Case{"above the tier", &tiered, {200'001, 0, 0, 0, 0, {}}, "2.00001"},
             Case{"tier counts cached", &tiered, {100'000, 100'001, 0, 1000, 0, {}}, "2.03751"},
             Case{"nothing", &full, {}, "0"},
         }) {
        CAPTURE(std::string(c.what));
        CHECK(render_usd(cost_of(c.usage, c.card, nullptr, nullptr).amount) == c.usd_total);
    }
}

// Guarantee: a model is found under LiteLLM's names for it, in LiteLLM's order, and Copilot's under
// every spelling of Claude's versions.
TEST_CASE("models are found by the names they go by") {
    struct Case {
        std::string provider;
        std::string model;
        std::string base_model;
        const char* input_usd;  // nullptr = no price
    };
    for (const Case& c : {
             Case{"github_copilot", "gpt-5-mini", "", "0.25"},
             Case{"github_copilot", "claude-opus-4.6", "", "5"},
             Case{"github_copilot", "claude-opus-4-6", "", "5"},
             Case{"github_copilot", "claude-sonnet-4-5-20250929", "", "3"},
             Case{"github_copilot", "claude-haiku-4.5", "", "1"},
             Case{"github_copilot", "gpt-5.3-codex", "", "1.75"},
             Case{"github_copilot", "gemini-3.1-pro-preview", "", "2"},
             Case{"github_copilot", "grok-code-fast-1", "", "1"},
             Case{"openai", "gpt-5-mini", "", "0.25"},
             Case{"openai", "gpt-4.1", "", "2"},
             Case{"openai", "gpt-4.1-2025-04-14", "", "2"},
             Case{"azure", "my-deployment", "gpt-4o", "2.5"},
             Case{"hosted_vllm", "qwen", "", nullptr},
             Case{"github_copilot", "never-heard-of", "", nullptr},
             Case{"", "", "", nullptr},
         }) {
        CAPTURE(c.provider);
        CAPTURE(c.model);
        const auto price = find_price(c.provider, c.model, c.base_model);
        REQUIRE(price.has_value() == (c.input_usd != nullptr));
        if (price) {
            CHECK(render_usd(NanoCredits{price->input.nanocredits}) == c.input_usd);
        }
    }
}

// Guarantee: the shipped table is whole: every row can be found by its own name (so the order is
// right) and reads without loss.
TEST_CASE("every row of the table can be found") {
    constexpr std::string_view kTable =
#include "ledger/prices.inc"
        ;
    size_t rows = 0;
    size_t priced = 0;
    std::string_view rest = kTable.substr(1);
    while (!rest.empty()) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(line.size() + 1);
        const std::string_view name = line.substr(0, line.find(' '));
        CAPTURE(std::string(name));
        const auto facts = find_facts("", "", name);
        REQUIRE(facts.has_value());
        CHECK(facts->name == name);
        CHECK(!facts->provider.empty());
        CHECK(!facts->mode.empty());
        if (facts->price) {
            ++priced;
            CHECK(facts->price->input.nanocredits >= 0);
            CHECK((facts->price->long_context_above == 0 ||
                   facts->price->long_input.nanocredits > facts->price->input.nanocredits));
        }
        ++rows;
    }
    CHECK(rows > 180);
    CHECK(priced > 150);
}

// Guarantee: limits and abilities come with the row, and "not stated" is told from "no".
TEST_CASE("facts beside the price") {
    const auto haiku = find_facts("github_copilot", "claude-haiku-4.5");
    REQUIRE(haiku.has_value());
    CHECK(haiku->max_input_tokens == 128'000);
    CHECK(haiku->max_output_tokens == 16'000);
    CHECK(haiku->supports_known);
    CHECK(haiku->supports_tools);
    CHECK(haiku->supports_vision);
    const auto opus = find_facts("github_copilot", "claude-opus-5");
    REQUIRE(opus.has_value());
    CHECK(!opus->supports_known);
    CHECK(!opus->max_input_tokens.has_value());
    CHECK(find_price("github_copilot", "gpt-5.4")->long_context_above == 272'000);
}

// Guarantee: premium multipliers are thousandths, by any spelling of the name; others are not
// guessed.
TEST_CASE("premium multipliers") {
    CHECK(find_premium_milli("claude-opus-4.6") == 27'000);
    CHECK(find_premium_milli("claude-opus-4-6-20260205") == 27'000);
    CHECK(find_premium_milli("gpt-5-mini") == 330);
    CHECK(!find_premium_milli("never-heard-of").has_value());
}

}  // namespace
}  // namespace belay::ledger

#include "chat/usage.h"

#include <doctest/doctest.h>

#include <limits>

namespace belay::chat {
namespace {

constexpr int64_t kDollarPerMillion = 100'000'000'000;  // US$ 1 per million tokens, in nano-credits

PricePerMillion usd(double per_million) {
    return {static_cast<int64_t>(per_million * static_cast<double>(kDollarPerMillion))};
}

Usage used(int64_t input, int64_t cache_read, int64_t cache_write, int64_t output) {
    Usage u;
    u.input = input;
    u.cache_read = cache_read;
    u.cache_write = cache_write;
    u.output = output;
    return u;
}

// The card of the upstream's own worked example: 250 / 25 / - / 2000 credits per billion.
PriceCard example_card() {
    PriceCard card;
    card.input = {25'000'000'000};
    card.output = {200'000'000'000};
    card.cache_read = PricePerMillion{2'500'000'000};
    return card;
}

TEST_CASE("a call costs what the upstream's worked example says") {
    CHECK(price(used(1200, 800, 0, 107), example_card()).value == 53'400'000);
}

TEST_CASE("every class is charged at its own rate, and an absent cache rate is the input rate") {
    PriceCard card;
    card.input = usd(5);
    card.output = usd(25);
    struct Row {
        Usage usage;
        std::optional<PricePerMillion> read, write;
        int64_t expected;
    };
    const Row rows[] = {
        {used(1'000'000, 0, 0, 0), {}, {}, 5 * kDollarPerMillion},
        {used(0, 0, 0, 1'000'000), {}, {}, 25 * kDollarPerMillion},
        {used(0, 1'000'000, 0, 0), {}, {}, 5 * kDollarPerMillion},
        {used(0, 0, 1'000'000, 0), {}, {}, 5 * kDollarPerMillion},
        {used(0, 1'000'000, 0, 0), usd(0.5), {}, kDollarPerMillion / 2},
        {used(0, 0, 1'000'000, 0), usd(0.5), usd(6.25), kDollarPerMillion * 25 / 4},
        {used(0, 1'000'000, 0, 0), PricePerMillion{0}, {}, 0},  // an explicit 0 is a price
        {used(0, 0, 0, 0), {}, {}, 0},
    };
    for (const Row& row : rows) {
        card.cache_read = row.read;
        card.cache_write = row.write;
        CHECK(price(row.usage, card).value == row.expected);
    }
}

TEST_CASE("reasoning tokens are part of the output and are not charged twice") {
    PriceCard card;
    card.output = usd(10);
    Usage u = used(0, 0, 0, 1000);
    u.reasoning = 900;
    CHECK(price(u, card) == price(used(0, 0, 0, 1000), card));
}

TEST_CASE("above the long-context mark the whole call moves to the long card") {
    PriceCard card;
    card.input = usd(2.5);
    card.output = usd(15);
    card.cache_read = usd(0.25);
    card.long_context_above = 272'000;
    card.long_input = usd(5);
    card.long_output = usd(22.5);
    SUBCASE("at the mark the short card still holds") {
        CHECK(price(used(272'000, 0, 0, 0), card).value == 272 * kDollarPerMillion / 400);
    }
    SUBCASE("one token above, all of it is long") {
        CHECK(price(used(272'001, 0, 0, 0), card).value == 272'001 * (kDollarPerMillion / 200'000));
    }
    SUBCASE("cached tokens count towards the mark, and an absent long cache rate is long input") {
        CHECK(price(used(1, 272'000, 0, 0), card).value == 272'001 * (kDollarPerMillion / 200'000));
    }
    SUBCASE("output alone never moves a call up") {
        CHECK(price(used(1, 0, 0, 900'000), card).value ==
              kDollarPerMillion / 400'000 + 900'000 * (kDollarPerMillion / 1'000'000) * 15);
    }
}

TEST_CASE("rounding happens once, half up, on the sum") {
    PriceCard card;
    card.input = {400'000};  // 0.4 nano-credits per token
    card.output = {400'000};
    CHECK(price(used(1, 0, 0, 0), card).value == 0);
    CHECK(price(used(1, 0, 0, 1), card).value == 1);  // 0.8; two roundings would give 0
    card.input = {500'000};
    CHECK(price(used(1, 0, 0, 0), card).value == 1);
}

TEST_CASE("absurd counts neither wrap nor pay back") {
    PriceCard card;
    card.input = usd(1000);
    card.output = usd(1000);
    CHECK(price(used(std::numeric_limits<int64_t>::max(), 0, 0, 0), card).value ==
          std::numeric_limits<int64_t>::max());
    CHECK(price(used(-5, -1, -1, -7), card).value == 0);
}

TEST_CASE("each cost source has its own name") {
    CHECK(cost_source_name(CostSource::upstream) == "upstream");
    CHECK(cost_source_name(CostSource::configured) == "configured");
    CHECK(cost_source_name(CostSource::catalogue) == "catalogue");
    CHECK(cost_source_name(CostSource::price_table) == "price_table");
    CHECK(cost_source_name(CostSource::unknown) == "unknown");
}

}  // namespace
}  // namespace belay::chat

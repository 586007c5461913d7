#include "base/money.h"

#include <doctest/doctest.h>

#include <limits>

using namespace belay;

// A price given as decimal text, plain or with an exponent, becomes the exact integer: no floating
// point takes part.
TEST_CASE("US$ per token to nano-credits per million") {
    struct Case {
        const char* text;
        int64_t expected;
    };
    for (const Case& c : std::initializer_list<Case>{
             {"0.000005", 500'000'000'000},
             {"5e-06", 500'000'000'000},
             {"5E-6", 500'000'000'000},
             {"0.5e-05", 500'000'000'000},
             {"50e-7", 500'000'000'000},
             {"0", 0},
             {"0.0", 0},
             {"0e99999", 0},
             {"1.5000000000000002e-06", 150'000'000'000},
             {"1e-17", 1},
             {"5e-18", 1},
             {"4e-18", 0},
             {".000001", 100'000'000'000},
             {"1e-99999", 0},
         }) {
        CAPTURE(c.text);
        const auto price = parse_usd_per_token(c.text);
        REQUIRE(price.ok());
        CHECK(price.value().nanocredits == c.expected);
    }
}

// What is no decimal number, or does not fit, is refused with the text in the message.
TEST_CASE("bad amounts are refused") {
    for (const char* text :
         {"", "-", ".", "e5", "1e", "1e+", "1.2.3", "0x10", "1 ", " 1", "nan", "inf", "1,5",
          "92233721", "1e30", "1e99999999999",
          "0.00000000000000000000000000000000000000000000000000000000000000001"}) {
        CAPTURE(text);
        const auto amount = parse_usd(text);
        REQUIRE_FALSE(amount.ok());
        CHECK(amount.error().kind == Kind::invalid_request);
        CHECK(amount.error().message.find("is no amount of money") != std::string::npos);
    }
}

// parse_usd and render_usd are inverse for every amount, to the last digit and at both ends.
TEST_CASE("render and parse are inverse") {
    for (const int64_t value :
         {int64_t{0}, int64_t{1}, int64_t{-1}, int64_t{53'400'000}, int64_t{100'000'000'000},
          int64_t{-123'456'789'012'345}, std::numeric_limits<int64_t>::max(),
          std::numeric_limits<int64_t>::min() + 1}) {
        const auto back = parse_usd(render_usd({value}));
        REQUIRE(back.ok());
        CHECK(back.value().value == value);
    }
    CHECK(render_usd({53'400'000}) == "0.000534");
    CHECK(render_usd({0}) == "0");
    CHECK(render_usd({500'000'000'000}) == "5");
    CHECK(render_usd({-50'000'000'000}) == "-0.5");
    CHECK(render_usd({std::numeric_limits<int64_t>::min()}) == "-92233720.36854775808");
    CHECK(render_credits({53'400'000}) == "0.0534");
    CHECK(render_credits({10'000'000'000}) == "10");
}

// Cost is tokens x price, half up, without overflow on the way, clamped at the end.
TEST_CASE("cost") {
    const PricePerMillion five_usd{500'000'000'000};
    CHECK(cost(1, five_usd).value == 500'000);
    CHECK(cost(1'000'000, five_usd).value == 500'000'000'000);
    CHECK(cost(1, {500'000}).value == 1);
    CHECK(cost(1, {499'999}).value == 0);
    CHECK(cost(1, {-500'000}).value == 0);
    CHECK(cost(1, {-500'001}).value == -1);
    CHECK(cost(-5, five_usd).value == 0);
    const int64_t max = std::numeric_limits<int64_t>::max();
    CHECK(cost(max, {max}).value == max);
    CHECK(add({max}, {1}).value == max);
    CHECK(add({std::numeric_limits<int64_t>::min()}, {-1}).value ==
          std::numeric_limits<int64_t>::min());
    CHECK(add({2}, {-5}).value == -3);
}

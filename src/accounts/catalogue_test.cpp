#include "accounts/catalogue.h"

#include <doctest/doctest.h>

using namespace belay;
using namespace belay::accounts;

namespace {

Model model_of(const std::string& body) {
    auto list = parse_catalogue(R"({"data":[)" + body + "]}");
    REQUIRE(list.ok());
    REQUIRE(list->models.size() == 1);
    return list->models[0];
}

}  // namespace

TEST_CASE("a model with everything") {
    const Model m = model_of(
        R"({"id":"claude-opus-4.7","object":"model","name":"Claude Opus 4.7","vendor":"Anthropic",
      "version":"claude-opus-4.7","preview":true,"model_picker_enabled":true,"model_picker_category":"powerful",
      "is_chat_default":false,"is_chat_fallback":true,"supported_endpoints":["/v1/messages","/chat/completions","ws:/responses","/new"],
      "billing":{"is_premium":true,"multiplier":0.33,"restricted_to":["pro_plus","max"],
        "token_prices":{"batch_size":1000000,
          "default":{"input_price":500,"output_price":2500,"cache_price":50,"cache_write_price":625,"max_prompt_tokens":200000},
          "long_context":{"input_price":1000,"output_price":3750,"cache_price":100,"cache_write_price":1250,"max_prompt_tokens":936000}}},
      "policy":{"state":"unconfigured","terms":"Enable access"},"warning_messages":[{"code":"c","message":"Retires soon"}],
      "capabilities":{"type":"chat","family":"claude-opus-4.7","limits":{"max_context_window_tokens":264000,
        "max_prompt_tokens":200000,"max_output_tokens":64000,"max_non_streaming_output_tokens":16000,
        "vision":{"max_prompt_image_size":3145728,"max_prompt_images":1}},
        "supports":{"streaming":true,"tool_calls":true,"parallel_tool_calls":true,"vision":true,"structured_outputs":true,
        "adaptive_thinking":true,"min_thinking_budget":1024,"max_thinking_budget":32000,"reasoning_effort":["low","max"]}}})");
    CHECK(m.name == "Claude Opus 4.7");
    CHECK(m.offers(Endpoint::messages));
    CHECK(m.offers(Endpoint::chat));
    CHECK(m.offers(Endpoint::responses_ws));
    CHECK_FALSE(m.offers(Endpoint::responses));
    CHECK(m.multiplier_milli == 330);
    CHECK(m.restricted_to == std::vector<std::string>{"pro_plus", "max"});
    CHECK(m.limits.context == 264000);
    CHECK(m.limits.prompt == 200000);
    CHECK(m.limits.output_plain == 16000);
    CHECK(m.limits.image_bytes == 3145728);
    CHECK(m.supports.tools);
    CHECK(m.supports.thinking_budget_max == 32000);
    CHECK(m.supports.reasoning_effort.size() == 2);
    CHECK(m.preview);
    CHECK(m.chat_fallback);
    CHECK(m.warning == "Retires soon");
    CHECK_FALSE(m.enabled());
    CHECK(why_not(m).find("accept its terms") != std::string::npos);
    REQUIRE(m.price);
    // 500 credits per million tokens = US$ 5 = 500 x 10^9 nano-credits
    CHECK(m.price->base.input.nanocredits == 500'000'000'000);
    CHECK(m.price->base.output.nanocredits == 2'500'000'000'000);
    CHECK(m.price->base.cache_read.nanocredits == 50'000'000'000);
    CHECK(m.price->base.cache_write.nanocredits == 625'000'000'000);
    CHECK(m.price->long_context.input.nanocredits == 1'000'000'000'000);
    CHECK(m.price->long_context_from == 200000);
}

TEST_CASE("an id is enough; what is missing has a harmless default") {
    const Model m = model_of(R"({"id":"x","capabilities":null,"billing":null,"policy":null})");
    CHECK(m.name == "x");
    CHECK(m.offers(Endpoint::chat));
    CHECK(m.enabled());
    CHECK_FALSE(m.price);
    CHECK_FALSE(m.multiplier_milli);
    CHECK_FALSE(m.supports.tools);
    CHECK(model_of(R"({"id":"e","capabilities":{"type":"embeddings","limits":{"max_inputs":512}}})")
              .offers(Endpoint::embeddings));
}

TEST_CASE("prices in every shape are exact") {
    struct Case {
        const char* prices;
        int64_t input;
        int64_t read;
    } cases[] = {
        // an earlier flat object
        {R"({"batch_size":1000000,"input_price":25,"output_price":200,"cache_price":2.5})",
         25'000'000'000, 2'500'000'000},
        {R"({"default":{"input_price":25,"output_price":1,"cache_read_price":2.5}})",
         25'000'000'000, 2'500'000'000},
        // per thousand tokens
        {R"({"batch_size":1000,"default":{"input_price":0.025,"output_price":1}})", 25'000'000'000,
         25'000'000'000},
        {R"({"default":{"input_price":"17.5","output_price":"140"}})", 17'500'000'000,
         17'500'000'000},
        {R"({"default":{"input_price":1e2,"output_price":1}})", 100'000'000'000, 100'000'000'000},
        {R"({"default":{"input_price":0,"output_price":0}})", 0, 0},
        {R"({"default":{"input_price":0.0000000001,"output_price":0}})", 0, 0},
    };
    for (const Case& c : cases) {
        CAPTURE(c.prices);
        const Model m =
            model_of(R"({"id":"x","billing":{"token_prices":)" + std::string(c.prices) + "}}");
        REQUIRE(m.price);
        CHECK(m.price->base.input.nanocredits == c.input);
        CHECK(m.price->base.cache_read.nanocredits == c.read);
    }
    for (const char* none : {R"({})", R"({"default":{}})", R"("x")",
                             R"({"default":{"input_price":"abc","output_price":-5}})"}) {
        CAPTURE(none);
        CHECK_FALSE(
            model_of(R"({"id":"x","billing":{"token_prices":)" + std::string(none) + "}}").price);
    }
}

TEST_CASE("what makes no sense is left out and counted, the rest stays") {
    const auto list = parse_catalogue(
        R"({"data":[{"id":"a"},{"id":""},{"name":"b"},5,null,{"id":"a"},{"id":"c"}]})");
    REQUIRE(list.ok());
    CHECK(list->models.size() == 2);
    CHECK(list->skipped == 5);
    CHECK(list->find("c") != nullptr);
    CHECK(list->find("b") == nullptr);
    CHECK(parse_catalogue(R"([{"id":"bare"}])")->models.size() == 1);
    CHECK_FALSE(parse_catalogue("{}").ok());
    CHECK_FALSE(parse_catalogue("<html>").ok());
}

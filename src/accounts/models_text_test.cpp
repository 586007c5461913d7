#include "accounts/models_text.h"

#include <doctest/doctest.h>

#include <sstream>

#include "wire/json.h"

using namespace belay;
using namespace belay::accounts;

namespace {

Catalogue some() {
    return parse_catalogue(R"({"data":[
      {"id":"gpt-5-mini","vendor":"Azure OpenAI","supported_endpoints":["/chat/completions","/responses"],
       "billing":{"multiplier":0.33,"token_prices":{"default":{"input_price":25,"output_price":200,"cache_price":2.5}}},
       "capabilities":{"limits":{"max_context_window_tokens":264000}}},
      {"id":"claude-opus-4.6","vendor":"Anthropic","supported_endpoints":["/v1/messages","/chat/completions"],
       "billing":{"multiplier":3,"token_prices":{"default":{"input_price":500,"output_price":2500,"max_prompt_tokens":200000},
       "long_context":{"input_price":1000,"output_price":3750}}},
       "capabilities":{"limits":{"max_context_window_tokens":1000000}}},
      {"id":"claude-opus-4.7","vendor":"Anthropic","policy":{"state":"unconfigured"}},
      {"id":"text-embedding-3-small","vendor":"Azure OpenAI","capabilities":{"type":"embeddings","limits":{"max_inputs":512,"max_prompt_tokens":8191}}}]})")
        .value();
}

// Columns on the screen: one for each character, not for each byte.
size_t columns(const std::string& line) {
    size_t n = 0;
    for (const char c : line) {
        n += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    }
    return n;
}

}  // namespace

TEST_CASE("the table, for accounts that count credits and for those that count requests") {
    CHECK(render_models_table(some(), {100, Billing::credits}) ==
          "MODEL                   VENDOR        CONTEXT  ENDPOINTS       $ PER MILLION   USABLE\n"
          "claude-opus-4.6         Anthropic          1M  chat messages   5 in, 25 out    yes\n"
          "gpt-5-mini              Azure OpenAI     264K  chat responses  0.25 in, 2 out  yes\n"
          "text-embedding-3-small  Azure OpenAI     8191  embeddings      not said        yes\n"
          "claude-opus-4.7         Anthropic              chat            not said        no\n"
          "\nNot usable:\n"
          "  claude-opus-4.7: not enabled yet: accept its terms in your GitHub Copilot settings\n");
    const std::string requests = render_models_table(some(), {100, Billing::requests});
    CHECK(requests.find("MULTIPLIER") != std::string::npos);
    CHECK(requests.find("0.33x") != std::string::npos);
    CHECK(requests.find("3x") != std::string::npos);
}

TEST_CASE("no line is wider than the terminal") {
    Catalogue catalogue = some();
    Model wide = catalogue.models[0];
    wide.id = std::string(120, 'm');
    wide.vendor = std::string(60, 'v');
    wide.endpoints = 31;
    catalogue.models.push_back(wide);
    for (const size_t width : {72u, 80u, 100u, 160u}) {
        std::istringstream lines(render_models_table(catalogue, {width, Billing::credits}));
        for (std::string line; std::getline(lines, line);) {
            CAPTURE(line);
            CHECK(columns(line) <= width);
        }
    }
    CHECK(render_models_table(catalogue, {80, Billing::credits}).find("…") != std::string::npos);
    CHECK(render_models_table({}, {}).find("no models") != std::string::npos);
}

TEST_CASE("the JSON holds everything, with exact prices") {
    const json::Value v = json::parse(render_models_json(some())).value();
    CHECK(v["data"].size() == 4);
    const json::Value& mini = v["data"][size_t{0}];
    CHECK(mini["multiplier"].number_text() == "0.33");
    CHECK(mini["usd_per_million"]["input"].number_text() == "0.25");
    CHECK(mini["usd_per_million"]["cache_read"].number_text() == "0.025");
    CHECK(mini["endpoints"].size() == 2);
    CHECK(mini["enabled"].as_bool());
    CHECK_FALSE(mini.has("reason"));
    CHECK(v["data"][size_t{1}]["usd_per_million"]["long_context"]["from_prompt_tokens"].as_int() ==
          200000);
    CHECK_FALSE(v["data"][size_t{2}]["enabled"].as_bool(true));
    CHECK(v["data"][size_t{2}]["reason"].as_string().find("terms") != std::string::npos);
}

TEST_CASE("token counts are short") {
    CHECK(render_tokens(0) == "");
    CHECK(render_tokens(8191) == "8191");
    CHECK(render_tokens(128000) == "128K");
    CHECK(render_tokens(264000) == "264K");
    CHECK(render_tokens(1000000) == "1M");
    CHECK(render_tokens(1048576) == "1M");
    CHECK(render_tokens(1500000) == "1.5M");
}

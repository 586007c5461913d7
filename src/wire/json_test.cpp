#include "wire/json.h"

#include <doctest/doctest.h>

#include "wire/scan.h"

using namespace belay;
using json::Value;

namespace {

bool accepts(std::string_view text, const json::Limits& limits = {}) {
    const bool valid = json::validate(text, limits).ok();
    const bool parsed = json::parse(text, limits).ok();
    CHECK(valid == parsed);
    return valid;
}

}  // namespace

// Exactly RFC 8259 is accepted.
TEST_CASE("valid texts") {
    for (const char* text : {"null",
                             "true",
                             "false",
                             "0",
                             "-0",
                             "1.5",
                             "-1e10",
                             "1E+2",
                             "1e-07",
                             "\"\"",
                             "[]",
                             "{}",
                             " [ ] ",
                             "\t{\r\n}\n",
                             "[1,2]",
                             "[[[]]]",
                             R"({"a":{"b":[1,"x",null]}})",
                             R"("\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\u0000")",
                             "\"é漢😀\"",
                             R"({"":1})",
                             "\"\xF4\x8F\xBF\xBF\"",
                             R"({"a":1,"b":1,"ab":1,"ba":1})",
                             "[{\"a\":1},{\"a\":1}]",
                             "\"\x7f\"",
                             R"({"name_longer_than_eight_a":1,"name_longer_than_eight_b":2})"}) {
        CAPTURE(text);
        CHECK(accepts(text));
    }
}

// Everything else is refused, by parse and validate alike, with the byte position.
TEST_CASE("invalid texts") {
    using namespace std::string_view_literals;
    for (const std::string_view text : {""sv,
                                        " "sv,
                                        "nul"sv,
                                        "nulll"sv,
                                        "True"sv,
                                        "01"sv,
                                        "-"sv,
                                        "+1"sv,
                                        "1."sv,
                                        ".5"sv,
                                        "1e"sv,
                                        "1e+"sv,
                                        "--1"sv,
                                        "0x1"sv,
                                        "NaN"sv,
                                        "Infinity"sv,
                                        "\""sv,
                                        "\"\\\""sv,
                                        "\"\\x\""sv,
                                        "\"\\u12\""sv,
                                        "\"\\u123g\""sv,
                                        "\"\\ud800\""sv,
                                        "\"\\ud800\\u0041\""sv,
                                        "\"\\udc00\""sv,
                                        "\"a\nb\""sv,
                                        "\"a\0b\""sv,
                                        "\"\xff\""sv,
                                        "\"\xc3\""sv,
                                        "\"\xc0\x80\""sv,
                                        "\"\xed\xa0\x80\""sv,
                                        "\"\xf4\x90\x80\x80\""sv,
                                        "\"\xe0\x80\x80\""sv,
                                        "\"\xf0\x80\x80\x80\""sv,
                                        "["sv,
                                        "]"sv,
                                        "[1"sv,
                                        "[1,"sv,
                                        "[1,]"sv,
                                        "[,1]"sv,
                                        "[1 2]"sv,
                                        "{"sv,
                                        "}"sv,
                                        "{\"a\"}"sv,
                                        "{\"a\":}"sv,
                                        "{\"a\":1,}"sv,
                                        "{,}"sv,
                                        "{a:1}"sv,
                                        "{'a':1}"sv,
                                        "{\"a\" 1}"sv,
                                        "[}"sv,
                                        "{]"sv,
                                        "1 2"sv,
                                        "{} x"sv,
                                        "null\0"sv,
                                        "\xEF\xBB\xBFnull"sv,
                                        "/**/1"sv,
                                        "[1]]"sv,
                                        "\"a\tb\""sv,
                                        "\v1"sv,
                                        "{1:2}"sv,
                                        "[\"a\":1]"sv}) {
        CAPTURE(text);
        CHECK_FALSE(accepts(text));
        const auto refused = json::parse(text);
        CHECK(refused.error().kind == Kind::invalid_request);
        CHECK(refused.error().message.find("invalid JSON at byte ") == 0);
    }
    CHECK(json::parse("{\"a\":tru}").error().message == "invalid JSON at byte 5: a value expected");
    CHECK(json::parse("[1,").error().message ==
          "invalid JSON at byte 3: the text ends where a value should stand");
}

// A name given twice in one object is refused at any depth, also when one spelling is escaped, and
// in objects small and large.
TEST_CASE("duplicate members") {
    for (const char* text : {R"({"a":1,"a":2})", R"({"x":{"model":1,"b":2,"model":1}})",
                             R"({"model":1,"mod\u0065l":2})", R"([{"":1,"":2}])",
                             R"({"name_longer_than_eight":1,"name_longer_than_eight":2})",
                             R"({"a\n":1,"\u0061\u000a":2})"}) {
        CAPTURE(text);
        CHECK_FALSE(accepts(text));
    }
    for (const size_t count : {2, 15, 16, 17, 18, 95, 96, 97, 98, 300}) {
        std::string text = "{";
        for (size_t i = 0; i < count; ++i) {
            text += "\"key" + std::to_string(i) + "\":{\"inner\":" + std::to_string(i) + "},";
        }
        CAPTURE(count);
        CHECK(accepts(text + "\"last\":0}"));
        CHECK_FALSE(accepts(text + "\"key1\":0}"));
        CHECK_FALSE(accepts(text + "\"k\\u0065y" + std::to_string(count - 1) + "\":0}"));
    }
    CHECK(json::validate(R"({"a":1,"a":2})").error().message ==
          "invalid JSON at byte 12: the object that ends here has a duplicate member \"a\"");
}

// Depth, members and digits are bounded, exactly at the limit.
TEST_CASE("limits") {
    const auto nested = [](size_t depth) {
        return std::string(depth, '[') + std::string(depth, ']');
    };
    CHECK(accepts(nested(64)));
    CHECK_FALSE(accepts(nested(65)));
    CHECK_FALSE(accepts(std::string(100'000, '[')));
    CHECK_FALSE(accepts(nested(5000), {.depth = 1'000'000}));
    CHECK(accepts("[1,{\"a\":2}]", {.members = 3}));
    CHECK_FALSE(accepts("[1,{\"a\":2}]", {.members = 2}));
    CHECK(accepts("123456", {.digits = 6}));
    CHECK_FALSE(accepts("1234567", {.digits = 6}));
    CHECK_FALSE(accepts(std::string(65, '1')));
}

// parse then dump gives the compact text back: order and number spelling are kept.
TEST_CASE("parse and dump") {
    for (const char* text :
         {"null", "true", "1.50", "1E+2", "-0", "[]", "{}", R"({"b":1,"a":[1.0,"x",{}]})",
          R"("a\"\\\n\r\t\b\f\u0001\u001f/é😀")"}) {
        const auto value = json::parse(text);
        REQUIRE(value.ok());
        CHECK(json::dump(value.value()) == text);
        CHECK(json::parse(json::dump_pretty(value.value())).value() == value.value());
    }
    CHECK(json::dump(json::parse(R"(" \u00e9\ud83d\ude00\/")").value()) == "\" é😀/\"");
    CHECK(json::dump_pretty(json::parse(R"({"a":[1,{}],"b":[]})").value()) ==
          "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}");
}

// What is written is valid JSON even when a string holds bytes that are no UTF-8.
TEST_CASE("write_string mends bad UTF-8") {
    std::string out;
    json::write_string(out, "a\xff\xc3(b");
    CHECK(out == "\"a\xEF\xBF\xBD\xEF\xBF\xBD(b\"");
    CHECK(json::dump(Value("x\xed\xa0\x80")) == "\"x\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

// Values made in code print as the shortest exact text; what JSON cannot say is null.
TEST_CASE("numbers") {
    CHECK(json::dump(Value(int64_t{-42})) == "-42");
    CHECK(json::dump(Value(UINT64_MAX)) == "18446744073709551615");
    CHECK(json::dump(Value(0.1)) == "0.1");
    CHECK(json::dump(Value(1e300 * 1e300)) == "null");
    struct Case {
        const char* text;
        std::optional<int64_t> expected;
    };
    for (const Case& c : std::initializer_list<Case>{{"7", 7},
                                                     {"-7", -7},
                                                     {"1.0", 1},
                                                     {"1.5", {}},
                                                     {"1e3", 1000},
                                                     {"1.5e1", 15},
                                                     {"15e-1", {}},
                                                     {"150e-1", 15},
                                                     {"-0", 0},
                                                     {"0.0", 0},
                                                     {"0e999999999999", 0},
                                                     {"1e-999999999999", {}},
                                                     {"1e999999999999", {}},
                                                     {"9223372036854775807", INT64_MAX},
                                                     {"9223372036854775808", {}},
                                                     {"-9223372036854775808", INT64_MIN},
                                                     {"-1.0e2", -100},
                                                     {"1.00000000000000000001", {}},
                                                     {"100.00e-2", 1}}) {
        CAPTURE(c.text);
        CHECK(json::parse(c.text).value().as_int() == c.expected);
    }
    CHECK(json::parse("2.5").value().as_double() == 2.5);
    CHECK_FALSE(json::parse("1e999").value().as_double().has_value());
    CHECK_FALSE(Value("7").as_int().has_value());
}

// Readers never fail: absent and foreign values give the fallback.
TEST_CASE("access") {
    const Value v = json::parse(R"({"a":{"b":["x",true]},"n":null})").value();
    CHECK(v["a"]["b"][0].as_string() == "x");
    CHECK(v["a"]["b"][1].as_bool());
    CHECK(v["a"]["zzz"][7]["q"].is_null());
    CHECK(v["a"].as_string("fallback") == "fallback");
    CHECK(v.has("n"));
    CHECK_FALSE(v.has("m"));
    CHECK(v.size() == 2);
    CHECK(Value("x").size() == 0);
}

// Members are replaced in place, appended at the end and erased; null becomes a container on
// demand.
TEST_CASE("edits") {
    Value v;
    v.set("a", 1).push("inside");
    v.set("b", true);
    v.set("a", 2);
    CHECK(json::dump(v) == R"({"a":2,"b":true})");
    CHECK(v.erase("a"));
    CHECK_FALSE(v.erase("a"));
    v.set("list", Value::array({1, "two", nullptr})).push(Value::object({{"k", 3.5}}));
    CHECK(json::dump(v) == R"({"b":true,"list":[1,"two",null,{"k":3.5}]})");
}

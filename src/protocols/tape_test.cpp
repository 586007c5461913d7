#include "protocols/tape.h"

#include <doctest/doctest.h>

#include <random>

using namespace belay;
using namespace belay::protocols;

namespace {

constexpr auto kRefused = Tape::Twins::refused;

std::string random_text(std::mt19937& random) {
    static constexpr std::string_view kBits[] = {"{",
                                                 "}",
                                                 "[",
                                                 "]",
                                                 ",",
                                                 ":",
                                                 "\"a\"",
                                                 "\"b\"",
                                                 "\"\\u00e9\"",
                                                 "1",
                                                 "-0.5e3",
                                                 "true",
                                                 "null",
                                                 " ",
                                                 "\n",
                                                 "\"x",
                                                 "\\",
                                                 "\xc3\xa9",
                                                 "\"\xc3\xa9\"",
                                                 "01",
                                                 "{\"a\":[1,{\"b\":2}]}"};
    std::string text;
    for (size_t i = random() % 12; i > 0; --i) {
        text += kBits[random() % std::size(kBits)];
    }
    return text;
}

}  // namespace

TEST_CASE("the tape accepts exactly what validate() accepts") {
    std::mt19937 random(7);
    Tape tape;
    int accepted = 0;
    for (int i = 0; i < 200'000; ++i) {
        std::string text = random_text(random);
        CAPTURE(text);
        bool good = json::validate(text).ok();
        accepted += good ? 1 : 0;
        REQUIRE(tape.read(text, kRefused) == good);
    }
    CHECK(accepted > 1000);
}

TEST_CASE("nodes have the spans, names and order that a Walker sees") {
    std::string text = R"( {"a" : 1, "b":[true,{"c":"x\n"}], "d":{}, "e":null} )";
    Tape tape;
    REQUIRE(tape.read(text, kRefused));
    json::Walker walker(text);
    json::Item item;
    for (const Node& node : tape.children(tape.root())) {
        REQUIRE(walker.next(item));
        CHECK(tape.key(node) == item.key);
        CHECK(node.value() == item.value);
        CHECK(node.whole() == item.whole);
        CHECK(node.type == item.type);
    }
    CHECK_FALSE(walker.next(item));
    const Node* b = tape.find(tape.root(), "b");
    REQUIRE(b != nullptr);
    CHECK(tape.find(tape.root(), "c") == nullptr);
    size_t items = 0;
    for (const Node& node : tape.children(*b)) {
        items += 1;
        CHECK((node.is_object() || node.type == json::Type::boolean));
    }
    CHECK(items == 2);
}

TEST_CASE("containers below the kept depth are checked and not taken apart") {
    Tape tape;
    REQUIRE(tape.read(R"({"a":{"b":{"c":1}}})", kRefused, 2));
    const Node* a = tape.find(tape.root(), "a");
    REQUIRE(a != nullptr);
    const Node* b = tape.find(*a, "b");
    REQUIRE(b != nullptr);
    CHECK(tape.children(*b).empty());
    CHECK_FALSE(tape.read(R"({"a":{"b":{"c":01}}})", kRefused, 2));
}

TEST_CASE("bounds hold: depth, members, digits; the error names the place") {
    Tape tape;
    CHECK(tape.read(std::string(64, '[') + std::string(64, ']'), kRefused));
    CHECK_FALSE(tape.read(std::string(65, '[') + std::string(65, ']'), kRefused));
    CHECK_FALSE(tape.read("[1,2,3]", kRefused, Tape::kAll, 2));
    CHECK(tape.read("[1,2,3]", kRefused, Tape::kAll, 3));
    CHECK_FALSE(tape.read(std::string(65, '1'), kRefused));
    CHECK_FALSE(tape.read(R"({"a":1,})", kRefused));
    CHECK(tape.where() == 7);
    CHECK(tape.why() == "a member name in double quotes expected");
}

TEST_CASE("twins are found among few and many members, or left alone when asked") {
    std::string many = "{";
    for (int i = 0; i < 300; ++i) {
        many += "\"k" + std::to_string(i) + "\":0,";
    }
    Tape tape;
    CHECK(tape.read(many + "\"z\":1}", kRefused));
    CHECK_FALSE(tape.read(many + "\"k7\":1}", kRefused));
    CHECK_FALSE(tape.read(R"({"a":1,"a":2})", kRefused));
    CHECK(tape.read(R"({"a":1,"a":2})", Tape::Twins::ignored));
}

TEST_CASE("line breaks between values are noticed, those inside strings are escaped anyway") {
    Tape tape;
    CHECK(tape.read("{\"a\":\"x\\n\"}", kRefused));
    CHECK_FALSE(tape.has_line_break());
    CHECK(tape.read("{\"a\":\n1}", kRefused));
    CHECK(tape.has_line_break());
}

TEST_CASE("integers are read exactly, others fall back") {
    Tape tape;
    REQUIRE(tape.read(R"([0,42,-7,1.0,9007199254740993,"5",null,1.5])", kRefused));
    std::vector<int64_t> got;
    for (const Node& node : tape.children(tape.root())) {
        got.push_back(tape.integer(node, -1));
    }
    CHECK(got == std::vector<int64_t>{0, 42, -7, 1, 9007199254740993, -1, -1, -1});
}

namespace {

// A reply with filter results of both names, `depth` arrays deep.
std::string filtered(std::string_view verdict, int depth = 0) {
    std::string open(static_cast<size_t>(depth), '[');
    std::string close(static_cast<size_t>(depth), ']');
    std::string results = R"({"hate":{"filtered":)" + std::string(verdict) + "}}";
    return open + R"({"a":1,"content_filter_results":)" + results +
           R"(,"b":[2],"prompt_filter_results":[)" + results + R"(],"c":"x"})" + close;
}

constexpr auto kIgnored = Tape::Twins::ignored;

}  // namespace

TEST_CASE("filter results that were seen before are the same nodes again, whatever stands around") {
    for (int round = 0; round < 3; ++round) {
        CAPTURE(round);
        static Tape tape;
        std::string text = filtered(round == 2 ? "true" : "false");
        REQUIRE(tape.read(text, kIgnored));
        std::string seen;
        for (const Node& node : tape.children(tape.root())) {
            seen += std::string(tape.key(node)) + '=' + std::string(tape.raw(node)) + ';';
            CHECK((tape.children(node).empty() || tape.key(node) == "b"));
        }
        std::string results =
            round == 2 ? R"({"hate":{"filtered":true}})" : R"({"hate":{"filtered":false}})";
        CHECK(seen == "a=1;content_filter_results=" + results + ";b=[2];prompt_filter_results=[" +
                          results + "];c=\"x\";");
    }
}

TEST_CASE("having seen filter results loosens no check") {
    Tape tape;
    std::string good = filtered("false");
    REQUIRE(tape.read(good, kIgnored));
    CHECK_FALSE(tape.read(filtered("fals"), kIgnored));
    CHECK_FALSE(tape.read(filtered("false]"), kIgnored));
    for (size_t size = 0; size < good.size(); ++size) {  // cut anywhere, also inside the results
        REQUIRE_FALSE(tape.read(std::string_view(good).substr(0, size), kIgnored));
    }
    // Members count and depth adds up as if they were read: 5 + 1, 2 x 2 inside, 1 in the array.
    CHECK(tape.read(good, kIgnored, Tape::kAll, 11));
    CHECK_FALSE(tape.read(good, kIgnored, Tape::kAll, 10));
    CHECK(tape.read(filtered("false", 60), kIgnored));
    CHECK_FALSE(tape.read(filtered("false", 62), kIgnored));
    CHECK_FALSE(tape.read(R"({"content_filter_results":{"a":1,"a":1}})", kRefused));
}

TEST_CASE("a string may end anywhere, of any length, before any rest") {
    Tape tape;
    for (size_t length = 0; length < 200; ++length) {
        for (std::string_view rest : {"", "        ", "                                      "}) {
            CAPTURE(length);
            std::string inside(length, 'x');
            std::string text = "{\"" + inside + "\":\"" + inside + "\"" + std::string(rest) + "}";
            REQUIRE(tape.read(text, kRefused));
            const Node& node = *tape.children(tape.root()).begin();
            REQUIRE(tape.key(node) == inside);
            REQUIRE(tape.inside(node) == inside);
            REQUIRE_FALSE(node.key_escaped);
            if (length > 0) {
                text[2 + length / 2] = '\x01';
                REQUIRE_FALSE(tape.read(text, kRefused));
            }
        }
    }
}

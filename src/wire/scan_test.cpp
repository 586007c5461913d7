#include "wire/scan.h"

#include <doctest/doctest.h>

using namespace belay::json;

namespace {

// Every position of every container in `text`, walked: must end and stay inside, whatever the
// bytes.
size_t walk_all(std::string_view text, Span container, int depth = 0) {
    size_t items = 0;
    std::string scratch;
    Item item;
    for (Walker walker(text, container); walker.next(item);) {
        ++items;
        CHECK(item.value.end <= text.size());
        CHECK(item.whole.begin <= item.value.begin);
        (void)string_at(text, item.value, scratch);
        (void)int_at(text, item.value, 0);
        if (depth < 20) {
            items += walk_all(text, item.value, depth + 1);
        }
    }
    return items;
}

}  // namespace

// Members come in order with exact spans, whatever white space stands between them.
TEST_CASE("Walker over an object") {
    const std::string_view text =
        " { \"model\" : \"gpt\" ,\n\t\"n\":-1.5e3, \"list\":[1,{\"a\":\"]}\\\"\"}], "
        "\"t\":true,\"z\":null } ";
    Walker walker(text);
    Item item;
    REQUIRE(walker.next(item));
    CHECK(item.key == "model");
    CHECK(item.value.of(text) == "\"gpt\"");
    CHECK(item.whole.of(text) == "\"model\" : \"gpt\"");
    CHECK(item.type == Type::string);
    REQUIRE(walker.next(item));
    CHECK(item.value.of(text) == "-1.5e3");
    CHECK(item.type == Type::number);
    REQUIRE(walker.next(item));
    CHECK(item.value.of(text) == "[1,{\"a\":\"]}\\\"\"}]");
    CHECK(item.type == Type::array);
    REQUIRE(walker.next(item));
    CHECK(item.type == Type::boolean);
    REQUIRE(walker.next(item));
    CHECK(item.type == Type::null);
    CHECK(item.value.of(text) == "null");
    CHECK_FALSE(walker.next(item));
    CHECK_FALSE(walker.next(item));
}

// Items of an array have no key; empty containers and scalars have no items.
TEST_CASE("Walker over arrays and others") {
    const std::string_view text = R"([1, "a,b" ,[],{}])";
    Walker walker(text);
    Item item;
    std::string seen;
    while (walker.next(item)) {
        CHECK(item.key.empty());
        CHECK(item.whole == item.value);
        seen += std::string(item.value.of(text)) + ";";
    }
    CHECK(seen == R"(1;"a,b";[];{};)");
    for (const char* none : {"{}", "[ ]", "1", "\"a\"", "null", "", " "}) {
        CHECK_FALSE(Walker(none).next(item));
    }
}

// A member is found however its name is spelt, and at the level asked for only.
TEST_CASE("member") {
    const std::string_view text = R"({"x":{"model":1},"mod\u0065l":"m","n":7})";
    CHECK(member(text, root(text), "model").of(text) == "\"m\"");
    CHECK(member(text, member(text, root(text), "x"), "model").of(text) == "1");
    CHECK(member(text, root(text), "absent").empty());
    CHECK(key_is("a\\n", "a\n"));
    CHECK_FALSE(key_is("a\\n", "a\\n"));
}

// Strings come without a copy when they hold no escape.
TEST_CASE("scalars") {
    const std::string_view text =
        R"(["plain é","a\n\u00e9\ud83d\ude00\/",12,1e2,1.5,true,false,"",-0])";
    std::vector<Span> spans;
    Item item;
    for (Walker walker(text); walker.next(item);) {
        spans.push_back(item.value);
    }
    REQUIRE(spans.size() == 9);
    std::string scratch;
    CHECK(string_at(text, spans[0], scratch).data() == text.data() + 2);
    CHECK(string_at(text, spans[0], scratch) == "plain é");
    CHECK(string_at(text, spans[1], scratch) == "a\né😀/");
    CHECK(string_at(text, spans[2], scratch).empty());
    CHECK(string_at(text, spans[7], scratch).empty());
    CHECK(int_at(text, spans[2], -1) == 12);
    CHECK(int_at(text, spans[3], -1) == 100);
    CHECK(int_at(text, spans[4], -1) == -1);
    CHECK(int_at(text, spans[0], -1) == -1);
    CHECK(int_at(text, spans[8], -1) == 0);
    CHECK(bool_at(text, spans[5], false));
    CHECK_FALSE(bool_at(text, spans[6], true));
    CHECK(bool_at(text, spans[2], true));
    CHECK(type_at(text, spans[8]) == Type::number);
}

// Text that was never validated cannot lead outside itself.
TEST_CASE("unvalidated text is harmless") {
    const std::string_view full = R"({"a":[1,{"b":"c\"d"}],"e\\":{"f":[null,true]},"g":"\ud800"})";
    for (size_t begin = 0; begin < full.size(); ++begin) {
        for (size_t size = 0; size <= full.size() - begin; ++size) {
            const std::string copy(full.substr(begin, size));
            walk_all(copy, root(copy));
            walk_all(copy, {0, 0xFFFFFFFF});
        }
    }
    CHECK(walk_all(full, root(full)) == 9);
}

// Edits keep everything else byte for byte.
TEST_CASE("Splice replace, insert, add") {
    const std::string_view text = R"( {"model" : "a", "n":1.0} )";
    Splice splice(text);
    CHECK(splice.empty());
    splice.replace(member(text, root(text), "model"), "\"longer name\"");
    splice.add_member(root(text), "stream", "true");
    splice.add_member(root(text), "us\"er", "{}");
    splice.insert(static_cast<uint32_t>(text.size()), "\n");
    CHECK_FALSE(splice.empty());
    CHECK(splice.apply() ==
          " {\"stream\":true,\"us\\\"er\":{},\"model\" : \"longer name\", \"n\":1.0} \n");
    Splice empty(" { } ");
    empty.add_member(root(" { } "), "a", "1");
    CHECK(empty.apply() == " {\"a\":1 } ");
    Splice none("[1]");
    none.add_member(root("[1]"), "a", "1");
    std::string out = "before ";
    none.apply(out);
    CHECK(out == "before [1]");
}

// Every subset of members can be removed, with and without an addition, and what is left is valid.
TEST_CASE("Splice remove") {
    for (const std::string_view text : {std::string_view(R"({"a":1,"b":[2],"c":{"d":3},"e":"4"})"),
                                        std::string_view("[ 1 ,\n 2,3 , 4 ]")}) {
        for (unsigned mask = 0; mask < 32; ++mask) {
            Splice splice(text);
            Value expected = parse(text).value();
            Item item;
            size_t index = 0;
            size_t left = 0;
            for (Walker walker(text); walker.next(item); ++index) {
                if ((mask >> index & 1) == 0) {
                    ++left;
                    continue;
                }
                splice.remove(root(text), item);
                if (expected.is_object()) {
                    expected.erase(item.key);
                } else {
                    expected.items().erase(expected.items().begin() + static_cast<long>(left));
                }
            }
            if ((mask & 16) != 0 && expected.is_object()) {
                splice.add_member(root(text), "new", "null");
                expected.members().insert(expected.members().begin(), {"new", nullptr});
            }
            const std::string edited = splice.apply();
            CAPTURE(edited);
            const auto back = parse(edited);
            REQUIRE(back.ok());
            CHECK(back.value() == expected);
        }
    }
}

// An edit inside a removed member goes with it; edits of several containers mix.
TEST_CASE("Splice mixed") {
    const std::string_view text = R"({"a":{"x":1,"y":2},"b":{"z":3}})";
    Splice splice(text);
    Item item;
    Walker walker(text);
    REQUIRE(walker.next(item));
    splice.replace(member(text, item.value, "x"), "9");
    splice.remove(root(text), item);
    REQUIRE(walker.next(item));
    Item inner;
    Walker inside(text, item.value);
    REQUIRE(inside.next(inner));
    splice.remove(item.value, inner);
    splice.add_member(item.value, "w", "0");
    CHECK(splice.apply() == R"({"b":{"w":0}})");
}

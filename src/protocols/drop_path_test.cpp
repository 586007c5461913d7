#include "protocols/drop_path.h"

#include <doctest/doctest.h>

using namespace belay::protocols;

TEST_CASE("a path names members, every item or one item; anything else is no path") {
    CHECK(parse_path("a").size() == 1);
    CHECK(parse_path("a.b").size() == 2);
    CHECK(parse_path("a[*].b").size() == 3);
    CHECK(parse_path("a[12]")[1].index == 12);
    CHECK(parse_path("parameters.$schema")[1].name == "$schema");
    for (std::string bad : {"", ".a", "a..b", "[*]", "a[", "a[x]", "a[1", "a."}) {
        CAPTURE(bad);
        CHECK(parse_path(bad).empty());
    }
}

TEST_CASE("what a path names is gone, the rest is as it was") {
    struct Row {
        std::string text, path, want;
    };
    const Row rows[] = {
        {R"({"a":{"b":1,"c":2}})", "a.b", R"({"a":{"c":2}})"},
        {R"({"a":[{"b":1},{"b":2,"c":3},4]})", "a[*].b", R"({"a":[{},{"c":3},4]})"},
        {R"({"a":[1,2,3]})", "a[1]", R"({"a":[1,3]})"},
        {R"({"a":[1,2,3]})", "a[*]", R"({"a":[]})"},
        {R"({"a":1})", "a.b.c", R"({"a":1})"},
        {R"({"a":{"b":[{"c":{"d":1,"e":2}}]}})", "a.b[0].c.d", R"({"a":{"b":[{"c":{"e":2}}]}})"},
        {R"({"a":1})", "a[*", R"({"a":1})"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.path);
        CHECK(drop_paths(row.text, {row.path}) == row.want);
    }
}

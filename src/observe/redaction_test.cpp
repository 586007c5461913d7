#include "observe/redaction.h"

#include <doctest/doctest.h>

namespace belay::observe {
namespace {

// Operators' patterns and the shapes of known tokens are taken out wherever they stand.
TEST_CASE("what is redacted") {
    const Redaction redaction({"[0-9]{4}-[0-9]{4}", "^secret", "x*"});
    struct Case {
        std::string from, to;
    };
    const Case cases[] = {
        {"card 1234-5678 and 1111-2222.", "card [redacted] and [redacted]."},
        {"secret secret", "[redacted] secret"},
        {"axxb", "a[redacted]b"},
        {"", ""},
        {"0000-000\xc3\xa9", "0000-000\xc3\xa9"},
        {"token gho_0123456789abcdefghijABCDEFGHIJ012345 end", "token [redacted] end"},
    };
    for (const auto& c : cases) {
        CAPTURE(c.from);
        CHECK(redaction.apply(c.from) == c.to);
    }
}

// A pattern that matches a part of a character takes all of it.
TEST_CASE("characters stay whole") {
    const Redaction redaction({"a.",
                               "\xa9"
                               "b"});
    CHECK(redaction.apply("xa\xc3\xa9y") == "x[redacted]y");
    CHECK(redaction.apply("x\xc3\xa9"
                          "by") == "x[redacted]y");
}

// Patterns that could be slow, large or senseless are refused with the reason.
TEST_CASE("which patterns are refused") {
    struct Case {
        std::string pattern;
        bool good;
    };
    const Case cases[] = {
        {"a+b", true},      {"(a)\\1", false},
        {"[", false},       {"", false},
        {"a{1000}", false}, {"((a{200}){200}){2}", false},
        {"a{2,100}", true}, {std::string(600, 'a'), false},
    };
    for (const auto& c : cases) {
        CAPTURE(c.pattern);
        CHECK(check_pattern(c.pattern).ok() == c.good);
    }
}

}  // namespace
}  // namespace belay::observe

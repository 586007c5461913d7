#include "base/secret.h"

#include <doctest/doctest.h>

#include <type_traits>
#include <utility>

using namespace belay;

// A mask shows at most seven characters, and nothing of a value so short that they would matter.
TEST_CASE("masked") {
    CHECK(Secret("sk-abcdefghijkl9876").masked() == "sk-…9876");
    CHECK(Secret("sk-1234").masked() == "…");
    CHECK(Secret("").masked() == "…");
}

// Equality needs the whole value; an unset secret lets nobody in, not even with an empty key.
TEST_CASE("equals") {
    const Secret secret("correct horse");
    CHECK(secret.equals("correct horse"));
    CHECK_FALSE(secret.equals("correct hors"));
    CHECK_FALSE(secret.equals("correct horse "));
    CHECK_FALSE(secret.equals(""));
    CHECK_FALSE(Secret().equals(""));
    CHECK(constant_time_equal("", ""));
    CHECK_FALSE(constant_time_equal("", "x"));
}

// Copies and moves carry the value, also onto themselves.
TEST_CASE("copy and move") {
    Secret a("first value of all");
    Secret b = a;
    CHECK(b.reveal() == a.reveal());
    Secret c = std::move(a);
    CHECK(c.reveal() == "first value of all");
    b = Secret("second");
    CHECK(b.reveal() == "second");
    c = b;
    CHECK(c.reveal() == "second");
    const Secret& alias = c;
    c = alias;
    CHECK(c.reveal() == "second");
}

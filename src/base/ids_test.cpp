#include "base/ids.h"

#include <doctest/doctest.h>

#include <set>

using namespace belay;

// The digest is SHA-256 (FIPS 180-4 examples).
TEST_CASE("sha256_hex") {
    CHECK(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

// A UUID has the version-4 layout, and a thousand of them differ.
TEST_CASE("random_uuid") {
    std::set<std::string> seen;
    for (int i = 0; i < 1000; ++i) {
        const std::string id = random_uuid();
        REQUIRE(id.size() == 36);
        for (const size_t at : {8, 13, 18, 23}) {
            CHECK(id[at] == '-');
        }
        CHECK(id[14] == '4');
        CHECK(std::string("89ab").find(id[19]) != std::string::npos);
        seen.insert(id);
    }
    CHECK(seen.size() == 1000);
}

// Hex has two digits a byte; the unit generator stays within [0, 1).
TEST_CASE("random_hex and quick_random_unit") {
    CHECK(random_hex(0).empty());
    CHECK(random_hex(16).size() == 32);
    CHECK(random_hex(16) != random_hex(16));
    CHECK(random_hex(64).find_first_not_of("0123456789abcdef") == std::string::npos);
    for (int i = 0; i < 1000; ++i) {
        const double unit = quick_random_unit();
        CHECK(unit >= 0.0);
        CHECK(unit < 1.0);
    }
}

#include "base/seal.h"

#include <doctest/doctest.h>

namespace belay {
namespace {

TEST_CASE("what is sealed opens again with its key and at its place alone") {
    auto one = make_seal({Secret("salt-one")});
    auto other = make_seal({Secret("salt-two")});
    auto rotated = make_seal({Secret("salt-two"), Secret("salt-one")});
    REQUIRE(one.ok());
    for (const std::string plain : {"", "x", "sk-upstream-key-0123456789", "ä\n\t"}) {
        auto sealed = (*one)->seal(plain, "model/a/api_key");
        REQUIRE(sealed.ok());
        CHECK(is_sealed(*sealed));
        if (plain.size() > 2) {
            CHECK(sealed->find(plain) == std::string::npos);
        }
        auto opened = (*one)->open(*sealed, "model/a/api_key");
        REQUIRE(opened.ok());
        CHECK(opened->reveal() == plain);
        CHECK((*rotated)->open(*sealed, "model/a/api_key").ok());
        CHECK_FALSE((*one)->open(*sealed, "model/b/api_key").ok());
        CHECK_FALSE((*other)->open(*sealed, "model/a/api_key").ok());
        CHECK(*(*one)->seal(plain, "model/a/api_key") != *sealed);  // a nonce is used once
    }
}

TEST_CASE("a changed or foreign text never opens") {
    auto seal = make_seal({Secret("salt")});
    std::string sealed = *(*seal)->seal("secret", "p");
    for (size_t i = 0; i < sealed.size(); ++i) {
        std::string changed = sealed;
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        CHECK_FALSE((*seal)->open(changed, "p").ok());
    }
    for (const char* text : {"", "sealed:v1:", "sealed:v1:AAAA", "plain", "sealed:v1:!!!!"}) {
        CHECK_FALSE((*seal)->open(text, "p").ok());
    }
    CHECK_FALSE(make_seal({}).ok());
    CHECK_FALSE(make_seal({Secret()}).ok());
}

}  // namespace
}  // namespace belay

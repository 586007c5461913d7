#include "base/litellm_seal.h"

#include <doctest/doctest.h>

namespace belay {
namespace {

// Made with PyNaCl's SecretBox: salt "sk-salt", nonce 00 01 .. 17.
constexpr std::string_view kEmpty = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXwiP0LMWS5kbevYnVtDqtLg==";
constexpr std::string_view kShort =
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX2vBK63qjkpd9ntBcsknGVDisBLBA63FKT0-"
    "s7F-j2TPhXM4HlEr8ErjZuQ==";
constexpr std::string_view kLong =
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXCEKDcAA2L7y99AC3X6JOYjO_"
    "UadI9mdTXhqn8USpxD-0FIdN3waxXPeZ-BEqXvekz4WRFnL-q816F_"
    "jVOJLbMD4opMU-N9vVzpsZjkMAlTm_V_Fv98SyaNx5661AoVbWRs8Ugl8wTdjmRPp0FRk0ZYNf5wWfuIWtVPuR5KBmFJOg"
    "4cKR5lO6Wgd3yFGySW1ZBd-nOY9bZ_MC2qlisPR9RYfuLb7_"
    "kH5bNuI9Vpb-bo0L8ce9IVqTmRE1oPVIFiS6jMebddCpJHZwB0c1hFoK8qJimVT74NUB";

TEST_CASE("what NaCl's secretbox sealed opens, whatever its length") {
    const LitellmSeal seal({Secret("sk-salt")});
    CHECK(seal.open(kEmpty)->reveal().empty());
    CHECK(seal.open(kShort)->reveal() == "sk-openai-secret-0123456789");
    CHECK(seal.open(kLong)->reveal() == std::string(200, 'x'));
}

TEST_CASE("the former key opens too; a wrong one opens nothing") {
    CHECK(LitellmSeal({Secret("other"), Secret("sk-salt")}).open(kShort));
    CHECK_FALSE(LitellmSeal({Secret("other")}).open(kShort));
    CHECK_FALSE(LitellmSeal({Secret("")}).open(kShort));
}

TEST_CASE("a changed text never opens") {
    const LitellmSeal seal({Secret("sk-salt")});
    for (size_t i = 0; i + 2 < kShort.size(); ++i) {
        std::string changed(kShort);
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        CHECK_FALSE(seal.open(changed));
    }
    for (const std::string_view text : {"", "gpt-4.1", "*", "AAAA", "v2:gcm:", "v2:gcm:AAAA"}) {
        CHECK_FALSE(seal.open(text));
    }
}

TEST_CASE("what is plain is not taken for sealed") {
    CHECK(LitellmSeal::looks_sealed(kEmpty));
    for (const std::string_view text :
         {"gpt-4.1", "https://api.example.com/v1", "github_copilot/claude-opus-4.6", "os.environ/K",
          "sk-short", ""}) {
        CHECK_FALSE(LitellmSeal::looks_sealed(text));
    }
}

}  // namespace
}  // namespace belay

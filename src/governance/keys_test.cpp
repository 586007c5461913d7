#include "governance/keys.h"

#include <doctest/doctest.h>

#include <set>

using namespace belay;
using namespace belay::governance;

// A generated key is a good one by our own rule, URL-safe, and never the same twice.
TEST_CASE("generated keys") {
    std::set<std::string> seen;
    for (int i = 0; i < 1000; ++i) {
        const std::string key = generate_key().reveal();
        CHECK(key.size() >= 25);
        CHECK(key.starts_with("sk-"));
        CHECK(key.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                    "-_") == std::string::npos);
        CHECK(check_chosen_key(key).ok());
        CHECK(seen.insert(key).second);
    }
}

// Chosen keys are refused with the reason, and the reason never repeats the key.
TEST_CASE("chosen keys") {
    struct Case {
        std::string key;
        const char* reason;  // null: good
    };
    const Case cases[] = {
        {"sk-1234567890123", nullptr},
        {"sk-" + std::string(253, 'x'), nullptr},
        {"sk-123456789012", "16 to 256"},
        {"sk-" + std::string(254, 'x'), "16 to 256"},
        {"", "starts with 'sk-'"},
        {"pk-1234567890123456", "starts with 'sk-'"},
        {"sk-12345678 90123", "printable"},
        {"sk-12345678\n90123", "printable"},
        {"sk-12345678\xc3\xa4"
         "0123",
         "printable"},
        {"sk-12345678\x7f"
         "0123",
         "printable"},
    };
    for (const auto& c : cases) {
        CAPTURE(c.key);
        const auto checked = check_chosen_key(c.key);
        CHECK(checked.ok() == (c.reason == nullptr));
        if (c.reason != nullptr && !checked.ok()) {
            CHECK(checked.error().message.find(c.reason) != std::string::npos);
            CHECK((c.key.size() < 8 || checked.error().message.find(c.key) == std::string::npos));
        }
    }
}

// LiteLLM's identity of a key, and what has its shape.
TEST_CASE("hash and name") {
    const std::string hash = "7ab0f8cc46c1e9a0ddbe6ff8ebde0a43ffbd9e4bff8a77f9dd8b48a8a47ecac6";
    CHECK(key_hash("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(is_key_hash(hash));
    std::string upper = hash;
    upper[1] = 'A';
    CHECK_FALSE(is_key_hash(upper));
    CHECK_FALSE(is_key_hash("sk-1234567890123456"));
    CHECK(key_name("sk-1234567890wxyz") == "sk-...wxyz");
    CHECK(key_name("sk-1") == "sk-...");
}

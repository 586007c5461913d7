#include "wire/encoding.h"

#include <doctest/doctest.h>

using namespace belay;

// The RFC 4648 examples, and the identity for every length.
TEST_CASE("base64") {
    struct Case {
        const char* plain;
        const char* coded;
    };
    for (const Case& c : std::initializer_list<Case>{{"", ""},
                                                     {"f", "Zg=="},
                                                     {"fo", "Zm8="},
                                                     {"foo", "Zm9v"},
                                                     {"foob", "Zm9vYg=="},
                                                     {"\xfb\xff", "+/8="}}) {
        CHECK(base64_encode(c.plain) == c.coded);
        CHECK(base64_decode(c.coded).value() == c.plain);
    }
    CHECK(base64_decode("Zg").value() == "f");
    std::string bytes;
    for (int i = 0; i < 300; ++i) {
        bytes += static_cast<char>(i * 7);
        CHECK(base64_decode(base64_encode(bytes)).value() == bytes);
    }
    for (const char* bad :
         {"Z", "Zg=", "Zg===", "=", "====", "Zh==", "Zm9=", "Z g=", "Zm9v\n", "-_8=", "Zg==Zg=="}) {
        CAPTURE(bad);
        CHECK_FALSE(base64_decode(bad).ok());
    }
}

// Compressing and inflating is the identity in any split.
TEST_CASE("gzip") {
    std::string text;
    for (int i = 0; i < 3000; ++i) {
        text += "line " + std::to_string(i * 7919 % 1000) + "\n";
    }
    const std::string packed = gzip_compress(text);
    CHECK(packed.size() < text.size());
    for (const size_t step : {size_t{1}, size_t{100}, packed.size()}) {
        Inflater inflater;
        std::string out;
        for (size_t at = 0; at < packed.size(); at += step) {
            CHECK_FALSE(inflater.finished());
            REQUIRE(inflater.feed(std::string_view(packed).substr(at, step), out).ok());
        }
        CHECK(inflater.finished());
        CHECK(out == text);
        CHECK_FALSE(inflater.feed("x", out).ok());
    }
    std::string out;
    CHECK(Inflater().feed(gzip_compress(""), out).ok());
    CHECK(out.empty());
}

// Broken, cut-off and explosive bodies are told apart from good ones.
TEST_CASE("bad gzip") {
    std::string out;
    CHECK_FALSE(Inflater().feed("this is plain text", out).ok());
    std::string packed = gzip_compress(std::string(1000, 'a') + "b");
    Inflater cut;
    CHECK(cut.feed(packed.substr(0, packed.size() - 1), out).ok());
    CHECK_FALSE(cut.finished());
    CHECK_FALSE(Inflater().feed(packed + "x", out).ok());
    packed[packed.size() - 6] = static_cast<char>(packed[packed.size() - 6] ^ 1);  // checksum
    CHECK_FALSE(Inflater().feed(packed, out).ok());

    const std::string bomb = gzip_compress(std::string(16 << 20, '\0'));
    out.clear();
    CHECK_FALSE(Inflater().feed(bomb, out).ok());
    CHECK(out.size() < (2u << 20) + (64u << 10));
    out.clear();
    CHECK_FALSE(Inflater(1000, 1'000'000).feed(bomb, out).ok());
    CHECK(out.size() <= 1000);
    out.clear();
    CHECK(Inflater(64u << 20, 100'000).feed(bomb, out).ok());
    CHECK(out.size() == 16u << 20);
}

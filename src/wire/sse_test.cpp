#include "wire/sse.h"

#include <doctest/doctest.h>

#include <utility>

using namespace belay;

namespace {

using Events = std::vector<std::pair<std::string, std::string>>;

// Events of `text` fed in pieces of `step` bytes, each from a buffer of its own that is gone by the
// next feed.
Events read(std::string_view text, size_t step, size_t max_event = 4 << 20,
            bool* failed = nullptr) {
    sse::Parser parser(max_event);
    Events out;
    sse::Event event;
    for (size_t at = 0; at < text.size(); at += step) {
        const std::string piece(text.substr(at, step));
        if (!parser.feed(piece).ok()) {
            break;
        }
        while (parser.next(event)) {
            out.emplace_back(event.name, event.data);
        }
    }
    parser.finish();
    while (parser.next(event)) {
        out.emplace_back(event.name, event.data);
    }
    if (failed != nullptr) {
        *failed = parser.failed();
    }
    return out;
}

}  // namespace

// Every line end, several data lines, names, comments and a byte order mark; in any split of the
// bytes the events are the same.
TEST_CASE("events in any split") {
    struct Case {
        std::string_view text;
        Events expected;
    };
    for (const Case& c : std::initializer_list<Case>{
             {"data: {\"a\":1}\n\ndata: [DONE]\n\n", {{"", "{\"a\":1}"}, {"", "[DONE]"}}},
             {"event: ping\r\ndata: x\r\n\r\ndata:y\r\n\r\n", {{"ping", "x"}, {"", "y"}}},
             {"data: a\rdata: b\r\rdata: c\r\r", {{"", "a\nb"}, {"", "c"}}},
             {"data: a\r\n\rdata: b\n\r\n", {{"", "a"}, {"", "b"}}},
             {"\xEF\xBB\xBF"
              "data: bom\n\n",
              {{"", "bom"}}},
             {": comment\n\n: data: no\ndata: x\n\n", {{"", "x"}}},
             {"event: lost\n\ndata: x\n\n", {{"", "x"}}},
             {"data\n\ndata:\n\ndata\ndata\n\n", {{"", ""}, {"", ""}, {"", "\n"}}},
             {"data:  two spaces\n\ndata:x\n\n", {{"", " two spaces"}, {"", "x"}}},
             {"event: a\ndata: 1\n\nevent: b\ndata: 2\n\ndata: 3\n\n",
              {{"a", "1"}, {"b", "2"}, {"", "3"}}},
             {"data: 1\n\ndata: 2\r\n\r\ndata: 3\n\nevent: a\r\ndata: 4\n\ndata: 5\n\r\n",
              {{"", "1"}, {"", "2"}, {"", "3"}, {"a", "4"}, {"", "5"}}},
             {"data: 1\ndata: 2\n\ndata: 3\n: no\n\nevent: a\n\ndata: 4\n\n",
              {{"", "1\n2"}, {"", "3"}, {"", "4"}}},
             {"data: a\rb\n\ndata: c\n\n", {{"", "a"}, {"", "c"}}},
             {"id: 1\nretry: 5\nother: x\nevent:e\ndata: d\n\n", {{"e", "d"}}},
             {"event: a\nevent: b\ndata: x\nevent\n\n", {{"", "x"}}},
             {"data: a\n\ndata: unfinished", {{"", "a"}, {"", "unfinished"}}},
             {"event: e\ndata: a\ndata: b", {{"e", "a\nb"}}},
             {"data: a\n\nevent: only name", {{"", "a"}}},
             {"database: x\n\nDATA: x\n\n data: x\n\n", {}},
             {"\n\n\n\r\n\r\r", {}},
             {"", {}},
         }) {
        CAPTURE(c.text);
        for (size_t step = 1; step <= c.text.size() + 1; ++step) {
            CAPTURE(step);
            CHECK(read(c.text, step) == c.expected);
        }
    }
}

// A whole event of one data line is delivered in place, without a copy.
TEST_CASE("no copy") {
    sse::Parser parser;
    sse::Event event;
    const std::string bytes = "event: e\ndata: 0123456789012345678901234567890123456789\n\ndata: x";
    REQUIRE(parser.feed(bytes).ok());
    REQUIRE(parser.next(event));
    CHECK(event.data.data() == bytes.data() + 15);
    CHECK(event.name.data() == bytes.data() + 7);
    CHECK_FALSE(parser.next(event));
    CHECK(parser.partial());
    REQUIRE(parser.feed("\n\n").ok());
    REQUIRE(parser.next(event));
    CHECK(event.data == "x");
    CHECK_FALSE(parser.next(event));
    CHECK_FALSE(parser.partial());
}

// An event above the bound ends the stream with an error, in any split; what came before is kept.
TEST_CASE("too large") {
    const std::string text = "data: ok\n\ndata: " + std::string(60, 'x') +
                             "\ndata: " + std::string(60, 'y') + "\n\ndata: never\n\n";
    for (const size_t step : {size_t{1}, size_t{7}, size_t{64}, text.size()}) {
        bool failed = false;
        CHECK(read(text, step, 100, &failed) == Events{{"", "ok"}});
        CHECK(failed);
        CHECK(read(text, step, 200, &failed).size() == 3);
        CHECK_FALSE(failed);
        CHECK(read("data: " + std::string(1000, 'x'), step, 100, &failed).empty());
        CHECK(failed);
    }
    sse::Parser parser(10);
    sse::Event event;
    REQUIRE(parser.feed("data: 0123456789").ok());
    CHECK_FALSE(parser.next(event));
    CHECK_FALSE(parser.feed("x").ok());
}

// A parser can be moved in the middle of an event.
TEST_CASE("move") {
    sse::Parser first;
    sse::Event event;
    REQUIRE(first.feed("event: n\ndata: a\nda").ok());
    CHECK_FALSE(first.next(event));
    sse::Parser second = std::move(first);
    REQUIRE(second.feed("ta: b\n\n").ok());
    REQUIRE(second.next(event));
    CHECK(event.name == "n");
    CHECK(event.data == "a\nb");
}

// What is written is read back.
TEST_CASE("writers") {
    std::string out;
    sse::write_data(out, "x");
    sse::write_event(out, "n", "y");
    CHECK(out == "data: x\n\nevent: n\ndata: y\n\n");
    CHECK(read(out, out.size()) == Events{{"", "x"}, {"n", "y"}});
}

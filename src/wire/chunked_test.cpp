#include <doctest/doctest.h>

#include "wire/http.h"

using namespace belay::http;

namespace {

struct Read {
    ChunkedReader::State state = ChunkedReader::State::more;
    std::string body;
    size_t consumed = 0;
    bool operator==(const Read&) const = default;
};

// Feeds `text` in pieces of `step` bytes.
Read read(std::string_view text, size_t step) {
    ChunkedReader reader;
    Read out;
    for (size_t at = 0; at < text.size() && out.state == ChunkedReader::State::more; at += step) {
        std::string_view piece = text.substr(at, step);
        while (!piece.empty() && out.state == ChunkedReader::State::more) {
            const ChunkedReader::Step s = reader.feed(piece);
            out.state = s.state;
            out.body += s.data;
            out.consumed += s.consumed;
            piece.remove_prefix(s.consumed);
        }
    }
    return out;
}

// The same through pack(), each piece in a buffer of its own.
Read read_packed(std::string_view text, size_t step) {
    ChunkedReader reader;
    Read out;
    for (size_t at = 0; at < text.size() && out.state == ChunkedReader::State::more; at += step) {
        std::string piece(text.substr(at, step));
        const ChunkedReader::Packed packed = reader.pack(piece.data(), piece.size());
        out.state = packed.state;
        out.body.append(piece, 0, packed.body);
        out.consumed += packed.consumed;
    }
    return out;
}

}  // namespace

// Any split of the bytes gives the same body, and bytes behind the end are not touched.
TEST_CASE("chunked bodies") {
    struct Case {
        const char* text;
        const char* body;
        size_t rest;
    };
    for (const Case& c : std::initializer_list<Case>{
             {"0\r\n\r\n", "", 0},
             {"5\r\nhello\r\n0\r\n\r\nGET /", "hello", 5},
             {"00000001\r\na\r\n1\r\nb\r\n0\r\n\r\n1\r\nc\r\n", "ab", 6},
             {"5\r\nhello\r\n00000006\r\n world\r\n000\r\n\r\n", "hello world", 0},
             {"A;ext=\"x\ty\"\r\n0123456789\r\n0;last\r\n\r\n", "0123456789", 0},
             {"a\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\nX-T: y\r\nZ:\r\n\r\n", "\r\n\r\n\r\n\r\n\r\n", 0},
         }) {
        CAPTURE(c.text);
        const std::string_view text = c.text;
        for (size_t step = 1; step <= text.size(); ++step) {
            const Read r = read(text, step);
            CHECK(r.state == ChunkedReader::State::done);
            CHECK(r.body == c.body);
            CHECK(r.consumed == text.size() - c.rest);
            CHECK(read_packed(text, step) == r);
        }
    }
}

// Framing that another reader could understand differently is refused, in any split.
TEST_CASE("chunked bodies that are refused") {
    using namespace std::string_view_literals;
    for (const std::string_view text : {"\r\n"sv,
                                        "x\r\n"sv,
                                        "-1\r\n"sv,
                                        "+1\r\n"sv,
                                        "0x1\r\n"sv,
                                        " 1\r\n"sv,
                                        "1 \r\n"sv,
                                        "1\n"sv,
                                        "1\rx"sv,
                                        "123456789\r\n"sv,
                                        "000000000\r\n"sv,
                                        ";x\r\n"sv,
                                        "1;a\nb\r\n"sv,
                                        "1;a\0b\r\n"sv,
                                        "1\r\nab"sv,
                                        "1\r\nabc\r\n"sv,
                                        "1\r\na\r\r\n"sv,
                                        "1\r\na\r\n123456789\r\n"sv,
                                        "100000001\r\na\r\n"sv,
                                        "1\r\na\n"sv,
                                        "1\r\na\rx"sv,
                                        "0\r\nX\r\n\r\n"sv,
                                        "0\r\n:x\r\n\r\n"sv,
                                        "0\r\nX y: z\r\n\r\n"sv,
                                        "0\r\n X: y\r\n\r\n"sv,
                                        "0\r\nX: y\n\r\n"sv,
                                        "0\r\n\n"sv,
                                        "0\r\n\r\r"sv,
                                        "0\r\nX: \x01\r\n\r\n"sv}) {
        CAPTURE(text);
        for (size_t step = 1; step <= text.size(); ++step) {
            CHECK(read(text, step).state == ChunkedReader::State::bad);
            CHECK(read_packed(text, step).state == ChunkedReader::State::bad);
        }
    }
    CHECK(read("1;" + std::string(256, 'e') + "\r\n", 7).state == ChunkedReader::State::more);
    CHECK(read("1;" + std::string(257, 'e') + "\r\n", 7).state == ChunkedReader::State::bad);
    CHECK(read("0\r\nX: " + std::string(9000, 'e'), 100).state == ChunkedReader::State::bad);
}

// The reader can be used for the next body.
TEST_CASE("reset") {
    ChunkedReader reader;
    CHECK(reader.feed("0\r\n\r\n").state == ChunkedReader::State::done);
    CHECK(reader.feed("0\r\n\r\n").consumed == 0);
    reader.reset();
    CHECK(reader.feed("1\r\na").data == "a");
}

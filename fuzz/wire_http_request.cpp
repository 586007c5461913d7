// HTTP request heads: never reads past the buffer; more bytes never turn a refusal into something
// else, nor a whole head into another one; what is accepted is accepted again when printed anew.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "wire/http.h"

using namespace belay::http;

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

constexpr HeadLimits kLimits{.line = 200, .total = 600, .count = 10};

Parse parse(std::string_view text, Head& head, ParseError& error) {
    return parse_request(text, kLimits, head, error);
}

void print_and_compare(const Head& whole) {
    if (whole.minor_version == 0) {
        return;  // only 1.1 is written
    }
    std::string out;
    write_request_line(out, whole.method, whole.target);
    for (const Header& h : whole.headers) {
        write_header(out, h.name, h.value);
    }
    out += "\r\n";
    Head again;
    ParseError error;
    require(parse_request(out, kServerLimits, again, error) == Parse::done);
    require(again.method == whole.method && again.target == whole.target);
    require(again.headers.size() == whole.headers.size());
    require(again.body == whole.body && again.content_length == whole.content_length);
    require(again.keep_alive == whole.keep_alive && again.size == out.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), std::min<size_t>(size, 2000));
    Head whole;
    ParseError error;
    const Parse verdict = parse(text, whole, error);
    if (verdict == Parse::bad) {
        require(error.status >= 400 && error.status <= 505 && !error.reason.empty());
    }
    if (verdict == Parse::done) {
        require(whole.size <= text.size() && whole.size <= kLimits.total);
        require(whole.headers.size() <= kLimits.count);
        for (const Header& h : whole.headers) {
            require(!h.name.empty() &&
                    h.value.find_first_of(std::string_view("\r\n\0", 3)) == h.value.npos);
        }
        if (whole.body == BodyKind::chunked) {
            require(whole.count("transfer-encoding") == 1 && !whole.has("content-length"));
        }
    }
    Parse before = Parse::incomplete;
    Head head;
    for (size_t length = 0; length <= text.size(); ++length) {
        const std::unique_ptr<char[]> exact(new char[length]);
        text.copy(exact.get(), length);
        ParseError ignored;
        const Parse now = parse({exact.get(), length}, head, ignored);
        require(before == Parse::incomplete || now == before);
        if (now == Parse::done) {
            require(verdict == Parse::done && head.size == whole.size && length >= whole.size);
        }
        before = now;
    }
    require(before == verdict);
    if (verdict == Parse::done) {
        print_and_compare(whole);
    }
    return 0;
}

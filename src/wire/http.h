#pragma once
// HTTP/1.1 message heads and bodies, RFC 9112, strict: CRLF only, one
// valid Host, token names, no control bytes in values, no folding, one length, `chunked` alone.
// Pure: bytes in, heads out. The same parser serves the server and the client.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace belay::http {

struct Header {
    std::string_view name;   // as sent
    std::string_view value;  // outer white space trimmed
};

struct HeadLimits {
    size_t line = 8 << 10;
    size_t total = 32 << 10;
    size_t count = 100;
};
inline constexpr HeadLimits kServerLimits{};                           // what a client may send us
inline constexpr HeadLimits kUpstreamLimits{16 << 10, 64 << 10, 200};  // what an upstream may

enum class BodyKind : uint8_t { none, length, chunked, until_close };

// A parsed head. Views point into the buffer it was parsed from.
struct Head {
    // request
    std::string_view method;
    std::string_view target;  // as sent (absolute-form already reduced to path and query)
    // response
    int status = 0;
    // both
    int minor_version = 1;
    std::vector<Header> headers;
    BodyKind body = BodyKind::none;  // none also when the announced length is 0
    uint64_t content_length = 0;
    bool keep_alive = true;
    bool expect_continue = false;
    size_t size = 0;  // bytes of the head, through the blank line

    [[nodiscard]] std::string_view header(
        std::string_view name) const;  // first one, "" when absent
    [[nodiscard]] size_t count(std::string_view name) const;
    [[nodiscard]] bool has(std::string_view name) const { return count(name) != 0; }
    void clear();
};

enum class Parse : uint8_t { done, incomplete, bad };

struct ParseError {
    int status = 400;  // 400, 405, 414, 417, 431, 501, 505: what to answer before closing
    std::string_view reason;
};

// Parses one head at the start of `buffer`. Header storage in `head` is reused between calls.
// `incomplete` means more bytes are needed (and the limits still hold).
[[nodiscard]] Parse parse_request(std::string_view buffer, const HeadLimits& limits, Head& head,
                                  ParseError& error);
// `request_method` is needed because HEAD and CONNECT replies have no body.
[[nodiscard]] Parse parse_response(std::string_view buffer, const HeadLimits& limits,
                                   std::string_view request_method, Head& head, ParseError& error);

[[nodiscard]] bool iequals(std::string_view a, std::string_view b);  // ASCII case-insensitive

// Chunked transfer coding, incremental. feed() reads from the front of `in` and reports how many
// bytes it consumed and which part of them is body. Call until the rest of `in` is empty or it says
// done or bad; bytes behind the end of the body are never consumed. After `bad` the connection is
// to be closed.
class ChunkedReader {
  public:
    enum class State : uint8_t { more, done, bad };
    struct Step {
        State state = State::more;
        size_t consumed = 0;
        std::string_view data;  // into `in`
    };
    [[nodiscard]] Step feed(std::string_view in);
    // The same for all of `data`: its body bytes are moved together at its front.
    struct Packed {
        State state = State::more;
        size_t consumed = 0;
        size_t body = 0;
    };
    [[nodiscard]] Packed pack(char* data, size_t size);
    void reset() { *this = ChunkedReader(); }

  private:
    [[nodiscard]] bool take_whole(std::string_view in, Step& step) const;
    [[gnu::noinline]] Step feed_bytes(std::string_view in);

    enum class Phase : uint8_t {
        size,
        extension,
        size_lf,
        data,
        data_cr,
        data_lf,
        trailer,
        last_lf,
        done
    };
    Phase phase_ = Phase::size;
    uint64_t left_ = 0;
    uint32_t digits_ = 0;
    uint32_t extension_ = 0;
    uint32_t trailer_line_ = 0;
    uint32_t trailer_total_ = 0;
    bool trailer_named_ = false;  // this trailer line's colon was seen
};

// Writers append to `out`.
void write_request_line(std::string& out, std::string_view method, std::string_view target);
void write_status_line(std::string& out, int status);
// The value must hold no control byte: others are replaced by a space.
void write_header(std::string& out, std::string_view name, std::string_view value);
void write_chunk(std::string& out, std::string_view data);  // nothing for empty data
// The line before a chunk of `size` bytes (not 0).
class ChunkSize {
  public:
    explicit ChunkSize(size_t size) {
        text_[kEnd - 2] = '\r';
        text_[kEnd - 1] = '\n';
        for (; size != 0; size >>= 4) {
            text_[--begin_] = "0123456789abcdef"[size & 15];
        }
    }
    [[nodiscard]] char* begin() { return text_ + begin_; }
    [[nodiscard]] size_t size() const { return kEnd - begin_; }

  private:
    static constexpr size_t kEnd = 18;
    char text_[kEnd];
    size_t begin_ = kEnd - 2;
};
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";
[[nodiscard]] std::string_view reason_phrase(int status);

}  // namespace belay::http

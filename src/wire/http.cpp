// message  = start-line CRLF *( name ":" OWS value OWS CRLF ) CRLF body       (RFC 9112 §2.1)
//
// One pass over the head. A line is complete only with its CRLF; whatever is illegal is refused as
// soon as it is seen, so that a longer read never turns `bad` into something else.
#include "wire/http.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "wire/bytes.h"

namespace belay::http {
namespace {

constexpr size_t kMethodMax = 32;
constexpr size_t kUsualHeaders = 16;  // room made at once

// tchar of RFC 9110 §5.6.2.
constexpr std::array<bool, 256> make_token_table() {
    std::array<bool, 256> table{};
    for (int c = '0'; c <= '9'; ++c) {
        table[static_cast<size_t>(c)] = true;
    }
    for (int c = 'a'; c <= 'z'; ++c) {
        table[static_cast<size_t>(c)] = table[static_cast<size_t>(c - 32)] = true;
    }
    for (const char c :
         {'!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~'}) {
        table[static_cast<size_t>(c)] = true;
    }
    return table;
}
constexpr auto kToken = make_token_table();

// What a host's name or address is made of.
constexpr std::array<bool, 256> make_host_table() {
    std::array<bool, 256> table = kToken;
    for (const char c : {'!', '#', '$', '%', '&', '\'', '*', '+', '^', '`', '|', '~'}) {
        table[static_cast<size_t>(c)] = false;
    }
    return table;
}
constexpr auto kHostByte = make_host_table();

bool is_token(char c) { return kToken[static_cast<unsigned char>(c)]; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_blank(char c) { return c == ' ' || c == '\t'; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

uint64_t load8(const char* p) {
    uint64_t word;
    std::memcpy(&word, p, sizeof word);
    return word;
}

uint64_t load4(const char* p) {
    uint32_t word;
    std::memcpy(&word, p, sizeof word);
    return word;
}

// lower() of eight bytes at once.
uint64_t lower8(uint64_t word) {
    constexpr uint64_t kOnes = 0x0101010101010101;
    constexpr uint64_t kTops = 0x80 * kOnes;
    const uint64_t low = word & ~kTops;
    const uint64_t from_a = low + (0x80 - 'A') * kOnes;  // top bit: 'A' or above
    const uint64_t past_z = low + (0x7F - 'Z') * kOnes;  // top bit: above 'Z'
    return word | ((from_a & ~past_z & ~word & kTops) >> 2);
}

bool same8(uint64_t a, uint64_t b) { return a == b || lower8(a) == lower8(b); }

// iequals(); of a name that is known here, most is done when this is compiled.
[[gnu::always_inline]] inline bool same_name(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) {
        return false;
    }
    const char* p = a.data();
    const char* q = b.data();
    size_t left = b.size();
    if (left >= 8) {
        // Eight at a time; the last eight may overlap those before.
        for (; left > 8; left -= 8, p += 8, q += 8) {
            if (!same8(load8(p), load8(q))) {
                return false;
            }
        }
        return same8(load8(p + left - 8), load8(q + left - 8));
    }
    if (left >= 4) {
        return same8(load4(p) << 32 | load4(p + left - 4), load4(q) << 32 | load4(q + left - 4));
    }
    for (; left != 0; --left) {
        if (lower(*p++) != lower(*q++)) {
            return false;
        }
    }
    return true;
}

std::string_view trim(std::string_view text) {
    // As nearly everyone writes it: one blank, then the value.
    if (text.size() > 1 && text[0] == ' ' && !is_blank(text[1]) && !is_blank(text.back())) {
        return text.substr(1);
    }
    while (!text.empty() && is_blank(text.front())) {
        text.remove_prefix(1);
    }
    while (!text.empty() && is_blank(text.back())) {
        text.remove_suffix(1);
    }
    return text;
}

bool known_method(std::string_view m) {
    return m == "GET" || m == "POST" || m == "HEAD" || m == "OPTIONS" || m == "PUT" ||
           m == "DELETE" || m == "PATCH";
}

// host [":" port] as a server may be addressed: no user, no white space, no list.
bool valid_authority(std::string_view text) {
    size_t i = 0;
    if (text.starts_with('[')) {
        for (i = 1; i < text.size() &&
                    (bytes::hex_digit(text[i]) >= 0 || text[i] == ':' || text[i] == '.');) {
            ++i;
        }
        if (i < 3 || i == text.size() || text[i] != ']') {
            return false;
        }
        ++i;
    } else {
        while (i < text.size() && kHostByte[static_cast<unsigned char>(text[i])]) {
            ++i;
        }
        if (i == 0) {
            return false;
        }
    }
    if (i == text.size()) {
        return true;
    }
    const std::string_view port = text.substr(i + 1);
    return text[i] == ':' && !port.empty() && port.size() <= 5 &&
           port.find_first_not_of("0123456789") == std::string_view::npos;
}

class Parser {
  public:
    Parser(std::string_view buffer, const HeadLimits& limits, Head& head, ParseError& error)
        : begin_(buffer.data()),
          p_(begin_),
          end_(begin_ + buffer.size()),
          limits_(limits),
          head_(head),
          error_(error) {}

    Parse request() {
        skip_empty_line();
        Parse state = method();
        if (state == Parse::done) {
            state = target();
        }
        if (state == Parse::done) {
            state = fields();
        }
        return state == Parse::done ? frame_request() : state;
    }

    Parse response(std::string_view request_method) {
        Parse state = status_line();
        if (state == Parse::done) {
            state = fields();
        }
        return state == Parse::done ? frame_response(request_method) : state;
    }

  private:
    // What the fields say about framing and the connection, gathered on the way.
    struct Framing {
        uint32_t hosts = 0;
        uint32_t lengths = 0;
        uint32_t codings = 0;
        bool close = false;
        bool keep_alive = false;
        std::string_view host;
        std::string_view coding;
    };

    [[nodiscard]] std::string_view remaining() const {
        return {p_, static_cast<size_t>(end_ - p_)};
    }

    Parse bad(int status, std::string_view reason) {
        error_ = {status, reason};
        return Parse::bad;
    }

    // A server should pass over one empty line before a request (RFC 9112 §2.2).
    void skip_empty_line() {
        if (end_ - p_ >= 2 && p_[0] == '\r' && p_[1] == '\n') {
            p_ += 2;
        }
    }

    Parse method() {
        for (const std::string_view usual : {"POST ", "GET "}) {
            if (remaining().starts_with(usual)) {
                head_.method = remaining().substr(0, usual.size() - 1);
                p_ += usual.size();
                return Parse::done;
            }
        }
        const char* const first = p_;
        while (p_ != end_ && is_token(*p_)) {
            ++p_;
        }
        const auto size = static_cast<size_t>(p_ - first);
        if (size > kMethodMax) {
            return bad(501, "the method is not known here");
        }
        if (p_ == end_) {
            return Parse::incomplete;
        }
        if (*p_ == '\r' && p_ == begin_ && end_ - p_ == 1) {
            return Parse::incomplete;  // half of an empty line
        }
        if (*p_ != ' ' || size == 0) {
            return bad(400, "no HTTP request line");
        }
        head_.method = {first, size};
        ++p_;
        if (head_.method == "CONNECT" || head_.method == "TRACE") {
            return bad(405, "CONNECT and TRACE are not served");
        }
        return known_method(head_.method) ? Parse::done : bad(501, "the method is not known here");
    }

    Parse target() {
        const char* const first = p_;
        p_ = bytes::find_target_end(p_, end_);
        const auto size = static_cast<size_t>(p_ - first);
        if (size > limits_.line) {
            return bad(414, "the request target is too long");
        }
        if (p_ == end_) {
            return Parse::incomplete;
        }
        if (*p_ != ' ' || size == 0) {
            return bad(400, "an illegal byte in the request target");
        }
        ++p_;
        head_.target = {first, size};
        if (const Parse state = reduce_target(); state != Parse::done) {
            return state;
        }
        return version_and_line_end();
    }

    // origin-form stays; absolute-form becomes its path; "*" only for OPTIONS.
    Parse reduce_target() {
        const std::string_view target = head_.target;
        if (target[0] == '/') {
            return Parse::done;
        }
        if (target == "*") {
            return head_.method == "OPTIONS" ? Parse::done : bad(400, "'*' is for OPTIONS only");
        }
        size_t scheme = 0;
        if (iequals(target.substr(0, 7), "http://")) {
            scheme = 7;
        } else if (iequals(target.substr(0, 8), "https://")) {
            scheme = 8;
        } else {
            return bad(400, "the request target must begin with '/'");
        }
        const size_t path = target.find_first_of("/?", scheme);
        authority_ = target.substr(scheme, path == std::string_view::npos ? path : path - scheme);
        if (!valid_authority(authority_)) {
            return bad(400, "no valid host in the request target");
        }
        if (path == std::string_view::npos) {
            head_.target = "/";
            return Parse::done;
        }
        if (target[path] == '?') {
            return bad(400, "a query without a path in the request target");
        }
        head_.target = target.substr(path);
        return Parse::done;
    }

    Parse version_and_line_end() {
        if (const Parse state = version(); state != Parse::done) {
            return state;
        }
        return line_end();
    }

    // "HTTP/1." DIGIT
    Parse version() {
        if (remaining().starts_with("HTTP/1.1")) {
            head_.minor_version = 1;
            p_ += 8;
            return Parse::done;
        }
        constexpr std::string_view kName = "HTTP/";
        for (size_t i = 0; i < kName.size(); ++i, ++p_) {
            if (p_ == end_) {
                return Parse::incomplete;
            }
            if (*p_ != kName[i]) {
                return bad(400, "no HTTP version where it should stand");
            }
        }
        for (int i = 0; i < 3; ++i) {
            if (end_ - p_ <= i) {
                return Parse::incomplete;
            }
            if (i == 1 ? p_[i] != '.' : !is_digit(p_[i])) {
                return bad(400, "a malformed HTTP version");
            }
        }
        if (p_[0] != '1' || p_[2] > '1') {
            return bad(505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
        }
        head_.minor_version = p_[2] - '0';
        p_ += 3;
        return Parse::done;
    }

    Parse line_end() {
        if (p_ == end_) {
            return Parse::incomplete;
        }
        if (*p_ != '\r') {
            return bad(400, "a line must end with CR LF");
        }
        if (end_ - p_ < 2) {
            return Parse::incomplete;
        }
        if (p_[1] != '\n') {
            return bad(400, "a CR without LF");
        }
        p_ += 2;
        return Parse::done;
    }

    // HTTP-version SP 3DIGIT [ SP reason ]
    Parse status_line() {
        if (const Parse state = version(); state != Parse::done) {
            return state;
        }
        for (int i = 0; i < 4; ++i) {
            if (end_ - p_ <= i) {
                return Parse::incomplete;
            }
            if (i == 0 ? p_[i] != ' ' : !is_digit(p_[i])) {
                return bad(400, "a malformed status line");
            }
        }
        head_.status = (p_[1] - '0') * 100 + (p_[2] - '0') * 10 + (p_[3] - '0');
        if (head_.status < 100 || head_.status > 599) {
            return bad(400, "a status outside 100 to 599");
        }
        p_ += 4;
        if (p_ == end_) {
            return Parse::incomplete;
        }
        if (*p_ == ' ') {
            const char* const first = p_;
            p_ = find_value_end(p_);
            if (static_cast<size_t>(p_ - first) > limits_.line) {
                return bad(431, "the status line is too long");
            }
        }
        return line_end();
    }

    // The first byte that is no part of a field value.
    const char* find_value_end(const char* p) const {
        while ((p = bytes::find_control(p, end_)) != end_ && *p == '\t') {
            ++p;
        }
        return p;
    }

    Parse fields() {
        std::vector<Header>& headers = head_.headers;
        if (headers.capacity() == 0) {
            headers.reserve(kUsualHeaders);
        }
        const char* const end = end_;
        const size_t room = limits_.count;
        const size_t longest = limits_.line;
        const char* p = p_;
        while (p == end || *p != '\r') {
            // The usual line is taken at once; whatever is odd about it, field() finds out.
            const char* const first = p;
            const char* const colon = bytes::skip_name(first, end);
            if (colon != end && *colon == ':' && colon != first) {
                const char* const stop = bytes::find_control(colon + 1, end);
                if (end - stop >= 2 && stop[0] == '\r' && stop[1] == '\n' &&
                    static_cast<size_t>(stop - first) <= longest &&
                    static_cast<size_t>(stop + 2 - begin_) <= limits_.total &&
                    headers.size() < room) {
                    p = stop + 2;
                    const std::string_view name(first, static_cast<size_t>(colon - first));
                    headers.push_back(
                        {name, trim({colon + 1, static_cast<size_t>(stop - colon - 1)})});
                    if (!may_frame(name.size())) {
                        continue;
                    }
                    if (const Parse state = classify(headers.back()); state != Parse::done) {
                        return state;
                    }
                    continue;
                }
            }
            p_ = first;
            const Parse state = field();
            if (static_cast<size_t>(p_ - begin_) > limits_.total) {
                return bad(431, "the header is too large");
            }
            if (state != Parse::done) {
                return state;
            }
            p = p_;
        }
        p_ = p;
        const Parse state = line_end();
        head_.size = static_cast<size_t>(p_ - begin_);
        if (head_.size > limits_.total) {
            return bad(431, "the header is too large");
        }
        return state;
    }

    [[gnu::noinline]] Parse field() {
        const char* const first = p_;
        p_ = bytes::skip_name(p_, end_);
        while (p_ != end_ && is_token(*p_)) {
            ++p_;
        }
        const std::string_view name(first, static_cast<size_t>(p_ - first));
        if (name.size() > limits_.line) {
            return bad(431, "a header line is too long");
        }
        if (p_ == end_) {
            return Parse::incomplete;
        }
        if (*p_ != ':' || name.empty()) {
            return bad(400, name.empty() && is_blank(*p_) ? "a folded header line"
                                                          : "an illegal byte in a header name");
        }
        const char* const value = ++p_;
        p_ = find_value_end(p_);
        if (static_cast<size_t>(p_ - first) > limits_.line) {
            return bad(431, "a header line is too long");
        }
        const Header header{name, trim({value, static_cast<size_t>(p_ - value)})};
        if (p_ != end_ && *p_ != '\r') {
            return bad(400, *p_ == '\n' ? "a line must end with CR LF"
                                        : "a control byte in a header value");
        }
        if (const Parse state = line_end(); state != Parse::done) {
            return state;
        }
        if (head_.headers.size() == limits_.count) {
            return bad(431, "too many headers");
        }
        head_.headers.push_back(header);
        return classify(header);
    }

    // Whether a field with a name of this length may be one that classify() knows.
    static bool may_frame(size_t name_size) {
        constexpr uint32_t kSizes = 1 << 4 | 1 << 6 | 1 << 10 | 1 << 14 | 1 << 17;
        return name_size < 32 && (kSizes >> name_size & 1) != 0;
    }

    // Notes the few fields that decide framing; the length tells most others apart at once.
    [[gnu::noinline]] Parse classify(const Header& header) {
        switch (header.name.size()) {
            case 4:
                if (same_name(header.name, "host")) {
                    ++framing_.hosts;
                    framing_.host = header.value;
                }
                break;
            case 6:
                if (same_name(header.name, "expect")) {
                    return expect(header.value);
                }
                break;
            case 10:
                if (same_name(header.name, "connection")) {
                    connection(header.value);
                }
                break;
            case 14:
                if (same_name(header.name, "content-length")) {
                    return content_length(header.value);
                }
                break;
            case 17:
                if (same_name(header.name, "transfer-encoding")) {
                    ++framing_.codings;
                    framing_.coding = header.value;
                }
                break;
            default:
                break;
        }
        return Parse::done;
    }

    Parse expect(std::string_view value) {
        if (head_.status != 0) {
            return Parse::done;  // means nothing in a reply
        }
        if (!iequals(value, "100-continue")) {
            return bad(417, "only Expect: 100-continue is understood");
        }
        head_.expect_continue = head_.minor_version == 1;
        return Parse::done;
    }

    void connection(std::string_view list) {
        while (!list.empty()) {
            const size_t comma = std::min(list.find(','), list.size());
            const std::string_view option = trim(list.substr(0, comma));
            framing_.close |= iequals(option, "close");
            framing_.keep_alive |= iequals(option, "keep-alive");
            list.remove_prefix(std::min(comma + 1, list.size()));
        }
    }

    Parse content_length(std::string_view value) {
        if (++framing_.lengths > 1) {
            return bad(400, "more than one Content-Length");
        }
        if (value.empty() || value.size() > 18) {
            return bad(400, "a malformed Content-Length");
        }
        uint64_t length = 0;
        for (const char c : value) {
            if (!is_digit(c)) {
                return bad(400, "a malformed Content-Length");
            }
            length = length * 10 + static_cast<uint64_t>(c - '0');
        }
        head_.content_length = length;
        return Parse::done;
    }

    // Transfer-Encoding is exactly `chunked`, once, in 1.1, without a length; else doubt.
    Parse check_coding() {
        if (framing_.codings > 1) {
            return bad(400, "more than one Transfer-Encoding");
        }
        if (framing_.lengths != 0) {
            return bad(400, "both Transfer-Encoding and Content-Length");
        }
        if (head_.minor_version == 0) {
            return bad(400, "Transfer-Encoding in HTTP/1.0");
        }
        return iequals(framing_.coding, "chunked")
                   ? Parse::done
                   : bad(501, "only Transfer-Encoding: chunked is known");
    }

    Parse frame_body() {
        head_.keep_alive = !framing_.close && (head_.minor_version == 1 || framing_.keep_alive);
        if (framing_.codings != 0) {
            head_.body = BodyKind::chunked;
            return check_coding();
        }
        head_.body = head_.content_length != 0 ? BodyKind::length : BodyKind::none;
        return Parse::done;
    }

    Parse frame_request() {
        if (framing_.hosts > 1) {
            return bad(400, "more than one Host");
        }
        if (framing_.hosts == 0 && head_.minor_version == 1) {
            return bad(400, "no Host");
        }
        if (framing_.hosts == 1 && !valid_authority(framing_.host)) {
            return bad(400, "a malformed Host");
        }
        if (framing_.hosts == 1 && !authority_.empty() && !iequals(authority_, framing_.host)) {
            return bad(400, "Host and request target name different hosts");
        }
        return frame_body();
    }

    Parse frame_response(std::string_view request_method) {
        if (const Parse state = frame_body(); state != Parse::done) {
            return state;
        }
        const bool bodiless = head_.status < 200 || head_.status == 204;
        if (bodiless || head_.status == 304 || request_method == "HEAD" ||
            (request_method == "CONNECT" && head_.status < 300)) {
            // A body announced where none may be: what follows on the connection is in doubt.
            if (bodiless && head_.body != BodyKind::none) {
                head_.keep_alive = false;
            }
            head_.body = BodyKind::none;
        } else if (framing_.codings == 0 && framing_.lengths == 0) {
            head_.body = BodyKind::until_close;
            head_.keep_alive = false;
        }
        return Parse::done;
    }

    const char* const begin_;
    const char* p_;
    const char* const end_;
    const HeadLimits& limits_;
    Head& head_;
    ParseError& error_;
    Framing framing_;
    std::string_view authority_;  // of an absolute-form target
};

}  // namespace

std::string_view Head::header(std::string_view name) const {
    for (const Header& h : headers) {
        if (h.name.size() == name.size() && iequals(h.name, name)) {
            return h.value;
        }
    }
    return {};
}

size_t Head::count(std::string_view name) const {
    size_t n = 0;
    for (const Header& h : headers) {
        n += iequals(h.name, name) ? 1 : 0;
    }
    return n;
}

void Head::clear() {
    method = target = {};
    status = 0;
    minor_version = 1;
    headers.clear();
    body = BodyKind::none;
    content_length = 0;
    keep_alive = true;
    expect_continue = false;
    size = 0;
}

Parse parse_request(std::string_view buffer, const HeadLimits& limits, Head& head,
                    ParseError& error) {
    head.clear();
    return Parser(buffer, limits, head, error).request();
}

Parse parse_response(std::string_view buffer, const HeadLimits& limits,
                     std::string_view request_method, Head& head, ParseError& error) {
    head.clear();
    return Parser(buffer, limits, head, error).response(request_method);
}

bool iequals(std::string_view a, std::string_view b) { return same_name(a, b); }

}  // namespace belay::http

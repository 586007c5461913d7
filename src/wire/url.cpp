// url  = ("http" / "https") "://" host [":" port] [path] ["?" query]
// host = name / IPv4 / "[" IPv6 "]"
#include "wire/url.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <optional>

#include "wire/bytes.h"

namespace belay {
namespace {

constexpr size_t kUrlMax = 8 << 10;
constexpr size_t kNameMax = 253;  // RFC 1035 §2.3.4, in text
constexpr size_t kLabelMax = 63;
constexpr size_t kFormPairsMax = 1000;

Error bad_url(std::string_view why) {
    return caller_error(Kind::invalid_request, "not a usable URL: " + std::string(why));
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_visible(char c) { return c > ' ' && static_cast<unsigned char>(c) < 0x7F; }

std::string to_lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    }
    return out;
}

// Four decimal numbers to 255 without leading zeros: the one spelling that every resolver agrees
// on.
std::optional<std::array<uint8_t, 4>> plain_ipv4(std::string_view host) {
    std::array<uint8_t, 4> out{};
    for (size_t part = 0; part < 4; ++part) {
        const size_t dot = std::min(host.find('.'), host.size());
        const std::string_view digits = host.substr(0, dot);
        if (digits.empty() || digits.size() > 3 || (digits.size() > 1 && digits[0] == '0') ||
            (dot == host.size()) != (part == 3)) {
            return std::nullopt;
        }
        int value = 0;
        for (const char c : digits) {
            if (!is_digit(c)) {
                return std::nullopt;
            }
            value = value * 10 + (c - '0');
        }
        if (value > 255) {
            return std::nullopt;
        }
        out[part] = static_cast<uint8_t>(value);
        host.remove_prefix(std::min(dot + 1, host.size()));
    }
    return out;
}

std::optional<std::array<uint8_t, 16>> plain_ipv6(std::string_view host) {
    std::array<uint8_t, 16> out{};
    const std::string text(host);
    if (text.size() >= INET6_ADDRSTRLEN || inet_pton(AF_INET6, text.c_str(), out.data()) != 1) {
        return std::nullopt;
    }
    return out;
}

// A host name of letters, digits, '-', '_' and '.'. When its last label could be read as a number
// ("0x7f", "1"), only a plain IPv4 will do.
bool valid_name(std::string_view host) {
    if (host.empty() || host.size() > kNameMax) {
        return false;
    }
    size_t label = 0;
    size_t last = 0;
    for (size_t i = 0; i < host.size(); ++i) {
        const char c = host[i];
        if (c == '.') {
            if (label == 0) {
                return false;
            }
            label = 0;
            last = i + 1;
        } else if (!(is_digit(c) || is_alpha(c) || c == '-' || c == '_') || ++label > kLabelMax) {
            return false;
        }
    }
    return label != 0 && (!is_digit(host[last]) || plain_ipv4(host).has_value());
}

Result<uint16_t> parse_port(std::string_view text) {
    int port = 0;
    for (const char c : text) {
        if (!is_digit(c) || text.size() > 5) {
            return bad_url("the port is no number");
        }
        port = port * 10 + (c - '0');
    }
    if (port == 0 || port > 65535) {
        return bad_url("the port is not between 1 and 65535");
    }
    return static_cast<uint16_t>(port);
}

// host [":" port]
Result<void> parse_authority(std::string_view text, Url& url) {
    if (text.find('@') != std::string_view::npos) {
        return bad_url("it carries a user name or password");
    }
    size_t end = 0;
    if (text.starts_with('[')) {
        end = text.find(']');
        if (end == std::string_view::npos || !plain_ipv6(text.substr(1, end - 1))) {
            return bad_url("no valid IPv6 address between the brackets");
        }
        url.host = to_lower(text.substr(1, end - 1));
        ++end;
    } else {
        end = std::min(text.find(':'), text.size());
        if (!valid_name(text.substr(0, end))) {
            return bad_url("the host is neither a name nor a plain IP address");
        }
        url.host = to_lower(text.substr(0, end));
    }
    url.port = url.tls ? 443 : 80;
    if (end == text.size()) {
        return {};
    }
    if (text[end] != ':') {
        return bad_url("':' and a port expected after the host");
    }
    url.port = TRY(parse_port(text.substr(end + 1)));
    return {};
}

// Segments "." and "..", also at the end.
bool is_dots(std::string_view segment) { return segment == "." || segment == ".."; }

// Encoded bytes that change what a path means once decoded. An encoded '/' is not one of them: the
// official clients send model names with slashes that way (/v1/models/a%2Fb), and routes are
// matched on the undecoded path, so it cannot make a segment.
bool is_dangerous(int byte) {
    return byte < 0x20 || byte == 0x7F || byte == '.' || byte == '\\' || byte == ';';
}

int encoded_byte(std::string_view text, size_t at) {
    if (at + 2 >= text.size()) {
        return -1;
    }
    const int high = bytes::hex_digit(text[at + 1]);
    const int low = bytes::hex_digit(text[at + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

std::string decode(std::string_view text, bool plus_is_space) {
    std::string out;
    out.reserve(text.size());
    for (size_t i = 0; i < text.size(); ++i) {
        const int byte = text[i] == '%' ? encoded_byte(text, i) : -1;
        if (byte >= 0) {
            out += static_cast<char>(byte);
            i += 2;
        } else {
            out += text[i] == '+' && plus_is_space ? ' ' : text[i];
        }
    }
    return out;
}

// Takes the next name and value off the front of a query; false at its end.
bool next_pair(std::string_view& rest, std::string_view& name, std::string_view& value) {
    while (rest.starts_with('&')) {
        rest.remove_prefix(1);
    }
    if (rest.empty()) {
        return false;
    }
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(pair.size());
    const size_t equals = std::min(pair.find('='), pair.size());
    name = pair.substr(0, equals);
    value = pair.substr(std::min(equals + 1, pair.size()));
    return true;
}

}  // namespace

std::string Url::host_header() const {
    const bool ipv6 = host.find(':') != std::string::npos;
    std::string out = ipv6 ? "[" + host + "]" : host;
    if (port != (tls ? 443 : 80)) {
        out += ":" + std::to_string(port);
    }
    return out;
}

std::string Url::origin() const { return (tls ? "https://" : "http://") + host_header(); }

std::string Url::target() const {
    std::string out = path.empty() ? "/" : path;
    if (!query.empty()) {
        out += "?" + query;
    }
    return out;
}

Result<Url> parse_url(std::string_view text) {
    if (text.size() > kUrlMax) {
        return bad_url("longer than 8 KiB");
    }
    for (const char c : text) {
        if (!is_visible(c)) {
            return bad_url("it holds a space, a control byte or a letter that is not ASCII");
        }
        if (c == '#' || c == '\\') {
            return bad_url("it holds a '#' or a '\\'");
        }
    }
    Url url;
    const std::string scheme = to_lower(text.substr(0, std::min(text.find("://"), text.size())));
    if (scheme.size() == text.size() || (scheme != "http" && scheme != "https")) {
        return bad_url("it must begin with https:// or http://");
    }
    url.tls = scheme == "https";
    text.remove_prefix(scheme.size() + 3);
    const size_t authority = std::min(text.find_first_of("/?"), text.size());
    TRY(parse_authority(text.substr(0, authority), url));
    text.remove_prefix(authority);
    const size_t path = std::min(text.find('?'), text.size());
    url.path = text.substr(0, path);
    url.query = text.substr(std::min(path + 1, text.size()));
    return url;
}

Url join(const Url& base, std::string_view path) {
    Url out = base;
    out.query.clear();
    while (out.path.ends_with('/')) {
        out.path.pop_back();
    }
    while (path.starts_with('/')) {
        path.remove_prefix(1);
    }
    const size_t query = std::min(path.find('?'), path.size());
    out.path.append(1, '/').append(path.substr(0, query));
    out.query = path.substr(std::min(query + 1, path.size()));
    return out;
}

namespace {

// Nothing but letters, digits, '-', '_' and single slashes: most paths.
bool is_simple(std::string_view path) {
    // Bit 0: never in a simple path. Bit 1: a slash, of which two must not meet.
    static constexpr auto kKind = [] {
        std::array<uint8_t, 256> kind{};
        for (int c = 0; c < 256; ++c) {
            const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                               (c >= '0' && c <= '9') || c == '-' || c == '_';
            kind[static_cast<size_t>(c)] = c == '/' ? 2 : plain ? 0 : 1;
        }
        return kind;
    }();
    unsigned bad = 0;
    unsigned before = 0;
    for (const char c : path) {
        const unsigned kind = kKind[static_cast<unsigned char>(c)];
        bad |= (kind & 1) | (kind & before);
        before = kind;
    }
    return bad == 0;
}

}  // namespace

Result<std::string_view> safe_path(std::string_view target) {
    const auto refuse = [](std::string_view why) {
        return caller_error(Kind::invalid_request, "the path is refused: " + std::string(why));
    };
    const std::string_view path = target.substr(0, target.find('?'));
    if (!path.starts_with('/')) {
        return refuse("it does not begin with '/'");
    }
    if (is_simple(path)) {
        return path;
    }
    size_t segment = 1;
    for (size_t i = 1; i <= path.size(); ++i) {
        // An escaped slash is one as soon as somebody decodes the path.
        const bool escaped = i < path.size() && path[i] == '%' && encoded_byte(path, i) == '/';
        if (i == path.size() || path[i] == '/' || escaped) {
            if (is_dots(path.substr(segment, i - segment))) {
                return refuse("it holds '.' or '..' as a segment");
            }
            if (i != path.size() && i == segment) {
                return refuse("it holds '//'");
            }
            i += escaped ? 2 : 0;
            segment = i + 1;
            continue;
        }
        const char c = path[i];
        if (!is_visible(c) || c == '\\' || c == ';' || c == '#') {
            return refuse("it holds a byte that does not belong in a path");
        }
        if (c == '%' && encoded_byte(path, i) < 0) {
            return refuse("'%' must be followed by two hexadecimal digits");
        }
        if (c == '%' && is_dangerous(encoded_byte(path, i))) {
            return refuse("it hides a '.', '\\', ';' or a control byte in an escape");
        }
    }
    return path;
}

std::string percent_decode(std::string_view text) { return decode(text, false); }

std::string percent_encode(std::string_view text) {
    constexpr char kHex[] = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        if (is_digit(c) || is_alpha(c) || c == '-' || c == '.' || c == '_' || c == '~') {
            out += c;
        } else {
            const auto byte = static_cast<unsigned char>(c);
            out += '%';
            out += kHex[byte >> 4];
            out += kHex[byte & 15];
        }
    }
    return out;
}

std::string query_value(std::string_view query, std::string_view name) {
    std::string_view key;
    std::string_view value;
    while (next_pair(query, key, value)) {
        if (decode(key, true) == name) {
            return decode(value, true);
        }
    }
    return {};
}

std::vector<std::pair<std::string, std::string>> parse_form(std::string_view text) {
    std::vector<std::pair<std::string, std::string>> out;
    std::string_view key;
    std::string_view value;
    while (out.size() < kFormPairsMax && next_pair(text, key, value)) {
        out.emplace_back(decode(key, true), decode(value, true));
    }
    return out;
}

bool is_loopback_host(std::string_view host) {
    if (host.size() > 2 && host.starts_with('[') && host.ends_with(']')) {
        host = host.substr(1, host.size() - 2);
    }
    const std::string name = to_lower(host);
    if (name == "localhost" || (name.ends_with(".localhost") && valid_name(name))) {
        return true;
    }
    if (const auto v4 = plain_ipv4(name)) {
        return (*v4)[0] == 127;
    }
    const auto v6 = plain_ipv6(name);
    if (!v6) {
        return false;
    }
    constexpr std::array<uint8_t, 16> kLoopback{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    constexpr std::array<uint8_t, 13> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 127};
    return *v6 == kLoopback || std::equal(kMapped.begin(), kMapped.end(), v6->begin());
}

}  // namespace belay

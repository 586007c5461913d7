// Steps through JSON that validate() has accepted. Nothing is checked again, but every read is
// bounded by the text, so that text which was never validated ends the walk instead of hurting it.
#include "wire/scan.h"

#include <algorithm>
#include <charconv>

#include "wire/bytes.h"
#include "wire/unescape.h"

namespace belay::json {
namespace {

struct Ended {
    const char* at;  // behind the closing quote, or the end of the text
    bool escaped;
};

// From behind an opening quote to behind the closing one.
Ended skip_string(const char* p, const char* end) {
    bool escaped = false;
    while (true) {
        p = bytes::find_either(p, end, '"', '\\');
        if (p == end) {
            return {end, escaped};
        }
        if (*p == '"') {
            return {p + 1, escaped};
        }
        escaped = true;
        p += std::min<ptrdiff_t>(2, end - p);
    }
}

// From an opening bracket to behind the one that closes it.
const char* skip_container(const char* p, const char* end) {
    size_t depth = 0;
    while ((p = bytes::find_structure(p, end)) != end) {
        const char c = *p++;
        if (c == '"') {
            p = skip_string(p, end).at;
        } else if (c == '{' || c == '[') {
            ++depth;
        } else if (--depth == 0) {
            return p;
        }
    }
    return end;
}

bool ends_scalar(char c) {
    return static_cast<unsigned char>(c) <= ' ' || c == ',' || c == ']' || c == '}';
}

const char* skip_value(const char* p, const char* end) {
    if (p == end) {
        return end;
    }
    switch (*p) {
        case '"':
            return skip_string(p + 1, end).at;
        case '{':
        case '[':
            return skip_container(p, end);
        default:
            while (p != end && !ends_scalar(*p)) {
                ++p;
            }
            return p;
    }
}

Type type_of(char c) {
    switch (c) {
        case '{':
            return Type::object;
        case '[':
            return Type::array;
        case '"':
            return Type::string;
        case 't':
        case 'f':
            return Type::boolean;
        case 'n':
            return Type::null;
        default:
            return Type::number;
    }
}

// The span cut to the text it claims to belong to.
Span within(std::string_view text, Span span) {
    const auto size = static_cast<uint32_t>(std::min<size_t>(text.size(), 0xFFFFFFFF));
    span.end = std::min(span.end, size);
    span.begin = std::min(span.begin, span.end);
    return span;
}

}  // namespace

Walker::Walker(std::string_view text, Span container) : text_(text) {
    container = within(text, container);
    if (container.end - container.begin < 2) {
        return;
    }
    const char open = text[container.begin];
    object_ = open == '{';
    if (object_ || open == '[') {
        pos_ = container.begin + 1;
        end_ = container.end - 1;
    }
}

Walker::Walker(std::string_view text) : Walker(text, root(text)) {}

bool Walker::next(Item& item) {
    const char* const base = text_.data();
    const char* const end = base + end_;
    const char* p = bytes::skip_json_space(base + pos_, end);
    if (p != end && *p == ',') {
        p = bytes::skip_json_space(p + 1, end);
    }
    const char* const first = p;
    item.key = {};
    item.key_escaped = false;
    if (object_) {
        if (p == end || *p != '"') {
            pos_ = end_;
            return false;
        }
        const Ended name = skip_string(p + 1, end);
        // Text that was never validated may lack the closing quote.
        item.key = {p + 1, static_cast<size_t>(std::max(name.at - 1, p + 1) - (p + 1))};
        item.key_escaped = name.escaped;
        p = bytes::skip_json_space(name.at, end);
        if (p != end && *p == ':') {
            p = bytes::skip_json_space(p + 1, end);
        }
    }
    const char* const value = p;
    p = skip_value(p, end);
    if (p == value) {
        pos_ = end_;
        return false;
    }
    item.type = type_of(*value);
    item.value = {static_cast<uint32_t>(value - base), static_cast<uint32_t>(p - base)};
    item.whole = {static_cast<uint32_t>(first - base), item.value.end};
    pos_ = item.value.end;
    return true;
}

bool Item::is(std::string_view name) const {
    if (!key_escaped) {
        return key == name;
    }
    std::string plain;
    unescape(key, plain);
    return plain == name;
}

bool key_is(std::string_view key, std::string_view name) {
    Item item;
    item.key = key;
    item.key_escaped = key.find('\\') != std::string_view::npos;
    return item.is(name);
}

Span root(std::string_view text) {
    const Span all = within(text, {0, 0xFFFFFFFF});
    const char* const base = text.data();
    const char* const end = base + all.end;
    const char* const first = bytes::skip_json_space(base, end);
    const char* last = end;
    while (last != first && bytes::is_json_space(last[-1])) {
        --last;
    }
    return {static_cast<uint32_t>(first - base), static_cast<uint32_t>(last - base)};
}

Type type_at(std::string_view text, Span value) {
    value = within(text, value);
    return value.empty() ? Type::null : type_of(text[value.begin]);
}

Span member(std::string_view text, Span object, std::string_view key) {
    Item item;
    for (Walker walker(text, object); walker.next(item);) {
        if (item.is(key)) {
            return item.value;
        }
    }
    return {};
}

std::string_view string_at(std::string_view text, Span value, std::string& scratch) {
    std::string_view quoted = within(text, value).of(text);
    if (quoted.size() < 2 || quoted.front() != '"' || quoted.back() != '"') {
        return {};
    }
    const std::string_view inside = quoted.substr(1, quoted.size() - 2);
    if (inside.empty() || std::memchr(inside.data(), '\\', inside.size()) == nullptr) {
        return inside;
    }
    scratch.clear();
    unescape(inside, scratch);
    return scratch;
}

int64_t int_at(std::string_view text, Span value, int64_t fallback) {
    const std::string_view digits = within(text, value).of(text);
    int64_t number = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (read.ec == std::errc() && read.ptr == digits.data() + digits.size()) {
        return number;
    }
    if (digits.empty() || digits.size() > 64 || type_of(digits[0]) != Type::number) {
        return fallback;
    }
    // "1.0" and "1e3" are whole numbers too; they are rare enough for the slow way.
    return Value(Number{std::string(digits)}).as_int().value_or(fallback);
}

bool bool_at(std::string_view text, Span value, bool fallback) {
    const std::string_view word = within(text, value).of(text);
    if (word == "true") {
        return true;
    }
    return word == "false" ? false : fallback;
}

}  // namespace belay::json

#include "wire/json.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "wire/bytes.h"
#include "wire/scan.h"
#include "wire/unescape.h"

namespace belay::json {
namespace {

const Value kNull;
const Array kNoItems;
const Object kNoMembers;

template <class T>
std::string to_text(T n) {
    char buffer[32];
    return {buffer, std::to_chars(buffer, buffer + sizeof buffer, n).ptr};
}

// Builds the document of a text that validate() has accepted, so it checks nothing again.
class Builder {
  public:
    explicit Builder(std::string_view text) : p_(text.data()), end_(text.data() + text.size()) {}

    Value value() {
        skip_space();
        switch (*p_) {
            case '{':
                return object();
            case '[':
                return array();
            case '"':
                return string();
            case 't':
                p_ += 4;
                return true;
            case 'f':
                p_ += 5;
                return false;
            case 'n':
                p_ += 4;
                return nullptr;
            default:
                return number();
        }
    }

  private:
    void skip_space() { p_ = bytes::skip_json_space(p_, end_); }

    // True when the container that is open goes on; eats its comma or its closing bracket.
    bool more(char close) {
        skip_space();
        const char c = *p_;
        if (c == ',' || c == close) {
            ++p_;
        }
        return c != close;
    }

    Value object() {
        Object members;
        ++p_;
        while (more('}')) {
            skip_space();
            std::string key = string();
            skip_space();
            ++p_;  // the colon
            members.push_back({std::move(key), value()});
        }
        return members;
    }

    Value array() {
        Array items;
        ++p_;
        while (more(']')) {
            items.push_back(value());
        }
        return items;
    }

    std::string string() {
        const char* const first = ++p_;
        bool escaped = false;
        while (*(p_ = bytes::find_either(p_, end_, '"', '\\')) == '\\') {
            escaped = true;
            p_ += 2;
        }
        const std::string_view inside(first, static_cast<size_t>(p_++ - first));
        if (!escaped) {
            return std::string(inside);
        }
        std::string out;
        out.reserve(inside.size());
        unescape(inside, out);
        return out;
    }

    Value number() {
        const char* const first = p_;
        while (p_ != end_ && (static_cast<unsigned char>(*p_ - '0') < 10 || *p_ == '-' ||
                              *p_ == '+' || *p_ == '.' || (*p_ | 0x20) == 'e')) {
            ++p_;
        }
        return Number{std::string(first, p_)};
    }

    const char* p_;
    const char* const end_;
};

// A valid JSON number as an int64 when it is whole and in range, exactly, whatever its spelling.
std::optional<int64_t> whole_number(std::string_view text) {
    int64_t plain = 0;
    const auto direct = std::from_chars(text.data(), text.data() + text.size(), plain);
    if (direct.ec == std::errc() && direct.ptr == text.data() + text.size()) {
        return plain;
    }
    const bool negative = !text.empty() && text[0] == '-';
    std::string digits;
    int64_t point = -1;  // how many of the digits stand before the decimal point
    size_t i = negative ? 1 : 0;
    for (; i < text.size() && (text[i] | 0x20) != 'e'; ++i) {
        if (text[i] == '.') {
            point = static_cast<int64_t>(digits.size());
        } else {
            digits += text[i];
        }
    }
    if (point < 0) {
        point = static_cast<int64_t>(digits.size());
    }
    if (i < text.size()) {
        const bool plus = i + 1 < text.size() && text[i + 1] == '+';
        int32_t exponent = 0;
        const char* first = text.data() + i + (plus ? 2 : 1);
        const auto read = std::from_chars(first, text.data() + text.size(), exponent);
        const bool zero = digits.find_first_not_of('0') == std::string::npos;
        if (zero) {
            return 0;
        }
        if (read.ec != std::errc()) {
            return std::nullopt;
        }
        point += exponent;
    }
    const size_t last = digits.find_last_not_of('0');
    if (last == std::string::npos) {
        return 0;
    }
    digits.erase(last + 1);
    if (point < static_cast<int64_t>(digits.size()) || point > 80) {
        return std::nullopt;
    }
    digits.append(static_cast<size_t>(point) - digits.size(), '0');
    digits.insert(0, negative ? "-" : "");
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), plain);
    return read.ec == std::errc() ? std::optional(plain) : std::nullopt;
}

void write_escape(std::string& out, unsigned char c) {
    switch (c) {
        case '"':
            out += "\\\"";
            return;
        case '\\':
            out += "\\\\";
            return;
        case '\n':
            out += "\\n";
            return;
        case '\r':
            out += "\\r";
            return;
        case '\t':
            out += "\\t";
            return;
        case '\b':
            out += "\\b";
            return;
        case '\f':
            out += "\\f";
            return;
        default:
            break;
    }
    constexpr char kHex[] = "0123456789abcdef";
    out += "\\u00";
    out += kHex[c >> 4];
    out += kHex[c & 15];
}

void write_indented(std::string& out, const Value& value, size_t depth) {
    const auto line = [&out](size_t d) {
        out += '\n';
        out.append(2 * d, ' ');
    };
    if (value.is_array() && value.size() != 0) {
        char lead = '[';
        for (const Value& item : value.items()) {
            out += lead;
            line(depth + 1);
            write_indented(out, item, depth + 1);
            lead = ',';
        }
        line(depth);
        out += ']';
    } else if (value.is_object() && value.size() != 0) {
        char lead = '{';
        for (const Member& member : value.members()) {
            out += lead;
            line(depth + 1);
            write_string(out, member.key);
            out += ": ";
            write_indented(out, member.value, depth + 1);
            lead = ',';
        }
        line(depth);
        out += '}';
    } else {
        write(out, value);
    }
}

}  // namespace

Value::Value(int64_t n) : data_(Number{to_text(n)}) {}
Value::Value(uint64_t n) : data_(Number{to_text(n)}) {}
Value::Value(double n) {
    if (std::isfinite(n)) {
        data_ = Number{to_text(n)};
    }
}

Value Value::array(std::initializer_list<Value> items) { return Array(items); }
Value Value::object(std::initializer_list<Member> members) { return Object(members); }

bool Value::as_bool(bool fallback) const {
    const bool* b = std::get_if<bool>(&data_);
    return b != nullptr ? *b : fallback;
}

std::string_view Value::as_string(std::string_view fallback) const {
    const std::string* s = std::get_if<std::string>(&data_);
    return s != nullptr ? std::string_view(*s) : fallback;
}

std::optional<int64_t> Value::as_int() const {
    const Number* n = std::get_if<Number>(&data_);
    return n != nullptr ? whole_number(n->text) : std::nullopt;
}

std::optional<double> Value::as_double() const {
    const Number* n = std::get_if<Number>(&data_);
    double d = 0;
    if (n == nullptr ||
        std::from_chars(n->text.data(), n->text.data() + n->text.size(), d).ec != std::errc()) {
        return std::nullopt;
    }
    return d;
}

std::string_view Value::number_text() const {
    const Number* n = std::get_if<Number>(&data_);
    return n != nullptr ? std::string_view(n->text) : std::string_view();
}

const Array& Value::items() const {
    const Array* a = std::get_if<Array>(&data_);
    return a != nullptr ? *a : kNoItems;
}

const Object& Value::members() const {
    const Object* o = std::get_if<Object>(&data_);
    return o != nullptr ? *o : kNoMembers;
}

Array& Value::items() { return is_array() ? *std::get_if<Array>(&data_) : data_.emplace<Array>(); }

Object& Value::members() {
    return is_object() ? *std::get_if<Object>(&data_) : data_.emplace<Object>();
}

size_t Value::size() const { return is_array() ? items().size() : members().size(); }

const Value* Value::find(std::string_view key) const {
    for (const Member& member : members()) {
        if (member.key == key) {
            return &member.value;
        }
    }
    return nullptr;
}

Value* Value::find(std::string_view key) {
    return const_cast<Value*>(std::as_const(*this).find(key));
}

const Value& Value::operator[](std::string_view key) const {
    const Value* found = find(key);
    return found != nullptr ? *found : kNull;
}

const Value& Value::operator[](size_t index) const {
    return index < items().size() ? items()[index] : kNull;
}

Value& Value::set(std::string_view key, Value value) {
    if (Value* old = find(key); old != nullptr) {
        *old = std::move(value);
        return *old;
    }
    return members().emplace_back(Member{std::string(key), std::move(value)}).value;
}

bool Value::erase(std::string_view key) {
    Object* o = std::get_if<Object>(&data_);
    return o != nullptr && std::erase_if(*o, [key](const Member& m) { return m.key == key; }) != 0;
}

Value& Value::push(Value value) { return items().emplace_back(std::move(value)); }

bool Value::operator==(const Value& other) const { return data_ == other.data_; }

Result<Value> parse(std::string_view text, const Limits& limits) {
    TRY(validate(text, limits));
    return Builder(text).value();
}

std::string dump(const Value& value) {
    std::string out;
    write(out, value);
    return out;
}

std::string dump_pretty(const Value& value) {
    std::string out;
    write_indented(out, value, 0);
    return out;
}

void write(std::string& out, const Value& value) {
    if (value.is_string()) {
        write_string(out, value.as_string());
    } else if (value.is_number()) {
        out += value.number_text();
    } else if (value.is_bool()) {
        out += value.as_bool() ? "true" : "false";
    } else if (value.is_null()) {
        out += "null";
    } else if (value.is_array()) {
        out += '[';
        bool first = true;
        for (const Value& item : value.items()) {
            if (!first) {
                out += ',';
            }
            first = false;
            write(out, item);
        }
        out += ']';
    } else {
        out += '{';
        bool first = true;
        for (const Member& member : value.members()) {
            if (!first) {
                out += ',';
            }
            first = false;
            write_string(out, member.key);
            out += ':';
            write(out, member.value);
        }
        out += '}';
    }
}

void write_string(std::string& out, std::string_view text) {
    out += '"';
    const char* p = text.data();
    const char* const end = p + text.size();
    while (p != end) {
        const char* special = bytes::find_string_special(p, end);
        out.append(p, special);
        p = special;
        if (p == end) {
            break;
        }
        if (static_cast<signed char>(*p) >= 0) {
            write_escape(out, static_cast<unsigned char>(*p++));
            continue;
        }
        const int length = bytes::utf8_length(p, end);
        if (length == 0) {
            append_utf8(out, 0xFFFD);  // what is written is JSON whatever it was given
            ++p;
        } else {
            out.append(p, static_cast<size_t>(length));
            p += length;
        }
    }
    out += '"';
}

}  // namespace belay::json

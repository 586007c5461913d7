// The implicit types of YAML 1.1 as PyYAML resolves them:
//
//   null   ~ | null | Null | NULL | (empty)
//   bool   yes no true false on off, in lower, Title and UPPER case
//   int    [-+] ( 0b[01_]+ | 0[0-7_]+ | 0 | [1-9][0-9_]* | 0x[hex_]+ | [1-9][0-9_]*(:[0-5]?[0-9])+
//   ) float  [-+] digits . [digits] [e[-+]digits] | .digits [e[-+]digits]
//
// so 5e-06 (no dot) and 1e5 (no sign) are text, and 012 is ten.
#include <algorithm>
#include <array>
#include <optional>

#include "app/yaml.h"

namespace belay::yaml {
namespace {

bool one_of(std::string_view text, std::string_view lower) {
    if (text.size() != lower.size()) {
        return false;
    }
    std::string upper(lower);
    std::transform(upper.begin(), upper.end(), upper.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    std::string title(lower);
    title[0] = upper[0];
    return text == lower || text == upper || text == title;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string without_underscores(std::string_view text) {
    std::string out;
    std::copy_if(text.begin(), text.end(), std::back_inserter(out),
                 [](char c) { return c != '_'; });
    return out;
}

std::string trim_zeros(std::string digits) {
    size_t first = digits.find_first_not_of('0');
    return first == std::string::npos ? "0" : digits.substr(first);
}

int digit_value(char c) {
    if (is_digit(c)) {
        return c - '0';
    }
    char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : 99;
}

std::optional<std::string> in_base(std::string_view digits, int base) {
    std::string clean = without_underscores(digits);
    if (clean.empty()) {
        return std::nullopt;
    }
    uint64_t value = 0;
    for (char c : clean) {
        int digit = digit_value(c);
        if (digit >= base || value > (UINT64_MAX - 15) / 16) {
            return std::nullopt;
        }
        value = value * static_cast<uint64_t>(base) + static_cast<uint64_t>(digit);
    }
    return std::to_string(value);
}

// "1:30:05" = ((1 * 60) + 30) * 60 + 5; the head may hold underscores.
std::optional<std::string> sexagesimal(std::string_view text) {
    if (text.empty() || text[0] < '1' || text[0] > '9') {
        return std::nullopt;
    }
    uint64_t total = 0;
    bool head = true;
    while (true) {
        size_t colon = text.find(':');
        std::string_view raw = text.substr(0, colon);
        std::string part = head ? without_underscores(raw) : std::string(raw);
        bool digits = !part.empty() && std::all_of(part.begin(), part.end(), is_digit);
        if (!digits || part.size() > 9 || (!head && (part.size() > 2 || std::stoul(part) > 59))) {
            return std::nullopt;
        }
        if (total > UINT64_MAX / 120) {
            return std::nullopt;
        }
        total = total * 60 + std::stoul(part);
        if (colon == std::string_view::npos) {
            return head ? std::nullopt : std::optional(std::to_string(total));
        }
        text.remove_prefix(colon + 1);
        head = false;
    }
}

std::optional<std::string> unsigned_integer(std::string_view text) {
    if (text.empty() || !is_digit(text[0])) {
        return std::nullopt;
    }
    if (text == "0") {
        return "0";
    }
    if (text.starts_with("0b")) {
        return in_base(text.substr(2), 2);
    }
    if (text.starts_with("0x")) {
        return in_base(text.substr(2), 16);
    }
    if (text[0] == '0') {
        return in_base(text.substr(1), 8);
    }
    bool plain =
        std::all_of(text.begin(), text.end(), [](char c) { return is_digit(c) || c == '_'; });
    return plain ? std::optional(without_underscores(text)) : sexagesimal(text);
}

std::optional<std::string> unsigned_real(std::string_view text) {
    size_t dot = text.find('.');
    if (dot == std::string_view::npos) {
        return std::nullopt;
    }
    std::string_view whole = text.substr(0, dot);
    std::string_view rest = text.substr(dot + 1);
    std::string exponent;
    if (size_t e = rest.find_first_of("eE"); e != std::string_view::npos) {
        exponent = rest.substr(e);
        rest = rest.substr(0, e);
        bool sign = exponent.size() > 2 && (exponent[1] == '-' || exponent[1] == '+');
        if (!sign || !std::all_of(exponent.begin() + 2, exponent.end(), is_digit)) {
            return std::nullopt;
        }
    }
    auto digits = [](std::string_view part) {
        return std::all_of(part.begin(), part.end(),
                           [](char c) { return is_digit(c) || c == '_'; });
    };
    bool starts = whole.empty() ? !rest.empty() && is_digit(rest[0]) : is_digit(whole[0]);
    if (!starts || !digits(whole) || !digits(rest)) {
        return std::nullopt;
    }
    std::string fraction = without_underscores(rest);
    return trim_zeros(without_underscores(whole)) + "." + (fraction.empty() ? "0" : fraction) +
           exponent;
}

}  // namespace

Type resolve_plain(std::string_view text, std::string& normal) {
    normal = std::string(text);
    if (text.empty() || text == "~" || one_of(text, "null")) {
        normal.clear();
        return Type::null;
    }
    for (std::string_view word : {"true", "yes", "on"}) {
        if (one_of(text, word)) {
            normal = "true";
            return Type::boolean;
        }
    }
    for (std::string_view word : {"false", "no", "off"}) {
        if (one_of(text, word)) {
            normal = "false";
            return Type::boolean;
        }
    }
    std::string sign = text[0] == '-' ? "-" : "";
    std::string_view body = text.substr(text[0] == '-' || text[0] == '+' ? 1 : 0);
    constexpr size_t kLongestNumber = 60;  // longer digit strings are names, not quantities
    if (body.size() > kLongestNumber) {
        return Type::text;
    }
    if (auto whole = unsigned_integer(body)) {
        normal = (*whole == "0" ? "" : sign) + *whole;
        return Type::integer;
    }
    if (auto real = unsigned_real(body)) {
        normal = sign + *real;
        return Type::real;
    }
    return Type::text;
}

}  // namespace belay::yaml

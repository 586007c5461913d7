#include "ledger/text.h"

#include <charconv>

#include "wire/bytes.h"
#include "wire/json.h"

namespace belay::ledger {

namespace {

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// Length of the well-formed sequence at `p`, 0 when there is none (RFC 3629).
size_t sequence_length(const char* p, const char* end) {
    const auto lead = static_cast<unsigned char>(*p);
    const size_t length = lead < 0x80                   ? 1
                          : lead >= 0xC2 && lead < 0xE0 ? 2
                          : lead >= 0xE0 && lead < 0xF0 ? 3
                          : lead >= 0xF0 && lead < 0xF5 ? 4
                                                        : 0;
    if (length == 0 || static_cast<size_t>(end - p) < length) {
        return 0;
    }
    for (size_t i = 1; i < length; ++i) {
        if (!is_continuation(p[i])) {
            return 0;
        }
    }
    const auto second = length > 1 ? static_cast<unsigned char>(p[1]) : 0;
    const bool overlong = (lead == 0xE0 && second < 0xA0) || (lead == 0xF0 && second < 0x90);
    const bool beyond = (lead == 0xED && second >= 0xA0) || (lead == 0xF4 && second >= 0x90);
    return overlong || beyond ? 0 : length;
}

std::string mend(std::string_view text) {
    std::string out;
    out.reserve(text.size() + 8);
    const char* p = text.data();
    const char* const end = p + text.size();
    while (p != end) {
        if (const size_t length = sequence_length(p, end); length != 0) {
            out.append(p, length);
            p += length;
        } else {
            out += "\xEF\xBF\xBD";
            ++p;
        }
    }
    return out;
}

}  // namespace

std::string_view cut(std::string_view text, size_t max) {
    if (text.size() <= max) {
        return text;
    }
    while (max > 0 && is_continuation(text[max])) {
        --max;
    }
    return text.substr(0, max);
}

void write_json_text(std::string& out, std::string_view text) {
    const char* const end = text.data() + text.size();
    if (bytes::find_string_special(text.data(), end) == end) {
        out += '"';
        out += text;
        out += '"';
        return;
    }
    json::write_string(out, mend(text));
}

void write_clean(std::string& out, std::string_view text, size_t max) {
    text = cut(text, max);
    const char* const end = text.data() + text.size();
    if (bytes::find_string_special(text.data(), end) == end) {
        out += text;
        return;
    }
    for (const char c : mend(text)) {
        out += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? ' ' : c;
    }
}

void write_number(std::string& out, int64_t value) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    out.append(digits, static_cast<size_t>(end - digits));
}

void write_key(std::string& out, std::string_view name) {
    if (!out.empty() && out.back() != '{' && out.back() != '[') {
        out += ',';
    }
    out += '"';
    out += name;
    out += "\":";
}

}  // namespace belay::ledger

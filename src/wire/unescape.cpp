#include "wire/unescape.h"

#include <cstdint>

#include "wire/bytes.h"

namespace belay::json {
namespace {

constexpr uint32_t kReplacement = 0xFFFD;

// The four hex digits at `p`, or -1.
int32_t code_unit(const char* p, const char* end) {
    if (end - p < 4) {
        return -1;
    }
    int32_t code = 0;
    for (int i = 0; i < 4; ++i) {
        const int digit = bytes::hex_digit(p[i]);
        if (digit < 0) {
            return -1;
        }
        code = code * 16 + digit;
    }
    return code;
}

// Reads what follows "\u"; returns where reading goes on.
const char* unescape_unicode(const char* p, const char* end, std::string& out) {
    const int32_t first = code_unit(p, end);
    if (first < 0) {
        append_utf8(out, kReplacement);
        return p;
    }
    p += 4;
    if (first < 0xD800 || first > 0xDFFF) {
        append_utf8(out, static_cast<uint32_t>(first));
        return p;
    }
    if (first < 0xDC00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
        const int32_t second = code_unit(p + 2, end);
        if (second >= 0xDC00 && second <= 0xDFFF) {
            append_utf8(
                out, static_cast<uint32_t>(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)));
            return p + 6;
        }
    }
    append_utf8(out, kReplacement);
    return p;
}

}  // namespace

void unescape(std::string_view inside, std::string& out) {
    const char* p = inside.data();
    const char* const end = p + inside.size();
    while (p != end) {
        const void* found = std::memchr(p, '\\', static_cast<size_t>(end - p));
        const char* escape = found == nullptr ? end : static_cast<const char*>(found);
        out.append(p, escape);
        if (escape == end) {
            return;
        }
        p = escape + 1;
        if (p == end) {
            append_utf8(out, kReplacement);
            return;
        }
        switch (const char c = *p++) {
            case 'n':
                out += '\n';
                break;
            case 't':
                out += '\t';
                break;
            case 'r':
                out += '\r';
                break;
            case 'b':
                out += '\b';
                break;
            case 'f':
                out += '\f';
                break;
            case '"':
            case '\\':
            case '/':
                out += c;
                break;
            case 'u':
                p = unescape_unicode(p, end, out);
                break;
            default:
                append_utf8(out, kReplacement);
                break;
        }
    }
}

void append_utf8(std::string& out, uint32_t code) {
    const auto byte = [&out](uint32_t b) { out += static_cast<char>(b); };
    if (code < 0x80) {
        byte(code);
    } else if (code < 0x800) {
        byte(0xC0 | code >> 6);
        byte(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        byte(0xE0 | code >> 12);
        byte(0x80 | (code >> 6 & 0x3F));
        byte(0x80 | (code & 0x3F));
    } else {
        byte(0xF0 | code >> 18);
        byte(0x80 | (code >> 12 & 0x3F));
        byte(0x80 | (code >> 6 & 0x3F));
        byte(0x80 | (code & 0x3F));
    }
}

}  // namespace belay::json

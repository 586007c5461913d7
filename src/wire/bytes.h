#pragma once
// Byte searches for the codecs of this layer, 16 bytes at a time where the machine has SSE2 (every
// x86-64), byte by byte elsewhere. Nothing here reads at or after `end`.
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace belay::bytes {

// The first byte of a JSON string's inside that is no plain ASCII text: '"', '\\', a control byte
// or part of a multi-byte sequence; `end` when there is none.
inline const char* find_string_special(const char* p, const char* end) {
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i escape = _mm_set1_epi8('\\');
    const __m128i space = _mm_set1_epi8(' ');
    for (auto blocks = (end - p) / 16; blocks > 0; --blocks, p += 16) {
        const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
        // Signed: bytes of 0x80 and above are negative, so one comparison finds them and controls.
        const __m128i odd =
            _mm_or_si128(_mm_cmplt_epi8(v, space),
                         _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, escape)));
        if (const int mask = _mm_movemask_epi8(odd); mask != 0) {
            return p + __builtin_ctz(static_cast<unsigned>(mask));
        }
    }
#endif
    while (p != end && static_cast<signed char>(*p) >= ' ' && *p != '"' && *p != '\\') {
        ++p;
    }
    return p;
}

// The first `a` or `b`, or `end`.
inline const char* find_either(const char* p, const char* end, char a, char b) {
#if defined(__SSE2__)
    const __m128i va = _mm_set1_epi8(a);
    const __m128i vb = _mm_set1_epi8(b);
    for (auto blocks = (end - p) / 16; blocks > 0; --blocks, p += 16) {
        const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
        const int mask =
            _mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(v, va), _mm_cmpeq_epi8(v, vb)));
        if (mask != 0) {
            return p + __builtin_ctz(static_cast<unsigned>(mask));
        }
    }
#endif
    while (p != end && *p != a && *p != b) {
        ++p;
    }
    return p;
}

// Over letters, digits, '-' and '_' (what header names are made of), sixteen at a time: stops at
// the first other byte, or where fewer than sixteen are left. The caller looks at the rest.
inline const char* skip_name(const char* p, const char* end) {
#if defined(__SSE2__)
    const auto between = [](__m128i v, char least, char most) {
        return _mm_and_si128(_mm_cmpgt_epi8(v, _mm_set1_epi8(static_cast<char>(least - 1))),
                             _mm_cmplt_epi8(v, _mm_set1_epi8(static_cast<char>(most + 1))));
    };
    for (auto blocks = (end - p) / 16; blocks > 0; --blocks, p += 16) {
        const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
        const __m128i letter = between(_mm_or_si128(v, _mm_set1_epi8(0x20)), 'a', 'z');
        const __m128i other =
            _mm_or_si128(between(v, '0', '9'), _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('-')),
                                                            _mm_cmpeq_epi8(v, _mm_set1_epi8('_'))));
        const auto name = static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(letter, other)));
        if (name != 0xFFFF) {
            return p + __builtin_ctz(~name);
        }
    }
#endif
    return p;
}

// The first byte that no request target holds: white space, a control byte, DEL, one of 0x80 and
// above, or '#'; `end` when there is none.
inline const char* find_target_end(const char* p, const char* end) {
#if defined(__SSE2__)
    for (auto blocks = (end - p) / 16; blocks > 0; --blocks, p += 16) {
        const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
        // Signed: bytes of 0x80 and above are negative.
        const __m128i other = _mm_or_si128(_mm_cmplt_epi8(v, _mm_set1_epi8(' ' + 1)),
                                           _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8(0x7F)),
                                                        _mm_cmpeq_epi8(v, _mm_set1_epi8('#'))));
        if (const int mask = _mm_movemask_epi8(other); mask != 0) {
            return p + __builtin_ctz(static_cast<unsigned>(mask));
        }
    }
#endif
    while (p != end && static_cast<signed char>(*p) > ' ' && *p != 0x7F && *p != '#') {
        ++p;
    }
    return p;
}

// The first of '"' '[' ']' '{' '}', or `end`.
inline const char* find_structure(const char* p, const char* end) {
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i bit = _mm_set1_epi8(0x20);
    const __m128i open = _mm_set1_epi8('{');
    const __m128i close = _mm_set1_epi8('}');
    for (auto blocks = (end - p) / 16; blocks > 0; --blocks, p += 16) {
        const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
        const __m128i folded = _mm_or_si128(v, bit);  // '[' becomes '{', ']' becomes '}'
        const int mask = _mm_movemask_epi8(_mm_or_si128(
            _mm_cmpeq_epi8(v, quote),
            _mm_or_si128(_mm_cmpeq_epi8(folded, open), _mm_cmpeq_epi8(folded, close))));
        if (mask != 0) {
            return p + __builtin_ctz(static_cast<unsigned>(mask));
        }
    }
#endif
    while (p != end && *p != '"' && (*p | 0x20) != '{' && (*p | 0x20) != '}') {
        ++p;
    }
    return p;
}

// The first byte that a header value may not hold or that ends it: a control byte or DEL; `end`
// when there is none. A tab is found too, though it is legal.
inline const char* find_control(const char* p, const char* end) {
#if defined(__SSE2__)
    const __m128i top = _mm_set1_epi8(0x1F);
    const __m128i del = _mm_set1_epi8(0x7F);
    for (auto blocks = (end - p) / 16; blocks > 0; --blocks, p += 16) {
        const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
        const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(v, top), v);
        const int mask = _mm_movemask_epi8(_mm_or_si128(control, _mm_cmpeq_epi8(v, del)));
        if (mask != 0) {
            return p + __builtin_ctz(static_cast<unsigned>(mask));
        }
    }
#endif
    while (p != end && static_cast<unsigned char>(*p) > 0x1F && *p != 0x7F) {
        ++p;
    }
    return p;
}

inline bool is_json_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

// The first byte that is no JSON white space, or `end`.
inline const char* skip_json_space(const char* p, const char* end) {
    if (p == end || static_cast<unsigned char>(*p) > ' ') {
        return p;
    }
    if (++p == end || static_cast<unsigned char>(*p) > ' ') {
        return is_json_space(p[-1]) ? p : p - 1;  // one space, the common case
    }
    --p;
#if defined(__SSE2__)
    for (auto blocks = (end - p) / 16; blocks > 0; --blocks, p += 16) {
        const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
        const __m128i blank = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8(' ')),
                                                        _mm_cmpeq_epi8(v, _mm_set1_epi8('\n'))),
                                           _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('\r')),
                                                        _mm_cmpeq_epi8(v, _mm_set1_epi8('\t'))));
        const unsigned mask = static_cast<unsigned>(_mm_movemask_epi8(blank)) ^ 0xFFFFu;
        if (mask != 0) {
            return p + __builtin_ctz(mask);
        }
    }
#endif
    while (p != end && is_json_space(*p)) {
        ++p;
    }
    return p;
}

// The length (2 to 4) of the well-formed UTF-8 sequence at `p`, whose first byte is 0x80 or above;
// 0 when it is malformed: overlong, a surrogate, beyond U+10FFFF or cut off (Unicode table 3-7).
inline int utf8_length(const char* at, const char* end) {
    const auto* p = reinterpret_cast<const unsigned char*>(at);
    const auto size = end - at;
    const auto follows = [p](int i) { return (p[i] & 0xC0) == 0x80; };
    if (p[0] < 0xC2 || p[0] > 0xF4) {
        return 0;
    }
    if (p[0] < 0xE0) {
        return size >= 2 && follows(1) ? 2 : 0;
    }
    if (p[0] < 0xF0) {
        if (size < 3 || !follows(1) || !follows(2)) {
            return 0;
        }
        const bool overlong = p[0] == 0xE0 && p[1] < 0xA0;
        const bool surrogate = p[0] == 0xED && p[1] > 0x9F;
        return overlong || surrogate ? 0 : 3;
    }
    if (size < 4 || !follows(1) || !follows(2) || !follows(3)) {
        return 0;
    }
    const bool overlong = p[0] == 0xF0 && p[1] < 0x90;
    const bool beyond = p[0] == 0xF4 && p[1] > 0x8F;
    return overlong || beyond ? 0 : 4;
}

constexpr int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

}  // namespace belay::bytes

#include "protocols/text_pattern.h"

#include <algorithm>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "wire/bytes.h"
#include "wire/json.h"

namespace belay::protocols {
namespace {

constexpr size_t kDigitsMax = 15;

// Over the inside of a JSON string; at its closing quote, or nullptr when it is no valid string.
const char* skip_string(const char* p, const char* end) {
    const char* const begin = p;
    bool plain = true;
    while (true) {
        p = bytes::find_string_special(p, end);
        if (p == end) {
            return nullptr;
        }
        if (*p == '"') {
            break;
        }
        plain = false;
        if (*p == '\\' && ++p == end) {
            return nullptr;
        }
        ++p;
    }
    if (!plain && !json::validate({begin - 1, static_cast<size_t>(p - begin) + 2}).ok()) {
        return nullptr;
    }
    return p;
}

// Up to 15 digits as JSON writes a whole number; -1 when there is none.
int64_t take_digits(const char*& p, const char* end) {
    const char* const begin = p;
    int64_t value = 0;
    while (p != end && *p >= '0' && *p <= '9') {
        value = value * 10 + (*p - '0');
        if (static_cast<size_t>(++p - begin) > kDigitsMax) {
            return -1;
        }
    }
    const bool padded = p - begin > 1 && *begin == '0';
    return p == begin || padded ? -1 : value;
}

// Over up to 15 digits that are a whole number above zero; false when there is none.
bool skip_digits(const char*& p, const char* end) {
#if defined(__SSE2__)
    if (end - p >= 16) {
        const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
        const __m128i other = _mm_or_si128(_mm_cmplt_epi8(v, _mm_set1_epi8('0')),
                                           _mm_cmpgt_epi8(v, _mm_set1_epi8('9')));
        const auto mask = static_cast<unsigned>(_mm_movemask_epi8(other));
        if (*p == '0' || mask == 0) {
            return false;
        }
        const int digits = __builtin_ctz(mask);
        p += digits;
        return digits != 0;
    }
#endif
    return take_digits(p, end) > 0;
}

}  // namespace

TextPattern::TextPattern(std::string_view text, std::vector<Place> places, json::Span usage) {
    std::sort(places.begin(), places.end(),
              [](const Place& a, const Place& b) { return a.value.begin < b.value.begin; });
    size_t behind = 0;
    bool any_usage = false;
    holes_.reserve(places.size());
    for (const Place& place : places) {
        holes_.push_back({std::string(text.substr(behind, place.value.begin - behind)), place.what,
                          place.count});
        behind = place.value.end;
        if (place.what == What::count && place.value.begin > usage.begin &&
            place.value.end < usage.end) {
            usage_before_ = any_usage ? usage_before_ : place.value.begin - usage.begin;
            usage_after_ = usage.end - place.value.end;
            any_usage = true;
        }
    }
    after_ = text.substr(behind);
}

bool TextPattern::take(const Hole& hole, const char*& p, const char* end, Found& found) {
    const char* const begin = p;
    const auto taken = [&] { return std::string_view(begin, static_cast<size_t>(p - begin)); };
    switch (hole.what) {
        case What::id:
            p = bytes::find_string_special(p, end);
            found.id = taken();
            return p != end && *p == '"' && p != begin;
        case What::content:
            p = skip_string(p, end);
            if (p == nullptr) {
                return false;
            }
            found.content = taken();
            return true;
        case What::created:
            if (!skip_digits(p, end)) {
                return false;
            }
            found.created = taken();
            return true;
        case What::count:
            break;
    }
    const int64_t value = take_digits(p, end);
    if (value < 0) {
        return false;
    }
    found.counts.set(hole.count, value);
    if (hole.count <= Count::reasoning) {
        found.last_count = taken();
        if (found.first_count.data() == nullptr) {
            found.first_count = found.last_count;
        }
    }
    return true;
}

bool TextPattern::find(std::string_view text, Found& found) const {
    const char* p = text.data();
    const char* const end = p + text.size();
    for (const Hole& hole : holes_) {
        const size_t size = hole.before.size();
        if (static_cast<size_t>(end - p) < size || std::memcmp(p, hole.before.data(), size) != 0) {
            return false;
        }
        p += size;
        if (!take(hole, p, end, found)) {
            return false;
        }
    }
    return static_cast<size_t>(end - p) == after_.size() &&
           std::memcmp(p, after_.data(), after_.size()) == 0;
}

std::string_view TextPattern::usage(const Found& found) const {
    if (found.first_count.data() == nullptr) {
        return {};
    }
    const char* begin = found.first_count.data() - usage_before_;
    const char* end = found.last_count.data() + found.last_count.size() + usage_after_;
    return {begin, static_cast<size_t>(end - begin)};
}

}  // namespace belay::protocols

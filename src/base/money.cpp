#include "base/money.h"

#include <charconv>
#include <cstring>
#include <limits>

#include "base/money_text.h"

namespace belay {
namespace {

using Wide = __int128;

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int kUsdScale = 11;              // 1 US$ = 10^11 nano-credits
constexpr int kCreditScale = 9;            // 1 credit = 10^9 nano-credits
constexpr int kUsdPerTokenScale = 11 + 6;  // and a price counts 10^6 tokens
constexpr size_t kTextMax = 64;

int64_t clamp(Wide value) {
    if (value > kMax) {
        return kMax;
    }
    return value < kMin ? kMin : static_cast<int64_t>(value);
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

Error bad_amount(std::string_view text, std::string_view why) {
    return caller_error(Kind::invalid_request, "\"" + std::string(text.substr(0, kTextMax)) +
                                                   "\" is no amount of money: " + std::string(why));
}

// A decimal number as digits and a power of ten: value = digits * 10^exponent.
struct Decimal {
    bool negative = false;
    std::string digits;
    int exponent = 0;
};

// number = ["-" / "+"] (digits ["." [digits]] / "." digits) [("e" / "E") ["-" / "+"] digits]
Result<Decimal> parse_decimal(std::string_view text) {
    if (text.size() > kTextMax) {
        return bad_amount(text, "longer than 64 characters");
    }
    Decimal d;
    size_t i = 0;
    if (i < text.size() && (text[i] == '-' || text[i] == '+')) {
        d.negative = text[i++] == '-';
    }
    for (; i < text.size() && is_digit(text[i]); ++i) {
        d.digits += text[i];
    }
    if (i < text.size() && text[i] == '.') {
        for (++i; i < text.size() && is_digit(text[i]); ++i) {
            d.digits += text[i];
            --d.exponent;
        }
    }
    if (d.digits.empty()) {
        return bad_amount(text, "a decimal number such as 0.000005 or 5e-06 is expected");
    }
    if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
        ++i;
        bool down = false;
        if (i < text.size() && (text[i] == '-' || text[i] == '+')) {
            down = text[i++] == '-';
        }
        const size_t first = i;
        int exponent = 0;
        for (; i < text.size() && is_digit(text[i]); ++i) {
            exponent = exponent < 100'000 ? exponent * 10 + (text[i] - '0') : exponent;
        }
        if (i == first) {
            return bad_amount(text, "the exponent has no digits");
        }
        d.exponent += down ? -exponent : exponent;
    }
    if (i != text.size()) {
        return bad_amount(text, "unexpected \"" + std::string(text.substr(i, 1)) + "\"");
    }
    return d;
}

// text * 10^scale as a whole number, rounded half away from zero.
Result<int64_t> parse_scaled(std::string_view text, int scale) {
    const Decimal d = TRY(parse_decimal(text));
    // The first `whole` digits stand before the decimal point of the scaled number.
    const int64_t whole = static_cast<int64_t>(d.digits.size()) + d.exponent + scale;
    Wide value = 0;
    for (int64_t i = 0; i < whole; ++i) {
        const bool has_digit = i < static_cast<int64_t>(d.digits.size());
        value = value * 10 + (has_digit ? d.digits[static_cast<size_t>(i)] - '0' : 0);
        if (value > kMax) {
            return bad_amount(text, "too large");
        }
        if (!has_digit && value == 0) {
            break;  // only zeros follow, however many
        }
    }
    if (whole >= 0 && whole < static_cast<int64_t>(d.digits.size()) &&
        d.digits[static_cast<size_t>(whole)] >= '5') {
        ++value;
    }
    if (value > kMax) {
        return bad_amount(text, "too large");
    }
    return static_cast<int64_t>(d.negative ? -value : value);
}

constexpr uint64_t kNanoPerUsd = 100'000'000'000;
static_assert(kUsdScale == 11);

// Negating the smallest int64 would overflow; as unsigned it is its own magnitude.
uint64_t magnitude(int64_t value) {
    return value < 0 ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
}

std::string render_scaled(int64_t value, int scale) {
    const bool negative = value < 0;
    const uint64_t rest = magnitude(value);
    std::string digits = std::to_string(rest);
    const auto places = static_cast<size_t>(scale);
    if (digits.size() <= places) {
        digits.insert(0, places + 1 - digits.size(), '0');
    }
    digits.insert(digits.size() - places, 1, '.');
    digits.erase(digits.find_last_not_of('0') + 1);
    if (digits.back() == '.') {
        digits.pop_back();
    }
    return negative ? "-" + digits : digits;
}

}  // namespace

NanoCredits add(NanoCredits a, NanoCredits b) {
    return {clamp(static_cast<Wide>(a.value) + b.value)};
}

NanoCredits cost(int64_t tokens, PricePerMillion price) {
    constexpr Wide kMillion = 1'000'000;
    if (tokens <= 0) {
        return {};
    }
    const Wide product = static_cast<Wide>(tokens) * price.nanocredits + kMillion / 2;
    // Division truncates towards zero; half up needs the floor.
    const Wide quotient = product / kMillion - (product % kMillion < 0 ? 1 : 0);
    return {clamp(quotient)};
}

Result<PricePerMillion> parse_usd_per_token(std::string_view text) {
    return PricePerMillion{TRY(parse_scaled(text, kUsdPerTokenScale))};
}

Result<NanoCredits> parse_usd(std::string_view text) {
    return NanoCredits{TRY(parse_scaled(text, kUsdScale))};
}

std::string render_usd(NanoCredits amount) {
    char text[kUsdText];
    return {text, write_usd(text, amount)};
}

char* write_usd(char* at, NanoCredits amount) {
    if (amount.value < 0) {
        *at++ = '-';
    }
    const uint64_t whole = magnitude(amount.value);
    at = std::to_chars(at, at + kUsdText, whole / kNanoPerUsd).ptr;
    uint64_t fraction = whole % kNanoPerUsd;
    if (fraction == 0) {
        return at;
    }
    *at = '.';
    // Zeros between the point and the first digit, none behind the last one.
    char digits[kUsdScale];
    int count = kUsdScale;
    for (; fraction % 10 == 0; fraction /= 10) {
        --count;
    }
    for (int i = count; i > 0; --i) {
        digits[i - 1] = static_cast<char>('0' + fraction % 10);
        fraction /= 10;
    }
    std::memcpy(at + 1, digits, static_cast<size_t>(count));
    return at + 1 + count;
}
std::string render_credits(NanoCredits amount) { return render_scaled(amount.value, kCreditScale); }

}  // namespace belay

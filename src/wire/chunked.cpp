// chunked-body = *chunk last-chunk trailer-section CRLF                       (RFC 9112 §7.1)
// chunk        = 1*8HEXDIG [ ";" extension ] CRLF data CRLF
// last-chunk   = 1*8"0" [ ";" extension ] CRLF
// trailer      = *( name ":" value CRLF ), checked for its shape and dropped
#include <algorithm>
#include <array>
#include <cstring>

#include "wire/bytes.h"
#include "wire/http.h"

namespace belay::http {
namespace {

constexpr uint32_t kSizeDigitsMax = 8;
constexpr uint32_t kExtensionMax = 256;
constexpr uint32_t kTrailerMax = 8 << 10;

// The value of a hexadecimal digit, -1 for every other byte.
constexpr std::array<int8_t, 256> make_hex_table() {
    std::array<int8_t, 256> table{};
    for (int c = 0; c < 256; ++c) {
        table[static_cast<size_t>(c)] = static_cast<int8_t>(bytes::hex_digit(static_cast<char>(c)));
    }
    return table;
}
constexpr auto kHex = make_hex_table();

bool is_control(char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F; }

// A trailer name is checked only for what would make it look like something else.
bool belongs_to_name(char c) { return c > ' ' && static_cast<unsigned char>(c) < 0x7F; }

}  // namespace

// A chunk that lies whole in `in`, its line ends included: one step. Anything else is left to the
// byte by byte reading.
inline bool ChunkedReader::take_whole(std::string_view in, Step& step) const {
    if (phase_ != Phase::size || digits_ != 0) {
        return false;
    }
    const char* p = in.data();
    const char* const end = p + std::min<size_t>(in.size(), kSizeDigitsMax + 1);
    uint64_t size = 0;
    for (int digit = 0; p != end && (digit = kHex[static_cast<unsigned char>(*p)]) >= 0; ++p) {
        size = size * 16 + static_cast<uint64_t>(digit);
    }
    const auto digits = static_cast<size_t>(p - in.data());
    if (size == 0 || digits > kSizeDigitsMax || in.size() - digits < size + 4 || p[0] != '\r' ||
        p[1] != '\n' || p[size + 2] != '\r' || p[size + 3] != '\n') {
        return false;
    }
    step.data = {p + 2, static_cast<size_t>(size)};
    step.consumed = digits + static_cast<size_t>(size) + 4;
    return true;
}

ChunkedReader::Step ChunkedReader::feed(std::string_view in) {
    if (Step whole; take_whole(in, whole)) {
        return whole;
    }
    return feed_bytes(in);
}

ChunkedReader::Packed ChunkedReader::pack(char* data, size_t size) {
    Packed packed;
    while (packed.consumed != size && packed.state == State::more) {
        const std::string_view in(data + packed.consumed, size - packed.consumed);
        Step step;
        if (!take_whole(in, step)) {
            step = feed_bytes(in);
        }
        if (!step.data.empty() && step.data.data() != data + packed.body) {
            std::memmove(data + packed.body, step.data.data(), step.data.size());
        }
        packed.body += step.data.size();
        packed.consumed += step.consumed;
        packed.state = step.state;
    }
    return packed;
}

ChunkedReader::Step ChunkedReader::feed_bytes(std::string_view in) {
    const auto bad = [](size_t at) { return Step{State::bad, at, {}}; };
    for (size_t i = 0; i < in.size() && phase_ != Phase::done; ++i) {
        const char c = in[i];
        switch (phase_) {
            case Phase::size:
                if (const int digit = bytes::hex_digit(c); digit >= 0) {
                    if (++digits_ > kSizeDigitsMax) {
                        return bad(i);
                    }
                    left_ = left_ * 16 + static_cast<uint64_t>(digit);
                } else if (digits_ == 0 || (c != ';' && c != '\r')) {
                    return bad(i);
                } else {
                    phase_ = c == ';' ? Phase::extension : Phase::size_lf;
                }
                break;
            case Phase::extension:
                if (c == '\r') {
                    phase_ = Phase::size_lf;
                } else if (is_control(c) || ++extension_ > kExtensionMax) {
                    return bad(i);
                }
                break;
            case Phase::size_lf:
                if (c != '\n') {
                    return bad(i);
                }
                phase_ = left_ == 0 ? Phase::trailer : Phase::data;
                digits_ = extension_ = 0;
                break;
            case Phase::data: {
                const auto size = static_cast<size_t>(std::min<uint64_t>(left_, in.size() - i));
                left_ -= size;
                if (left_ == 0) {
                    phase_ = Phase::data_cr;
                }
                return {State::more, i + size, in.substr(i, size)};
            }
            case Phase::data_cr:
                if (c != '\r') {
                    return bad(i);
                }
                phase_ = Phase::data_lf;
                break;
            case Phase::data_lf:
                if (c != '\n') {
                    return bad(i);
                }
                phase_ = Phase::size;
                break;
            case Phase::trailer:
                if (++trailer_total_ > kTrailerMax) {
                    return bad(i);
                }
                if (c == '\r') {
                    if (trailer_line_ != 0 && !trailer_named_) {
                        return bad(i);
                    }
                    phase_ = Phase::last_lf;
                } else if (c == ':' && trailer_line_ != 0) {
                    trailer_named_ = true;
                    ++trailer_line_;
                } else if (trailer_named_ ? is_control(c) : !belongs_to_name(c) || c == ':') {
                    return bad(i);
                } else {
                    ++trailer_line_;
                }
                break;
            case Phase::last_lf:
                if (c != '\n') {
                    return bad(i);
                }
                phase_ = trailer_line_ == 0 ? Phase::done : Phase::trailer;
                trailer_line_ = 0;
                trailer_named_ = false;
                if (phase_ == Phase::done) {
                    return {State::done, i + 1, {}};
                }
                break;
            case Phase::done:
                break;
        }
    }
    return phase_ == Phase::done ? Step{State::done, 0, {}} : Step{State::more, in.size(), {}};
}

}  // namespace belay::http

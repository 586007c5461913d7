#include "observe/redaction.h"

#include <regex.h>

#include "base/scrub.h"

namespace belay::observe {
namespace {

constexpr std::string_view kGone = "[redacted]";
bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0U) == 0x80; }

constexpr int kRepeatsMost = 255;
constexpr int64_t kProductMost = 4096;  // of nested repetitions: they multiply in memory

// Back-references make matching slow, and large repetitions make the machine large.
Result<void> check_shape(const std::string& pattern) {
    if (pattern.empty() || pattern.size() > kPatternMost) {
        return caller_error(Kind::invalid_request, "it has between 1 and 512 bytes");
    }
    int64_t product = 1;
    for (size_t i = 0; i < pattern.size(); ++i) {
        if (pattern[i] == '\\' && i + 1 < pattern.size()) {
            ++i;
            if (pattern[i] >= '1' && pattern[i] <= '9') {
                return caller_error(Kind::invalid_request, "it refers back to a group");
            }
        } else if (pattern[i] == '{') {
            int most = 0;
            int number = 0;
            for (++i; i < pattern.size() && pattern[i] != '}'; ++i) {
                if (pattern[i] >= '0' && pattern[i] <= '9') {
                    number = number * 10 + (pattern[i] - '0');
                    most = std::max(most, number);
                    if (most > kRepeatsMost) {
                        return caller_error(Kind::invalid_request,
                                            "it repeats something more than 255 times");
                    }
                } else {
                    number = 0;
                }
            }
            product *= std::max(1, most);
            if (product > kProductMost) {
                return caller_error(Kind::invalid_request, "its repetitions multiply too much");
            }
        }
    }
    return {};
}

}  // namespace

struct Redaction::Pattern {
    regex_t compiled{};
    bool good = false;
    std::string problem;

    explicit Pattern(const std::string& text) {
        const int failed = ::regcomp(&compiled, text.c_str(), REG_EXTENDED);
        good = failed == 0;
        if (!good) {
            char words[128];
            ::regerror(failed, &compiled, words, sizeof words);
            problem = words;
        }
    }
    ~Pattern() {
        if (good) {
            ::regfree(&compiled);
        }
    }
    Pattern(const Pattern&) = delete;
    Pattern& operator=(const Pattern&) = delete;

    [[nodiscard]] std::string replace(const std::string& text) const {
        std::string out;
        size_t at = 0;
        while (at <= text.size()) {
            regmatch_t match{};
            match.rm_so = static_cast<regoff_t>(at);
            match.rm_eo = static_cast<regoff_t>(text.size());
            if (::regexec(&compiled, text.c_str(), 1, &match,
                          REG_STARTEND | (at == 0 ? 0 : REG_NOTBOL)) != 0) {
                break;
            }
            auto from = static_cast<size_t>(match.rm_so);
            auto until = static_cast<size_t>(match.rm_eo);
            // Patterns know bytes: a character goes whole, so that the rest stays UTF-8.
            while (until > from && from > at && is_continuation(text[from])) {
                --from;
            }
            while (until > from && until < text.size() && is_continuation(text[until])) {
                ++until;
            }
            out.append(text, at, from - at);
            if (until > from) {
                out += kGone;
                at = until;
            } else {  // it matches nothing here: one byte further
                if (from < text.size()) {
                    out += text[from];
                }
                at = from + 1;
            }
        }
        if (at < text.size()) {
            out.append(text, at);
        }
        return out;
    }
};

Result<void> check_pattern(const std::string& pattern) {
    TRY(check_shape(pattern));
    const Redaction::Pattern compiled(pattern);
    if (!compiled.good) {
        return caller_error(Kind::invalid_request, compiled.problem);
    }
    return {};
}

Redaction::Redaction(const std::vector<std::string>& patterns) {
    for (const auto& text : patterns) {
        if (patterns_.size() < kPatternsMost && check_pattern(text).ok()) {
            patterns_.push_back(std::make_unique<Pattern>(text));
        }
    }
}

Redaction::~Redaction() = default;

std::string Redaction::apply(std::string_view text) const {
    std::string out = log::redact(text);
    for (const auto& pattern : patterns_) {
        out = pattern->replace(out);
    }
    return out;
}

}  // namespace belay::observe

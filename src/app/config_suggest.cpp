#include "app/config_suggest.h"

#include <algorithm>
#include <cctype>
#include <vector>

namespace belay::app {
namespace {

constexpr size_t kLongestName = 120;

bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::vector<std::string> words_of(std::string_view name) {
    std::vector<std::string> words(1);
    for (char c : name) {
        if (c != '_') {
            words.back() += c;
        } else if (!words.back().empty()) {
            words.emplace_back();
        }
    }
    if (words.back().empty()) {
        words.pop_back();
    }
    return words;
}

std::string singular(const std::string& word) {
    if (word.size() > 4 && word.ends_with("ies")) {
        return word.substr(0, word.size() - 3) + "y";
    }
    bool plural = word.size() > 3 && word.ends_with('s') && !word.ends_with("ss");
    return plural ? word.substr(0, word.size() - 1) : word;
}

std::string joined(const std::vector<std::string>& words, std::string_view between) {
    std::string out;
    for (const std::string& word : words) {
        out += (out.empty() ? "" : std::string(between)) + word;
    }
    return out;
}

std::vector<std::string> singulars(std::vector<std::string> words) {
    for (std::string& word : words) {
        word = singular(word);
    }
    return words;
}

// Words in common, each forgiven one or two letters; in [0, 1] of all words of both.
double shared_words(std::vector<std::string> a, const std::vector<std::string>& b) {
    size_t total = a.size() + b.size();
    double shared = 0;
    for (const std::string& word : b) {
        auto same = std::find_if(a.begin(), a.end(), [&word](const std::string& other) {
            size_t allowed = std::min(word.size(), other.size()) / 4;
            return edit_distance(word, other) <= allowed;
        });
        if (same != a.end()) {
            shared += *same == word ? 2 : 1.8;
            a.erase(same);
        }
    }
    return total == 0 ? 0 : shared / static_cast<double>(total);
}

std::optional<double> typing_distance(std::string_view a, std::string_view b) {
    size_t longest = std::max(a.size(), b.size());
    size_t allowed = std::min<size_t>(4, longest <= 4 ? 1 : longest / 4 + 1);
    size_t distance = edit_distance(a, b);
    if (distance > allowed || distance * 2 > longest) {
        return std::nullopt;
    }
    return 0.1 + 1.2 * static_cast<double>(distance) / static_cast<double>(longest);
}

void improve(std::optional<double>& best, std::optional<double> score) {
    if (score && (!best || *score < *best)) {
        best = score;
    }
}

std::string digits_of(std::string_view text) {
    std::string digits;
    std::copy_if(text.begin(), text.end(), std::back_inserter(digits), is_digit);
    return digits;
}

std::string_view without_provider(std::string_view model) {
    size_t slash = model.find('/');
    return slash == std::string_view::npos ? model : model.substr(slash + 1);
}

double model_distance(std::string_view typed, std::string_view known) {
    std::string a = normal_name(typed), b = normal_name(known);
    if (a == b) {
        return 0;
    }
    auto cost = [](std::string_view x, std::string_view y) {
        double longest = static_cast<double>(std::max<size_t>(1, std::max(x.size(), y.size())));
        double digits = static_cast<double>(edit_distance(digits_of(x), digits_of(y)));
        return (static_cast<double>(edit_distance(x, y)) + digits) / longest;
    };
    double whole = cost(a, b);
    std::string_view bare_a = without_provider(a), bare_b = without_provider(b);
    bool one_bare = (bare_a.size() == a.size()) != (bare_b.size() == b.size());
    double bare = cost(bare_a, bare_b);
    double best = std::min(whole, bare + (one_bare ? 0.05 : 0.02));
    // A name cut short, or with a suffix too many: "claude-opus", "gpt-5-mini-2025-08-07".
    bool cut = bare_a.size() >= 4 && bare_b.size() >= 4 &&
               (bare_a.starts_with(bare_b) || bare_b.starts_with(bare_a));
    return cut ? std::min(best, one_bare ? 0.32 : 0.3) : best;
}

}  // namespace

std::string normal_name(std::string_view name) {
    std::string out;
    for (size_t i = 0; i < std::min(name.size(), kLongestName); ++i) {
        char c = name[i];
        if (is_upper(c)) {
            bool inside = i > 0 && (is_lower(name[i - 1]) || is_digit(name[i - 1]));
            out += inside ? "_" : "";
            out += static_cast<char>(c + 32);
        } else {
            out += c == '-' || c == ' ' || c == '.' ? '_' : c;
        }
    }
    return out;
}

size_t edit_distance(std::string_view a, std::string_view b) {
    a = a.substr(0, kLongestName);
    b = b.substr(0, kLongestName);
    std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
    for (size_t j = 0; j <= b.size(); ++j) {
        last[j] = j;
    }
    for (size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (size_t j = 1; j <= b.size(); ++j) {
            size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + change});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = std::min(row[j], before[j - 2] + 1);
            }
        }
        before.swap(last);
        last.swap(row);
    }
    return last[b.size()];
}

std::optional<double> name_distance(std::string_view typed, std::string_view known) {
    std::string a = normal_name(typed), b = normal_name(known);
    auto words_a = words_of(a), words_b = words_of(b);
    if (a.empty() || b.empty() || words_a.empty()) {
        return std::nullopt;
    }
    if (a == b) {
        return 0;
    }
    auto stems_a = singulars(words_a), stems_b = singulars(words_b);
    if (joined(words_a, "") == joined(words_b, "") || stems_a == stems_b) {
        return 0.05;
    }
    std::optional<double> best = typing_distance(a, b);
    improve(best, typing_distance(joined(stems_a, "_"), joined(stems_b, "_")));
    auto sorted_a = stems_a, sorted_b = stems_b;
    std::sort(sorted_a.begin(), sorted_a.end());
    std::sort(sorted_b.begin(), sorted_b.end());
    if (sorted_a == sorted_b) {
        improve(best, 0.12);
    }
    size_t shorter = std::min(a.size(), b.size()), longer = std::max(a.size(), b.size());
    if (shorter >= 4 && (a.starts_with(b) || b.starts_with(a))) {
        improve(best, 0.45 - 0.25 * static_cast<double>(shorter) / static_cast<double>(longer));
    }
    double shared = shared_words(stems_a, stems_b);
    if (shared >= 0.6) {
        improve(best, 0.15 + 0.5 * (1 - shared));
    }
    return best;
}

std::string suggest(std::string_view typed, std::span<const std::string> candidates) {
    std::string best;
    double lowest = 1e9;
    for (const std::string& candidate : candidates) {
        auto score = name_distance(typed, candidate);
        if (score && *score < lowest) {
            lowest = *score;
            best = candidate;
        }
    }
    return best;
}

std::string suggest_model(std::string_view typed, std::span<const std::string> candidates) {
    constexpr double kFarthest = 0.36;
    std::string best;
    double lowest = kFarthest;
    for (const std::string& candidate : candidates) {
        double score = model_distance(typed, candidate);
        if (score < lowest) {
            lowest = score;
            best = candidate;
        }
    }
    return best;
}

}  // namespace belay::app

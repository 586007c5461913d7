#include "app/config_diagnostic.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "base/log.h"

namespace belay::app {
namespace {

constexpr size_t kExcerptBytes = 200;

bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

// Keys whose values are secrets whatever section they stand in.
bool names_secret(std::string_view key) {
    std::string lower;
    for (char c : key) {
        lower += c == '-' ? '_' : (c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c);
    }
    constexpr std::array<std::string_view, 10> kParts = {
        "key",      "token",         "secret", "password",   "passwd",
        "database", "authorization", "cookie", "credential", "auth_value"};
    for (std::string_view allowed :
         {"max_tokens", "header_name", "credential_name", "key_header", "credential_list",
          "token_limit", "_per_token", "token_cost", "input_tokens", "output_tokens"}) {
        if (lower.find(allowed) != std::string::npos) {
            return false;
        }
    }
    return std::any_of(kParts.begin(), kParts.end(), [&lower](std::string_view part) {
        return lower.find(part) != std::string::npos;
    });
}

// The key that ends just before the ':' at `colon`.
std::string_view key_before(std::string_view line, size_t colon) {
    size_t end = colon;
    while (end > 0 && (line[end - 1] == ' ' || line[end - 1] == '"' || line[end - 1] == '\'')) {
        --end;
    }
    size_t begin = end;
    while (begin > 0 && is_name_char(line[begin - 1])) {
        --begin;
    }
    return line.substr(begin, end - begin);
}

// Where the value that begins at `begin` ends: its closing quote, or a flow separator, or the line.
size_t value_end(std::string_view line, size_t begin) {
    if (begin < line.size() && (line[begin] == '"' || line[begin] == '\'')) {
        size_t close = line.find(line[begin], begin + 1);
        return close == std::string_view::npos ? line.size() : close + 1;
    }
    size_t end = begin;
    while (end < line.size() && line[end] != ',' && line[end] != '}' && line[end] != ']' &&
           line.substr(end, 2) != " #") {
        ++end;
    }
    return end;
}

std::string mask_secret_values(std::string_view line) {
    std::string out;
    size_t at = 0;
    while (at < line.size()) {
        size_t colon = line.find(':', at);
        if (colon == std::string_view::npos) {
            break;
        }
        size_t begin = colon + 1;
        while (begin < line.size() && line[begin] == ' ') {
            ++begin;
        }
        out += line.substr(at, begin - at);
        at = begin;
        std::string_view value = line.substr(begin);
        bool shown = value.empty() || value.starts_with("os.environ/") || value[0] == '#';
        if (!shown && names_secret(key_before(line, colon))) {
            out += "…";
            bool several = value[0] == '[' || value[0] == '{';
            at = several ? line.size() : value_end(line, begin);
        }
    }
    out += line.substr(std::min(at, line.size()));
    return out;
}

// "scheme://user:password@host" loses what stands before the '@'.
void mask_user_info(std::string& line) {
    for (size_t at = line.find("://"); at != std::string::npos; at = line.find("://", at + 3)) {
        size_t end = line.find_first_of(" \"',}]/", at + 3);
        size_t sign = line.rfind('@', end == std::string::npos ? line.size() : end);
        if (sign != std::string::npos && sign > at + 3) {
            line.replace(at + 3, sign - at - 3, "…");
        }
    }
}

void shorten(std::string& text, size_t bytes) {
    if (text.size() <= bytes) {
        return;
    }
    size_t cut = bytes;
    while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0U) == 0x80U) {
        --cut;
    }
    text.resize(cut);
    text += "…";
}

std::string_view line_of(std::string_view text, int line) {
    for (int n = 1; n < line; ++n) {
        size_t end = text.find('\n');
        if (end == std::string_view::npos) {
            return {};
        }
        text.remove_prefix(end + 1);
    }
    std::string_view found = text.substr(0, text.find('\n'));
    return found.ends_with('\r') ? found.substr(0, found.size() - 1) : found;
}

}  // namespace

std::string_view severity_name(Severity severity) {
    switch (severity) {
        case Severity::note:
            return "note";
        case Severity::warning:
            return "warning";
        case Severity::error:
            return "error";
    }
    return "";
}

std::string render(const Diagnostic& diagnostic) {
    std::string out = diagnostic.file;
    if (diagnostic.line > 0) {
        out += (out.empty() ? "line " : ":") + std::to_string(diagnostic.line) + ":" +
               std::to_string(diagnostic.column);
    }
    out += out.empty() ? "" : ": ";
    out += std::string(severity_name(diagnostic.severity)) + ": " + diagnostic.message;
    if (!diagnostic.hint.empty()) {
        out += "; " + diagnostic.hint;
    }
    return out;
}

int Diagnostics::add_source(std::string name, std::string text) {
    sources_.push_back({std::move(name), std::move(text)});
    return static_cast<int>(sources_.size()) - 1;
}

const Source* Diagnostics::source(int number) const {
    bool known = number >= 0 && static_cast<size_t>(number) < sources_.size();
    return known ? &sources_[static_cast<size_t>(number)] : nullptr;
}

Diagnostic& Diagnostics::add(Severity severity, yaml::Place place, std::string message,
                             std::string hint) {
    Diagnostic diagnostic;
    diagnostic.severity = severity;
    diagnostic.message = log::scrub(message);
    diagnostic.hint = log::scrub(hint);
    const Source* from = place.line > 0 ? source(place.source) : nullptr;
    if (from != nullptr) {
        diagnostic.file = from->name;
        diagnostic.line = place.line;
        diagnostic.column = place.column;
        diagnostic.excerpt = mask_line(line_of(from->text, place.line));
    }
    // Errors always find room: a flood of notes must not hide the reason why nothing works.
    if (all_.size() >= kMost && (severity != Severity::error || all_.size() >= 2 * kMost)) {
        ++dropped_;
        spare_ = std::move(diagnostic);
        return spare_;
    }
    order_.push_back(place.line > 0 ? place.source : -1);
    all_.push_back(std::move(diagnostic));
    return all_.back();
}

std::vector<Diagnostic> Diagnostics::take() {
    std::vector<size_t> index(all_.size());
    std::iota(index.begin(), index.end(), size_t{0});
    std::stable_sort(index.begin(), index.end(), [this](size_t a, size_t b) {
        auto key = [this](size_t i) { return std::tuple(order_[i], all_[i].line, all_[i].column); };
        return key(a) < key(b);
    });
    std::vector<Diagnostic> sorted;
    for (size_t i : index) {
        sorted.push_back(std::move(all_[i]));
    }
    if (dropped_ > 0) {
        Diagnostic more;
        more.severity = Severity::note;
        more.message = std::to_string(dropped_) + " more findings are not shown";
        sorted.push_back(std::move(more));
    }
    all_.clear();
    order_.clear();
    dropped_ = 0;
    return sorted;
}

std::string mask_line(std::string_view line) {
    std::string out = mask_secret_values(line);
    mask_user_info(out);
    for (char& c : out) {
        c = c == '\t' ? ' ' : c;
    }
    out = log::scrub(out);
    shorten(out, kExcerptBytes);
    return out;
}

}  // namespace belay::app

#include "app/config_values.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "app/config_suggest.h"
#include "base/money.h"
#include "wire/url.h"

namespace belay::app {
namespace {

std::string_view trim(std::string_view text) {
    while (!text.empty() && text.front() == ' ') {
        text.remove_prefix(1);
    }
    while (!text.empty() && text.back() == ' ') {
        text.remove_suffix(1);
    }
    return text;
}

std::optional<double> parse_number(std::string_view text) {
    text = trim(text);
    if (text.starts_with('+')) {
        text.remove_prefix(1);
    }
    double value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    bool whole = error == std::errc() && end == text.data() + text.size();
    return whole && std::isfinite(value) ? std::optional(value) : std::nullopt;
}

bool numeric(const yaml::Node& node) { return node.is_number() || node.is_text(); }

bool is_duration(std::string_view text) {
    size_t digits = 0;
    while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
        ++digits;
    }
    std::string_view unit = text.substr(digits);
    constexpr std::string_view kUnits[] = {"", "s", "m", "h", "d", "w", "mo"};
    return digits > 0 && digits < 10 &&
           std::find(std::begin(kUnits), std::end(kUnits), unit) != std::end(kUnits);
}

std::vector<std::string> split(std::string_view choices) {
    std::vector<std::string> out;
    while (!choices.empty()) {
        size_t bar = choices.find('|');
        out.emplace_back(choices.substr(0, bar));
        choices.remove_prefix(bar == std::string_view::npos ? choices.size() : bar + 1);
    }
    return out;
}

std::string shown(const Key& key, const yaml::Node& node) {
    if (!node.variable.empty()) {
        return "the value of the environment variable " + node.variable;
    }
    bool quotable = node.is_scalar() && !node.is_null() && key.type != KeyType::secret &&
                    key.type != KeyType::url;
    if (!quotable) {
        return std::string(yaml::describe(node.type));
    }
    std::string text = node.text.substr(0, 40);
    return node.is_text() ? "'" + text + "'" : text;
}

Complaint wrong(const Key& key, const yaml::Node& node, std::string_view expected,
                std::string hint) {
    return {"must be " + std::string(expected) + ", not " + shown(key, node), std::move(hint), {}};
}

std::optional<Complaint> unless(bool good, const Key& key, const yaml::Node& node,
                                std::string_view expected, std::string_view hint) {
    return good ? std::nullopt : std::optional(wrong(key, node, expected, std::string(hint)));
}

std::optional<Complaint> check_seconds(const Key& key, const yaml::Node& node) {
    if (to_seconds(node)) {
        return std::nullopt;
    }
    bool negative = node.is_scalar() && parse_number(node.text).value_or(0) < 0;
    bool with_unit = node.is_text() && is_duration(node.text);
    std::string_view hint = negative    ? "leave the key out to have no limit"
                            : with_unit ? "write the number of seconds, without a unit"
                                        : "write a number such as 30 or 0.5";
    return wrong(key, node, "seconds, 0 or more", std::string(hint));
}

std::optional<Complaint> check_choice(const Key& key, const yaml::Node& node) {
    auto choices = split(key.choices);
    auto text = to_text(node);
    if (text && std::find(choices.begin(), choices.end(), *text) != choices.end()) {
        return std::nullopt;
    }
    std::string list;
    for (const std::string& choice : choices) {
        list += (list.empty() ? "" : ", ") + choice;
    }
    std::string nearest = text && node.variable.empty() ? suggest(*text, choices) : "";
    std::string hint = nearest.empty() ? "it is one of: " + list : "did you mean " + nearest + "?";
    Complaint complaint = wrong(key, node, "a known word", std::move(hint));
    complaint.suggestion = nearest;
    return complaint;
}

std::optional<Complaint> check_headers(const Key& key, const yaml::Node& node) {
    if (!node.is_mapping()) {
        return wrong(key, node, "a mapping of header names to text", "write 'Name: value' lines");
    }
    for (const yaml::Entry& header : node.entries) {
        if (!is_header_name(header.key)) {
            return Complaint{"holds '" + header.key.substr(0, 40) + "', which is no header name",
                             "use letters, digits and dashes",
                             {}};
        }
        bool good = header.value.is_null() ||
                    (to_text(header.value) && is_header_value(*to_text(header.value)));
        if (!good) {
            return Complaint{"has a value for " + header.key + " that no header can carry",
                             "write one line of plain text, in quotes",
                             {}};
        }
    }
    return std::nullopt;
}

std::optional<Complaint> check_usd(const Key& key, const yaml::Node& node) {
    bool good = numeric(node) && parse_number(node.text).value_or(-1) >= 0 &&
                parse_usd_per_token(trim(node.text)).ok();
    return unless(good, key, node, "US$ as a number, 0 or more", "write it like 0.000005 or 5e-06");
}

std::optional<Complaint> check_url(const Key& key, const yaml::Node& node) {
    auto text = to_text(node);
    bool good = text && parse_url(*text).ok();
    return unless(good, key, node, "a URL", "write it like https://host/path, without user or key");
}

}  // namespace

std::optional<bool> to_boolean(const yaml::Node& node) {
    if (node.type == yaml::Type::boolean) {
        return node.text == "true";
    }
    if (node.is_text()) {
        std::string normal;
        std::string_view text = trim(node.text);
        if (yaml::resolve_plain(text, normal) == yaml::Type::boolean) {
            return normal == "true";
        }
        if (text == "1" || text == "0") {
            return text == "1";
        }
    }
    if (node.type == yaml::Type::integer && (node.text == "0" || node.text == "1")) {
        return node.text == "1";
    }
    return std::nullopt;
}

std::optional<double> to_number(const yaml::Node& node) {
    auto value = numeric(node) ? parse_number(node.text) : std::nullopt;
    return value && *value >= 0 ? value : std::nullopt;
}

std::optional<int64_t> to_count(const yaml::Node& node) {
    auto value = to_number(node);
    bool whole = value && *value <= 1e15 && *value == std::floor(*value);
    return whole ? std::optional(static_cast<int64_t>(*value)) : std::nullopt;
}

std::optional<Seconds> to_seconds(const yaml::Node& node) {
    auto value = to_number(node);
    return value && *value <= 1e9 ? std::optional(Seconds(*value)) : std::nullopt;
}

std::optional<std::string> to_text(const yaml::Node& node) {
    bool text = node.is_scalar() && !node.is_null();
    return text ? std::optional(node.text) : std::nullopt;
}

std::optional<std::vector<std::string>> to_text_list(const yaml::Node& node) {
    if (auto text = to_text(node)) {
        return std::vector<std::string>{*text};
    }
    if (!node.is_sequence()) {
        return std::nullopt;
    }
    std::vector<std::string> out;
    for (const yaml::Node& item : node.items) {
        if (item.is_null()) {
            continue;  // an unset environment variable
        }
        auto text = to_text(item);
        if (!text) {
            return std::nullopt;
        }
        out.push_back(std::move(*text));
    }
    return out;
}

namespace {

json::Value convert(const yaml::Node& node, bool resolved) {
    if (!resolved && !node.variable.empty()) {
        return "os.environ/" + node.variable;
    }
    switch (node.type) {
        case yaml::Type::null:
            return nullptr;
        case yaml::Type::boolean:
            return node.text == "true";
        case yaml::Type::integer:
        case yaml::Type::real:
            return json::Number{node.text};
        case yaml::Type::text:
            return node.text;
        case yaml::Type::sequence: {
            json::Array items;
            for (const yaml::Node& item : node.items) {
                items.push_back(convert(item, resolved));
            }
            return items;
        }
        case yaml::Type::mapping: {
            json::Object members;
            for (const yaml::Entry& entry : node.entries) {
                members.push_back({entry.key, convert(entry.value, resolved)});
            }
            return members;
        }
    }
    return nullptr;
}

}  // namespace

json::Value to_json(const yaml::Node& node) { return convert(node, true); }
json::Value to_json_unresolved(const yaml::Node& node) { return convert(node, false); }

std::optional<Complaint> check_value(const Key& key, const yaml::Node& node) {
    if (node.is_null()) {
        return std::nullopt;
    }
    switch (key.type) {
        case KeyType::text:
        case KeyType::secret:
            return unless(to_text(node).has_value(), key, node, "text", "write it on one line");
        case KeyType::url:
            return check_url(key, node);
        case KeyType::boolean:
            return unless(to_boolean(node).has_value(), key, node, "true or false", "");
        case KeyType::count:
            return unless(to_count(node).has_value(), key, node, "a whole number, 0 or more", "");
        case KeyType::port: {
            int64_t port = to_count(node).value_or(0);
            return unless(port >= 1 && port <= 65535, key, node, "a port from 1 to 65535", "");
        }
        case KeyType::number:
            return unless(to_number(node).has_value(), key, node, "a number, 0 or more", "");
        case KeyType::seconds:
            return check_seconds(key, node);
        case KeyType::duration: {
            bool good = node.is_number() ? to_seconds(node).has_value()
                                         : node.is_text() && is_duration(node.text);
            return unless(good, key, node, "a duration", "write it like 30s, 5m, 24h, 7d or 1mo");
        }
        case KeyType::usd:
            return check_usd(key, node);
        case KeyType::choice:
            return check_choice(key, node);
        case KeyType::text_list:
            return unless(to_text_list(node).has_value(), key, node, "a list of text",
                          "write it like [\"a\", \"b\"]");
        case KeyType::list:
            return unless(node.is_sequence(), key, node, "a list",
                          "begin each item on its own line with '- '");
        case KeyType::map:
            return unless(node.is_mapping(), key, node, "a mapping",
                          "write indented 'key: value' lines below it");
        case KeyType::headers:
            return check_headers(key, node);
        case KeyType::fallbacks:
        case KeyType::fallback_map:  // their parts are checked where they are read
            return unless(!node.is_number() && node.type != yaml::Type::boolean, key, node,
                          "a list of model names", "write it like [\"first\", \"second\"]");
        case KeyType::any:
            return std::nullopt;
    }
    return std::nullopt;
}

bool is_header_name(std::string_view name) {
    constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
    return !name.empty() && name.size() <= 128 &&
           std::all_of(name.begin(), name.end(), [kOthers](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      kOthers.find(c) != std::string_view::npos;
           });
}

bool is_header_value(std::string_view value) {
    return value.size() <= 8192 && std::all_of(value.begin(), value.end(), [](char c) {
               auto byte = static_cast<unsigned char>(c);
               return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
           });
}

}  // namespace belay::app

#include "routing/error_body.h"

#include <algorithm>
#include <charconv>

#include "base/log.h"
#include "routing/reply_headers.h"

namespace belay::routing {
namespace {

constexpr int kDeepest = 3;  // a vendor error inside a proxy's error inside CAPI's

std::string text_of(const json::Value& value) {
    return value.is_number() ? std::string(value.number_text()) : std::string(value.as_string());
}

int status_in(std::string_view text) {
    int n = 0;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), n);
    const bool whole = fault == std::errc() && end == text.data() + text.size();
    return whole && n >= 400 && n <= 599 ? n : 0;
}

std::optional<double> number_in(const json::Value& value) {
    if (value.is_number()) {
        return value.as_double();
    }
    const std::string_view text = value.as_string();  // "34s" and "34"
    double n = 0;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), n);
    return fault == std::errc() && end != text.data() ? std::optional(n) : std::nullopt;
}

void keep_first(std::string& slot, std::string candidate) {
    if (slot.empty()) {
        slot = std::move(candidate);
    }
}

// "code" is a word, a number, or a number in quotes; only a word is a code.
void read_code(const json::Value& object, ErrorBody& out) {
    const std::string code = text_of(object["code"]);
    if (const int status = status_in(code)) {
        out.status = out.status ? out.status : status;
    } else if (!object["code"].is_number()) {
        keep_first(out.code, code);
    }
    // Google: "status":"RESOURCE_EXHAUSTED"; GitHub: "status":"401".
    const std::string status = text_of(object["status"]);
    if (const int n = status_in(status)) {
        out.status = out.status ? out.status : n;
    } else if (object["status"].is_string() && status != "failed" && status != "error") {
        keep_first(out.code, status);
    }
}

// Google's details: [{"@type":"...RetryInfo","retryDelay":"34s"}].
void read_details(const json::Value& details, ErrorBody& out) {
    for (const json::Value& item : details.items()) {
        if (const auto delay = number_in(item["retryDelay"]); delay && !out.retry_after) {
            out.retry_after = delay;
        }
    }
}

void read_waits(const json::Value& object, Wall now, ErrorBody& out) {
    for (const char* key : {"retry_after", "resets_in_seconds"}) {
        if (const auto wait = number_in(object[key]); wait && !out.retry_after) {
            out.retry_after = wait;
        }
    }
    const json::Value& resets = object["resets_at"];
    if (const auto epoch = resets.as_int(); epoch && *epoch > unix_seconds(now)) {
        out.resets_at =
            from_unix_seconds(std::min<int64_t>(*epoch, unix_seconds(now) + 86400 * 366));
    } else if (resets.is_string()) {
        if (const auto at = parse_time(resets.as_string()); at && *at > now) {
            out.resets_at = at;
        }
    }
}

// CAPI's WebSocket error frames carry the snapshots beside the error.
void read_snapshots(const json::Value& snapshots, Wall now, ErrorBody& out) {
    for (const json::Member& row : snapshots.members()) {
        const auto left = row.value["percent_remaining"].as_double();
        const auto at = parse_time(row.value["reset_date"].as_string());
        if (left && *left <= 0 && at && *at > now && (!out.resets_at || *at > *out.resets_at)) {
            out.resets_at = at;
        }
    }
}

// FastAPI: [{"type":"extra_forbidden","loc":["body","x",0],"msg":"Extra inputs are not
// permitted"}].
void read_validation(const json::Value& detail, ErrorBody& out) {
    if (!detail.is_array() || detail.size() == 0) {
        return;
    }
    out.validation = true;
    const json::Value& first = detail[size_t{0}];
    std::string path;
    for (const json::Value& part : first["loc"].items()) {
        if (const std::string name = text_of(part); name != "body" && !name.empty()) {
            path += (path.empty() ? "" : ".") + name;
        }
    }
    const std::string words(first["msg"].as_string());
    keep_first(out.message, path.empty() ? words : path + ": " + words);
    keep_first(out.code, std::string(first["type"].as_string()));
}

void read_object(const json::Value& object, Wall now, int depth, ErrorBody& out);

// A vendor's error document inside the message, with or without words before it.
void open_message(Wall now, int depth, ErrorBody& out) {
    const size_t from = out.message.find('{');
    const size_t to = out.message.rfind('}');
    if (depth >= kDeepest || from == std::string::npos || to == std::string::npos || to < from) {
        return;
    }
    const auto inner = json::parse(std::string_view(out.message).substr(from, to - from + 1));
    if (!inner.ok() || !inner->is_object()) {
        return;
    }
    ErrorBody deep;
    read_object(*inner, now, depth + 1, deep);
    if (deep.message.empty()) {
        return;
    }
    out.message = std::move(deep.message);
    keep_first(out.code, std::move(deep.code));
    keep_first(out.param, std::move(deep.param));
    if (out.type.empty() || out.type == "error") {
        out.type = std::move(deep.type);
    }
    out.status = out.status ? out.status : deep.status;
    out.retry_after = out.retry_after ? out.retry_after : deep.retry_after;
}

void read_fields(const json::Value& object, Wall now, ErrorBody& out) {
    read_code(object, out);
    if (const std::string type(object["type"].as_string()); type != "error" || out.type.empty()) {
        keep_first(out.type, type);
    }
    keep_first(out.message, std::string(object["message"].as_string()));
    keep_first(out.param, std::string(object["param"].as_string()));
    read_waits(object, now, out);
    read_details(object["details"], out);
    out.authorize_url = out.authorize_url || object.has("authorize_url");
}

void read_object(const json::Value& object, Wall now, int depth, ErrorBody& out) {
    const json::Value& error = object["error"];
    if (error.is_object()) {
        out.named_error = true;
        read_fields(error, now, out);
    } else if (error.is_string()) {
        out.named_error = true;
        keep_first(out.message, std::string(error.as_string()));
    }
    out.named_error = out.named_error || object["type"].as_string() == "error";
    read_fields(object, now, out);
    if (object["error_details"].is_object()) {
        out.account_state = true;
        out.message = std::string(object["error_details"]["message"].as_string(out.message));
        keep_first(out.code, std::string(object["error_details"]["notification_id"].as_string()));
    }
    keep_first(out.message, std::string(object["detail"].as_string()));
    keep_first(out.message, std::string(object["error_description"].as_string()));
    keep_first(out.message, std::string(object["errors"][size_t{0}]["message"].as_string()));
    read_validation(object["detail"], out);
    read_snapshots(object["copilot_quota_snapshots"], now, out);
    open_message(now, depth, out);
}

bool looks_like_html(std::string_view text) {
    const std::string head = lower(text.substr(0, 256));
    return head.rfind("<!doctype", 0) == 0 || head.rfind("<html", 0) == 0 ||
           head.rfind("<head", 0) == 0 || head.rfind("<body", 0) == 0;
}

// A page is of no use to a client; its title usually is.
std::string html_title(std::string_view page) {
    const std::string folded = lower(page.substr(0, 8192));
    const size_t open = folded.find("<title>");
    const size_t close = folded.find("</title>");
    if (open == std::string::npos || close == std::string::npos || close < open + 7) {
        return {};
    }
    return std::string(trim(page.substr(open + 7, close - open - 7)));
}

// The length of the valid UTF-8 sequence at the front of `text`, or 0.
size_t sequence_length(std::string_view text) {
    const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char lead = byte(0);
    const size_t length = lead < 0x80                   ? 1
                          : lead >= 0xC2 && lead < 0xE0 ? 2
                          : lead >= 0xE0 && lead < 0xF0 ? 3
                          : lead >= 0xF0 && lead < 0xF5 ? 4
                                                        : 0;
    if (length == 0 || length > text.size()) {
        return 0;
    }
    for (size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xC0) != 0x80) {
            return 0;
        }
    }
    const bool overlong = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xF0 && byte(1) < 0x90);
    const bool surrogate = lead == 0xED && byte(1) > 0x9F;
    const bool beyond = lead == 0xF4 && byte(1) > 0x8F;
    return overlong || surrogate || beyond ? 0 : length;
}

}  // namespace

ErrorBody read_error_value(const json::Value& value, Wall now) {
    ErrorBody out;
    out.shape = BodyShape::json;
    const json::Value& object = value.is_array() ? value[size_t{0}] : value;
    if (object.is_object()) {
        read_object(object, now, 0, out);
    } else {
        out.message = std::string(object.as_string());
    }
    return out;
}

ErrorBody read_error_body(std::string_view body, Wall now) {
    const std::string_view text = trim(body);
    ErrorBody out;
    if (text.empty()) {
        return out;
    }
    if (text[0] == '{' || text[0] == '[' || text[0] == '"') {
        if (const auto value = json::parse(text); value.ok()) {
            return read_error_value(*value, now);
        }
    }
    out.shape = looks_like_html(text) ? BodyShape::html : BodyShape::text;
    out.message = out.shape == BodyShape::html ? html_title(text) : std::string(text);
    open_message(now, 0, out);
    return out;
}

std::string scrub(std::string_view text, size_t max) {
    std::string out;
    // Room for a credential that starts before the cut: it is hidden first, cut after.
    text = text.substr(0, max * 4);
    while (!text.empty()) {
        const size_t length = sequence_length(text);
        if (length == 0) {
            out += '?';
            text.remove_prefix(1);
            continue;
        }
        const auto byte = static_cast<unsigned char>(text[0]);
        if (length == 1 && (byte < 0x20 || byte == 0x7F)) {
            out += ' ';
        } else {
            out.append(text.substr(0, length));
        }
        text.remove_prefix(length);
    }
    out = log::scrub(out);  // upstreams quote the key they refuse
    if (out.size() > max) {
        size_t cut = max;
        while (cut > 0 && (static_cast<unsigned char>(out[cut]) & 0xC0) == 0x80) {
            --cut;
        }
        out.resize(cut);
    }
    return std::string(trim(out));
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return out;
}

std::string_view trim(std::string_view text) {
    const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
    while (!text.empty() && blank(text.front())) {
        text.remove_prefix(1);
    }
    while (!text.empty() && blank(text.back())) {
        text.remove_suffix(1);
    }
    return text;
}

}  // namespace belay::routing

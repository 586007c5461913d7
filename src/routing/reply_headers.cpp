// Times and quotas in an upstream's headers: retry-after in all its forms, x-quota-snapshot-*,
// x-usage-ratelimit-*.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "routing/error_body.h"
#include "routing/outcome.h"
#include "routing/reply_headers.h"
#include "wire/url.h"

namespace belay::routing {
namespace {

constexpr double kLongestWait = 366.0 * 86400;  // beyond this a number is noise, not a plan

std::optional<double> number(std::string_view text) {
    text = trim(text);
    double n = 0;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), n);
    const bool whole = fault == std::errc() && end == text.data() + text.size();
    return whole && std::isfinite(n) ? std::optional(n) : std::nullopt;
}

int month_of(std::string_view name) {
    static constexpr std::array<std::string_view, 12> kMonths = {
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"};
    const auto at = std::find(kMonths.begin(), kMonths.end(), lower(name.substr(0, 3)));
    return at == kMonths.end() ? 0 : static_cast<int>(at - kMonths.begin()) + 1;
}

// The three date forms of HTTP (RFC 9110 §5.6.7), and RFC 3339 because some upstreams send it.
std::optional<Wall> parse_date(std::string_view text) {
    const std::string copy(trim(text).substr(0, 64));
    char month[16] = {};
    int year = 0, day = 0, hour = 0, minute = 0, second = 0;
    const char* at = copy.c_str();
    const bool fixed = std::sscanf(at, "%*3[A-Za-z], %2d %15[A-Za-z] %4d %2d:%2d:%2d", &day, month,
                                   &year, &hour, &minute, &second) == 6;
    const bool old = !fixed && std::sscanf(at, "%*9[A-Za-z], %2d-%15[A-Za-z]-%2d %2d:%2d:%2d", &day,
                                           month, &year, &hour, &minute, &second) == 6;
    const bool ctime = !fixed && !old &&
                       std::sscanf(at, "%*3[A-Za-z] %15[A-Za-z] %2d %2d:%2d:%2d %4d", month, &day,
                                   &hour, &minute, &second, &year) == 6;
    if (fixed || old || ctime) {
        year += old ? (year < 70 ? 2000 : 1900) : 0;
        char iso[64];
        std::snprintf(iso, sizeof iso, "%04d-%02d-%02dT%02d:%02d:%02dZ", year, month_of(month), day,
                      hour, minute, second);
        return parse_time(iso);
    }
    return parse_time(copy);
}

std::optional<seconds> wait_until(Wall at, Wall now) {
    return whole_seconds(std::chrono::duration<double>(at - now).count());
}

// "Please try again in 20s", "1m30.5s", "retry in 34.07s", "in 2h".
std::optional<double> wait_in_words(std::string_view message) {
    const std::string folded = lower(message.substr(0, 2048));
    std::string_view rest = folded;
    for (const std::string_view lead : {"try again in ", "retry in ", "retry after "}) {
        if (const size_t at = rest.find(lead); at != std::string_view::npos) {
            rest = rest.substr(at + lead.size());
            break;
        }
    }
    if (rest.size() == folded.size()) {
        return std::nullopt;
    }
    double total = 0;
    bool any = false;
    while (!rest.empty() && rest[0] >= '0' && rest[0] <= '9') {
        double n = 0;
        const auto [end, fault] = std::from_chars(rest.data(), rest.data() + rest.size(), n);
        if (fault != std::errc()) {
            break;
        }
        rest = trim(rest.substr(static_cast<size_t>(end - rest.data())));
        size_t unit_length = 0;
        while (unit_length < rest.size() && rest[unit_length] >= 'a' && rest[unit_length] <= 'z') {
            ++unit_length;
        }
        const std::string_view unit = rest.substr(0, unit_length);
        const double scale = unit.rfind("ms", 0) == 0  ? 0.001
                             : unit.rfind("m", 0) == 0 ? 60
                             : unit.rfind("h", 0) == 0 ? 3600
                             : unit.rfind("d", 0) == 0 ? 86400
                             : unit.rfind("s", 0) == 0 ? 1
                                                       : 0;
        if (scale == 0) {
            break;
        }
        total += n * scale;
        any = true;
        rest = trim(rest.substr(unit_length));
    }
    return any ? std::optional(total) : std::nullopt;
}

std::optional<seconds> from_headers(const ReplyFacts& reply, Wall now) {
    if (const auto ms = number(header(reply, "retry-after-ms"))) {
        return whole_seconds(*ms / 1000);
    }
    for (const char* name : {"retry-after", "x-ratelimit-user-retry-after"}) {
        const std::string_view value = header(reply, name);
        if (const auto n = number(value)) {
            return whole_seconds(*n);
        }
        if (const auto date = value.empty() ? std::nullopt : parse_date(value)) {
            return wait_until(*date, now);
        }
    }
    return std::nullopt;
}

}  // namespace

std::optional<seconds> whole_seconds(double wait) {
    if (std::isnan(wait)) {
        return std::nullopt;
    }
    return seconds(static_cast<int64_t>(std::ceil(std::clamp(wait, 0.0, kLongestWait))));
}

// A Wall holds the years 1678 to 2261: "31 Dec 9999" (a way to say never) must not overflow it.
std::optional<Wall> parse_time(std::string_view text) {
    std::string copy(trim(text).substr(0, 64));
    int year = 0;
    if (std::sscanf(copy.c_str(), "%4d", &year) != 1 || year < 1900) {
        return std::nullopt;
    }
    if (year > 2200) {
        copy.replace(0, 4, "2200");
    }
    const Wall parsed = parse_utc(copy);
    return parsed == Wall::min() ? std::nullopt : std::optional(parsed);
}

std::string_view header(const ReplyFacts& reply, std::string_view name) {
    for (const auto& [key, value] : reply.headers) {
        if (key == name) {
            return trim(value);
        }
    }
    return {};
}

std::optional<seconds> retry_after_of(const ReplyFacts& reply, const ErrorBody& body, Wall now) {
    if (const auto stated = from_headers(reply, now)) {
        return stated;
    }
    if (body.retry_after) {
        return whole_seconds(*body.retry_after);
    }
    const auto words = wait_in_words(body.message);
    return words ? whole_seconds(*words) : std::nullopt;
}

std::optional<seconds> parse_retry_after(const ReplyFacts& reply, Wall now) {
    return retry_after_of(reply, read_error_body(reply.body, now), now);
}

std::vector<QuotaSnapshot> read_quota_headers(
    const std::vector<std::pair<std::string, std::string>>& headers) {
    std::vector<QuotaSnapshot> out;
    for (const auto& [key, value] : headers) {
        QuotaSnapshot row;
        for (const std::string_view lead : {"x-quota-snapshot-", "x-usage-ratelimit-"}) {
            if (key.rfind(lead, 0) == 0) {
                row.name = key.substr(lead.size());
            }
        }
        if (row.name.empty() || out.size() == 16) {
            continue;
        }
        for (const auto& [field, text] : parse_form(std::string_view(value).substr(0, 1024))) {
            const auto n = number(text);
            if (field == "ent" && n) {
                row.entitlement = *n;
            } else if (field == "ov" && n) {
                row.overage = *n;
            } else if (field == "rem" && n) {
                row.percent_remaining = *n;
            } else if (field == "ovPerm") {
                row.overage_permitted = text == "true";
            } else if (field == "rst") {
                row.resets_at = parse_time(text);
            }
        }
        out.push_back(std::move(row));
    }
    return out;
}

}  // namespace belay::routing

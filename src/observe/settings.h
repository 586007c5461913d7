#pragma once
// What of all this is wanted, as the configuration says. Plain values; app/config_observe reads
// them.
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"
#include "observe/request_metrics.h"

namespace belay::observe {

struct Header {
    std::string name;
    Secret value;
    bool operator==(const Header& other) const {
        return name == other.name && value.reveal() == other.value.reveal();
    }
};

struct OtlpSettings {
    std::string traces_url;   // "" = no traces
    std::string metrics_url;  // "" = no metrics
    std::vector<Header> headers;
    std::vector<std::pair<std::string, std::string>>
        resource;  // service.name and what else is said
    milliseconds metrics_every{60'000};
    bool operator==(const OtlpSettings&) const = default;
    [[nodiscard]] bool on() const { return !traces_url.empty() || !metrics_url.empty(); }
};

struct GenericSettings {
    std::string url;  // "" = off
    std::vector<Header> headers;
    bool successes = true;
    bool failures = true;
    bool hide_keys = false;  // litellm_settings.redact_user_api_key_info
    bool operator==(const GenericSettings&) const = default;
};

struct AlertSettings {
    bool slack = false;
    bool webhook = false;
    Secret slack_url, webhook_url;                         // whoever knows them can write there
    std::vector<std::string> types;                        // empty: all
    std::map<std::string, std::vector<std::string>> urls;  // alert type to Slack URLs of its own
    milliseconds slow{300'000};
    milliseconds repeat{24 * 3'600'000};  // until the same budget alert is sent again
    std::vector<int> percents{85, 95};    // of a budget
    size_t falls_least = 10;    // requests that fell within five minutes before it is told
    size_t falls_percent = 20;  // and the part of all that they must be
    std::string sign_in_url;
    bool operator==(const AlertSettings& o) const {
        return slack == o.slack && webhook == o.webhook &&
               slack_url.reveal() == o.slack_url.reveal() &&
               webhook_url.reveal() == o.webhook_url.reveal() && types == o.types &&
               urls == o.urls && slow == o.slow && repeat == o.repeat && percents == o.percents &&
               falls_least == o.falls_least && falls_percent == o.falls_percent;
    }
    [[nodiscard]] bool on() const { return slack || webhook; }
};

struct PayloadSettings {
    bool off = false;                 // litellm_settings.turn_off_message_logging: nobody's is kept
    size_t text_most = 2048;          // bytes kept of one text, MAX_STRING_LENGTH_PROMPT_IN_DB
    std::vector<std::string> redact;  // regular expressions, POSIX extended
    bool operator==(const PayloadSettings&) const = default;
};

struct Settings {
    bool metrics = false;  // counted from the start; else from the first look at /metrics
    bool metrics_need_key = true;
    MetricOptions metric_options;
    OtlpSettings otlp;
    GenericSettings generic;
    AlertSettings alerts;
    PayloadSettings payloads;
    bool operator==(const Settings&) const = default;
};

}  // namespace belay::observe

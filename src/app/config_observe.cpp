// Metrics, callbacks, alerts, payloads and how long things are kept: from the file and from the
// environment variables that LiteLLM and OpenTelemetry give them.
#include <algorithm>

#include "app/config_load.h"
#include "governance/duration.h"
#include "observe/redaction.h"
#include "wire/url.h"

namespace belay::app {
namespace {

constexpr size_t kHeadersMost = 32;
constexpr std::string_view kCollector = "http://localhost:4318";

class Reader {
  public:
    Reader(Load& load, const yaml::Node& general, const yaml::Node& litellm)
        : load_(load), general_(general), litellm_(litellm), out_(load.config.observe) {}

    void read() {
        read_callbacks();
        read_metrics();
        read_otlp();
        read_generic();
        read_alerts();
        read_payloads();
        read_retention();
    }

  private:
    [[nodiscard]] std::string variable(std::string_view name) const {
        return load_.env ? load_.env(name).value_or("") : std::string();
    }
    [[nodiscard]] static std::vector<std::string> texts(const yaml::Node& map,
                                                        std::string_view key) {
        return belay::app::read<std::vector<std::string>>(map, key, to_text_list)
            .value_or(std::vector<std::string>());
    }
    [[nodiscard]] bool wants(std::string_view callback) const {
        return std::find(both_.begin(), both_.end(), callback) != both_.end();
    }
    static bool has(const std::vector<std::string>& list, std::string_view name) {
        return std::find(list.begin(), list.end(), name) != list.end();
    }

    void read_callbacks() {
        both_ = texts(litellm_, "callbacks");
        success_ = texts(litellm_, "success_callback");
        failure_ = texts(litellm_, "failure_callback");
        for (const char* key : {"callbacks", "success_callback", "failure_callback"}) {
            for (const auto& name : texts(litellm_, key)) {
                if (name != "prometheus" && name != "otel" && name != "opentelemetry" &&
                    name != "generic_api" && name != "slack" && name != "webhook") {
                    load_.diagnostics.warn(
                        litellm_.find(key)->place,
                        "the callback " + name + " is none that Belay has: it is left out",
                        "there are prometheus, otel and generic_api");
                }
            }
        }
    }

    void read_metrics() {
        out_.metrics =
            wants("prometheus") || has(success_, "prometheus") || has(failure_, "prometheus");
        out_.metrics_need_key = read_flag(litellm_, "require_auth_for_metrics_endpoint", true);
        out_.metric_options.end_user =
            read_flag(litellm_, "enable_end_user_cost_tracking_prometheus_only", false);
    }

    // "a=b,c=d"; values are percent-decoded where the standard says so.
    std::vector<observe::Header> headers(const std::string& text, std::string_view from,
                                         bool decode) {
        std::vector<observe::Header> out;
        std::string_view rest = text;
        while (!rest.empty()) {
            std::string_view one = rest.substr(0, rest.find(','));
            rest.remove_prefix(std::min(rest.size(), one.size() + 1));
            const size_t mark = one.find('=');
            std::string name(one.substr(0, mark));
            name.erase(0, name.find_first_not_of(' '));
            name.erase(name.find_last_not_of(' ') + 1);
            std::string value(mark == one.npos ? std::string_view() : one.substr(mark + 1));
            if (decode) {
                value = percent_decode(value);
            }
            if (mark == one.npos || !is_header_name(name) || !is_header_value(value) ||
                out.size() >= kHeadersMost) {
                load_.diagnostics.warn({}, std::string(from) + " has a header that cannot be sent",
                                       "write name=value,name2=value2");
                continue;
            }
            out.push_back({std::move(name), Secret(std::move(value))});
        }
        return out;
    }

    // "" and a warning for what is no http(s) address. The address is not shown: it may be secret.
    std::string url(std::string text, std::string_view from) {
        if (text.empty() || parse_url(text).ok()) {
            return text;
        }
        load_.diagnostics.warn({}, std::string(from) + " is no http:// or https:// address",
                               "nothing is sent there");
        return {};
    }

    void read_otlp() {
        std::string base = variable("OTEL_EXPORTER_OTLP_ENDPOINT");
        if (base.empty()) {
            base = variable("OTEL_ENDPOINT");
        }
        const bool asked = wants("otel") || wants("opentelemetry") || has(success_, "otel") ||
                           has(failure_, "otel");
        const std::string traces = variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
        const std::string metrics = variable("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT");
        if ((!asked && base.empty() && traces.empty() && metrics.empty()) ||
            variable("OTEL_SDK_DISABLED") == "true") {
            return;
        }
        if (!speaks_http()) {
            return;
        }
        if (base.empty() && (asked || traces.empty())) {
            base = asked ? std::string(kCollector) : std::string();
        }
        while (base.ends_with('/')) {
            base.pop_back();
        }
        observe::OtlpSettings& otlp = out_.otlp;
        const auto choose = [&](const std::string& own, std::string_view path,
                                std::string_view from, std::string_view exporter) {
            if (variable(exporter) == "none") {
                return std::string();
            }
            if (!own.empty()) {
                return url(own, from);
            }
            const bool whole = base.ends_with(path);  // LiteLLM's users write it so
            return base.empty() ? std::string()
                                : url(whole ? base : base + std::string(path),
                                      "OTEL_EXPORTER_OTLP_ENDPOINT");
        };
        otlp.traces_url = choose(traces, "/v1/traces", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                                 "OTEL_TRACES_EXPORTER");
        otlp.metrics_url = choose(metrics, "/v1/metrics", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
                                  "OTEL_METRICS_EXPORTER");
        for (const char* name : {"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_HEADERS"}) {
            for (auto& header : headers(variable(name), name, true)) {
                otlp.headers.push_back(std::move(header));
            }
        }
        read_resource(otlp);
        const std::string every = variable("OTEL_METRIC_EXPORT_INTERVAL");
        if (!every.empty()) {
            yaml::Node node;
            node.type = yaml::Type::text;
            node.text = every;
            const auto ms = to_count(node);
            otlp.metrics_every =
                milliseconds(std::clamp<int64_t>(ms.value_or(60'000), 100, 86'400'000));
        }
    }

    bool speaks_http() {
        std::string protocol = variable("OTEL_EXPORTER_OTLP_PROTOCOL");
        if (protocol.empty()) {
            protocol = variable("OTEL_EXPORTER");
        }
        if (protocol == "grpc" || protocol == "otlp_grpc" || protocol == "console") {
            load_.diagnostics.warn({},
                                   "OpenTelemetry over " + protocol +
                                       " is not spoken here: no spans and no metrics are sent",
                                   "set OTEL_EXPORTER_OTLP_PROTOCOL=http/json and the "
                                   "collector's HTTP port, usually 4318");
            return false;
        }
        if (!protocol.empty() && protocol != "http/json" && protocol != "otlp_http") {
            load_.diagnostics.note({}, "OTEL_EXPORTER_OTLP_PROTOCOL=" + protocol +
                                           ": what is sent is http/json, which collectors take "
                                           "on the same port");
        }
        return true;
    }

    void read_resource(observe::OtlpSettings& otlp) {
        std::string service = variable("OTEL_SERVICE_NAME");
        std::string attributes = variable("OTEL_RESOURCE_ATTRIBUTES");
        std::string_view rest = attributes;
        while (!rest.empty() && otlp.resource.size() < kHeadersMost) {
            const std::string_view one = rest.substr(0, rest.find(','));
            rest.remove_prefix(std::min(rest.size(), one.size() + 1));
            const size_t mark = one.find('=');
            if (mark == one.npos || mark == 0) {
                continue;
            }
            const std::string name(one.substr(0, mark));
            if (name == "service.name") {
                service = service.empty() ? percent_decode(one.substr(mark + 1)) : service;
            } else {
                otlp.resource.emplace_back(name, percent_decode(one.substr(mark + 1)));
            }
        }
        otlp.resource.insert(otlp.resource.begin(),
                             {"service.name", service.empty() ? "belay" : service});
    }

    void read_generic() {
        const bool good = wants("generic_api") || has(success_, "generic_api");
        const bool bad = wants("generic_api") || has(failure_, "generic_api");
        if (!good && !bad) {
            return;
        }
        observe::GenericSettings& generic = out_.generic;
        generic.url = url(variable("GENERIC_LOGGER_ENDPOINT"), "GENERIC_LOGGER_ENDPOINT");
        if (generic.url.empty()) {
            load_.diagnostics.warn({}, "the callback generic_api has no receiver",
                                   "set GENERIC_LOGGER_ENDPOINT to its address");
        }
        generic.headers =
            headers(variable("GENERIC_LOGGER_HEADERS"), "GENERIC_LOGGER_HEADERS", false);
        generic.successes = good;
        generic.failures = bad;
        generic.hide_keys = read_flag(litellm_, "redact_user_api_key_info", false);
    }

    void read_alerts() {
        observe::AlertSettings& alerts = out_.alerts;
        const auto where = texts(general_, "alerting");
        alerts.slack_url = Secret(url(variable("SLACK_WEBHOOK_URL"), "SLACK_WEBHOOK_URL"));
        alerts.webhook_url = Secret(url(variable("WEBHOOK_URL"), "WEBHOOK_URL"));
        alerts.types = texts(general_, "alert_types");
        if (const yaml::Node* map = general_.find("alert_to_webhook_url");
            map != nullptr && map->is_mapping()) {
            for (const yaml::Entry& entry : map->entries) {
                for (auto& one : to_text_list(entry.value).value_or(std::vector<std::string>())) {
                    if (auto good = url(std::move(one), "alert_to_webhook_url"); !good.empty()) {
                        alerts.urls[entry.key].push_back(std::move(good));
                    }
                }
            }
        }
        for (const auto& place : where) {
            if (place == "slack") {
                alerts.slack = !alerts.slack_url.empty() || !alerts.urls.empty();
                need(alerts.slack, "slack", "SLACK_WEBHOOK_URL");
            } else if (place == "webhook") {
                alerts.webhook = !alerts.webhook_url.empty();
                need(alerts.webhook, "webhook", "WEBHOOK_URL");
            } else {
                load_.diagnostics.warn(general_.find("alerting")->place,
                                       "alerts cannot be sent by " + place,
                                       "there are slack and webhook");
            }
        }
        if (const auto slow = belay::app::read<Seconds>(general_, "alerting_threshold", to_seconds);
            slow && slow->count() > 0) {
            alerts.slow = milliseconds(static_cast<int64_t>(slow->count() * 1e3));
        }
        if (const yaml::Node* args = general_.find("alerting_args")) {
            if (const auto ttl = belay::app::read<Seconds>(*args, "budget_alert_ttl", to_seconds)) {
                alerts.repeat = milliseconds(static_cast<int64_t>(ttl->count() * 1e3));
            }
            if (const auto least =
                    belay::app::read<int64_t>(*args, "fallback_alert_count", to_count)) {
                alerts.falls_least = static_cast<size_t>(std::clamp<int64_t>(*least, 1, 4'000));
            }
            const auto percents = texts(*args, "budget_alert_percents");
            if (!percents.empty()) {
                alerts.percents.clear();
                for (const auto& text : percents) {
                    const int percent = std::atoi(text.c_str());
                    if (percent > 0 && percent < 100 && alerts.percents.size() < 8) {
                        alerts.percents.push_back(percent);
                    }
                }
                std::sort(alerts.percents.begin(), alerts.percents.end());
            }
        }
    }

    void need(bool there, std::string_view place, std::string_view name) {
        if (!there) {
            load_.diagnostics.warn(general_.find("alerting")->place,
                                   "alerts by " + std::string(place) + " have no address",
                                   "set " + std::string(name));
        }
    }

    void read_payloads() {
        observe::PayloadSettings& payloads = out_.payloads;
        payloads.off = read_flag(litellm_, "turn_off_message_logging", false);
        yaml::Node node;
        node.type = yaml::Type::text;
        node.text = variable("MAX_STRING_LENGTH_PROMPT_IN_DB");
        if (const auto most = to_count(node)) {
            payloads.text_most = static_cast<size_t>(std::clamp<int64_t>(*most, 16, 1 << 20));
        }
        for (const auto& pattern : texts(general_, "redact_patterns")) {
            auto good = observe::check_pattern(pattern);
            if (good.ok() && payloads.redact.size() < observe::kPatternsMost) {
                payloads.redact.push_back(pattern);
                continue;
            }
            load_.diagnostics
                .fail(general_.find("redact_patterns")->place,
                      "a pattern of general_settings.redact_patterns cannot be used: " +
                          (good.ok() ? std::string("there are too many") : good.error().message),
                      "without it prompts would be kept as they are")
                .fatal = true;
        }
        load_.config.general.allow_viewers_to_read_prompts =
            read_flag(general_, "allow_viewers_to_read_prompts", false);
    }

    std::optional<int64_t> length(std::string_view key) {
        const std::string text = read_text(general_, key);
        if (text.empty()) {
            return std::nullopt;
        }
        auto parsed = governance::parse_duration(text);
        if (!parsed) {
            return std::nullopt;  // the table of keys has complained
        }
        return *parsed;
    }

    void read_retention() {
        Retention& keep = load_.config.retention;
        keep.records_ms = length("maximum_spend_logs_retention_period");
        if (general_.find("maximum_payload_retention_period") != nullptr) {
            keep.payloads_ms = length("maximum_payload_retention_period");
        }
        keep.audit_ms = length("maximum_audit_logs_retention_period");
        keep.every_ms = std::max<int64_t>(
            1'000, length("maximum_spend_logs_retention_interval").value_or(keep.every_ms));
    }

    Load& load_;
    const yaml::Node& general_;
    const yaml::Node& litellm_;
    observe::Settings& out_;
    std::vector<std::string> both_, success_, failure_;
};

}  // namespace

void read_observe(Load& load, const yaml::Node& general, const yaml::Node& litellm) {
    Reader(load, general, litellm).read();
}

}  // namespace belay::app

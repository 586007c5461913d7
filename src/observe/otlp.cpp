#include "observe/otlp.h"

#include <algorithm>
#include <cmath>

#include "base/ids.h"
#include "base/log.h"
#include "observe/request_metrics.h"
#include "wire/json.h"

namespace belay::observe {
namespace {

constexpr size_t kTextMost = 256;
constexpr std::string_view kScope = R"({"scope":{"name":"belay"},)";

bool is_hex(std::string_view text) {
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_zero(std::string_view text) { return text.find_first_not_of('0') == text.npos; }

// "key","value" pairs of OTLP, written one after the other.
class Attributes {
  public:
    explicit Attributes(std::string& out) : out_(out) { out_ += R"("attributes":[)"; }
    ~Attributes() { out_ += ']'; }
    Attributes(const Attributes&) = delete;
    Attributes& operator=(const Attributes&) = delete;

    Attributes& text(std::string_view key, std::string_view value) {
        if (!value.empty()) {
            begin(key);
            out_ += R"("stringValue":)";
            json::write_string(out_, value.substr(0, kTextMost));
            out_ += "}}";
        }
        return *this;
    }
    // 64-bit numbers are text in JSON.
    Attributes& number(std::string_view key, int64_t value) {
        begin(key);
        out_ += R"("intValue":")" + std::to_string(value) + "\"}}";
        return *this;
    }
    Attributes& flag(std::string_view key, bool value) {
        begin(key);
        out_ += value ? R"("boolValue":true}})" : R"("boolValue":false}})";
        return *this;
    }
    Attributes& real(std::string_view key, double value) {
        begin(key);
        out_ += R"("doubleValue":)";
        json::write(out_, json::Value(value));
        out_ += "}}";
        return *this;
    }
    Attributes& texts(std::string_view key, const std::vector<std::string>& values) {
        if (values.empty()) {
            return *this;
        }
        begin(key);
        out_ += R"("arrayValue":{"values":[)";
        for (size_t i = 0; i < values.size(); ++i) {
            out_ += i == 0 ? R"({"stringValue":)" : R"(,{"stringValue":)";
            json::write_string(out_, std::string_view(values[i]).substr(0, kTextMost));
            out_ += '}';
        }
        out_ += "]}}}";
        return *this;
    }

  private:
    void begin(std::string_view key) {
        out_ += first_ ? R"({"key":)" : R"(,{"key":)";
        first_ = false;
        json::write_string(out_, key);
        out_ += R"(,"value":{)";
    }
    std::string& out_;
    bool first_ = true;
};

std::string nanos(int64_t base_ms, int64_t us) {
    return "\"" + std::to_string(base_ms * 1'000'000 + us * 1'000) + "\"";
}

void begin_span(std::string& out, std::string_view trace, std::string_view span,
                std::string_view parent, std::string_view name, int kind) {
    out.append(R"({"traceId":")").append(trace).append(R"(","spanId":")").append(span);
    if (!parent.empty()) {
        out.append(R"(","parentSpanId":")").append(parent);
    }
    out += R"(","name":)";
    json::write_string(out, name.substr(0, kTextMost));
    out += R"(,"kind":)" + std::to_string(kind);
}

void write_times(std::string& out, int64_t base_ms, int64_t from_us, int64_t until_us) {
    out += R"(,"startTimeUnixNano":)" + nanos(base_ms, from_us) + R"(,"endTimeUnixNano":)" +
           nanos(base_ms, std::max(from_us, until_us)) + ",";
}

void write_status(std::string& out, bool good, std::string_view message) {
    if (good) {
        out += R"(,"status":{})";
        return;
    }
    out += R"(,"status":{"code":2,"message":)";
    // An upstream's words may quote what it was sent.
    json::write_string(out, log::scrub(message.substr(0, kTextMost)));
    out += '}';
}

std::string_view operation(ledger::CallType type) {
    return type == ledger::CallType::aembedding         ? "embeddings"
           : type == ledger::CallType::atext_completion ? "text_completion"
                                                        : "chat";
}

// OpenTelemetry's names of providers, where they differ.
std::string_view provider_name(std::string_view provider) {
    return provider == "azure" ? "azure.ai.openai" : provider == "gemini" ? "gcp.gemini" : provider;
}

void write_event(std::string& out, bool first, int64_t base_ms, int64_t at_us,
                 std::string_view name,
                 std::initializer_list<std::pair<std::string_view, std::string_view>> facts) {
    out += first ? R"({"timeUnixNano":)" : R"(,{"timeUnixNano":)";
    out += nanos(base_ms, at_us);
    out.append(R"(,"name":")").append(name).append("\",");
    {
        Attributes attributes(out);
        for (const auto& [key, value] : facts) {
            attributes.text(key, value);
        }
    }
    out += '}';
}

void write_decisions(std::string& out, const ledger::SpendRecord& r, const ledger::Trace& trace) {
    out += R"(,"events":[)";
    bool first = true;
    for (const auto& c : trace.candidates) {
        write_event(out, first, r.received_ms, r.queue_us, "belay.candidate",
                    {{"belay.model_group", c.group},
                     {"belay.deployment_id", c.deployment_id},
                     {"belay.model", c.model},
                     {"belay.verdict", c.verdict}});
        first = false;
    }
    for (const auto& a : trace.attempts) {
        if (!a.decision.empty()) {
            write_event(out, first, r.received_ms, a.end_us, "belay.decision",
                        {{"belay.cause", a.cause}, {"belay.decision", a.decision}});
            first = false;
        }
    }
    for (const auto& w : trace.warnings) {
        write_event(out, first, r.received_ms, r.queue_us, "belay.warning", {{"belay.message", w}});
        first = false;
    }
    if (r.first_token_us > 0) {
        write_event(out, first, r.received_ms, r.first_token_us, "gen_ai.first_token", {});
    }
    out += ']';
}

void write_request(std::string& out, const Heard& heard, std::string_view trace,
                   std::string_view span, std::string_view parent) {
    const auto& r = heard.entry.record;
    begin_span(out, trace, span, parent,
               std::string(operation(r.call_type)) + " " + r.asked.substr(0, 128), 2);
    write_times(out, r.received_ms, 0, r.total_us);
    const bool good = r.status == ledger::Status::success;
    {
        Attributes a(out);
        a.text("gen_ai.operation.name", operation(r.call_type))
            .text("gen_ai.provider.name", provider_name(r.provider))
            .text("gen_ai.system", provider_name(r.provider))
            .text("gen_ai.request.model", r.asked)
            .text("gen_ai.response.model", r.upstream_model)
            .number("gen_ai.usage.input_tokens", r.usage.prompt())
            .number("gen_ai.usage.output_tokens", r.usage.output)
            .number("gen_ai.usage.cache_read.input_tokens", r.usage.cache_read)
            .number("gen_ai.usage.cache_creation.input_tokens", r.usage.cache_write)
            .text("gen_ai.conversation.id", r.session_id)
            .number("http.response.status_code", r.http_status)
            .text("user_agent.name", r.user_agent)
            .text("belay.request_id", r.request_id)
            .text("belay.model_group", r.model_group)
            .text("belay.deployment_id", r.deployment_id)
            .text("belay.key.hash", r.key_fingerprint)
            .text("belay.key.alias", r.key_alias)
            .text("belay.user", r.user)
            .text("belay.team", r.team)
            .text("belay.organization", r.organization)
            .texts("belay.tags", r.tags)
            .flag("gen_ai.request.stream", r.stream)
            .real("belay.cost_usd", static_cast<double>(r.cost.value) * 1e-11)
            .text("belay.cost_source", chat::cost_source_name(r.cost_source))
            .number("belay.retries", r.attempted_retries)
            .number("belay.fallbacks", r.attempted_fallbacks)
            .text("belay.fallback_reason", r.fallback_reason);
        if (!good) {
            a.text("error.type", exception_class(r));
        }
    }
    write_decisions(out, r, heard.entry.trace);
    write_status(out, good, r.error_message);
    out += '}';
}

void write_attempt(std::string& out, const ledger::SpendRecord& r, const ledger::Attempt& at,
                   std::string_view trace, std::string_view parent) {
    const bool own = at.deployment_id.empty();  // it is the record's
    const std::string& model = own ? r.upstream_model : at.model;
    begin_span(out, trace, random_hex(8), parent, std::string(operation(r.call_type)) + " " + model,
               3);
    write_times(out, r.received_ms, at.start_us, at.end_us != 0 ? at.end_us : r.total_us);
    const bool good = at.cause == "success";
    {
        Attributes a(out);
        a.text("gen_ai.operation.name", operation(r.call_type))
            .text("gen_ai.provider.name", own || at.deployment_id == r.deployment_id
                                              ? provider_name(r.provider)
                                              : std::string_view())
            .text("gen_ai.request.model", model)
            .text("belay.model_group", own ? r.model_group : at.group)
            .text("belay.deployment_id", own ? r.deployment_id : at.deployment_id)
            .text("belay.upstream_api", ledger::api_name(at.api))
            .text("belay.upstream_request_id", at.upstream_request_id)
            .text("belay.cause", at.cause);
        if (at.status != 0) {
            a.number("http.response.status_code", at.status);
        }
        if (own || at.deployment_id == r.deployment_id) {
            a.text("server.address", r.api_base);
        }
        if (!good) {
            a.text("error.type", at.cause);
        }
    }
    write_status(out, good, at.message);
    out += '}';
}

void write_resource(std::string& out, const Resource& resource) {
    out += R"({"resource":{)";
    {
        Attributes attributes(out);
        for (const auto& [key, value] : resource) {
            attributes.text(key, value);
        }
    }
    out += "},";
}

void write_points(std::string& out, const Family& family, const std::string& times) {
    for (size_t i = 0; i < family.samples.size(); ++i) {
        const Sample& sample = family.samples[i];
        out += i == 0 ? "{" : ",{";
        {
            Attributes attributes(out);
            for (const auto& [key, value] : sample.labels) {
                attributes.text(key, value);
            }
        }
        out += times;
        if (family.type != MetricType::histogram) {
            out += R"(,"asDouble":)";
            json::write(out, json::Value(std::isfinite(sample.value) ? sample.value : 0.0));
            out += '}';
            continue;
        }
        out += R"(,"count":")" + std::to_string(sample.count) + R"(","sum":)";
        json::write(out, json::Value(sample.value));
        out += R"(,"bucketCounts":[)";
        uint64_t before = 0;
        for (size_t b = 0; b < sample.buckets.size(); ++b) {
            out += (b == 0 ? "\"" : ",\"") + std::to_string(sample.buckets[b] - before) + "\"";
            before = sample.buckets[b];
        }
        out += R"(],"explicitBounds":[)";
        for (size_t b = 0; b < family.bounds.size(); ++b) {
            out += b == 0 ? "" : ",";
            json::write(out, json::Value(family.bounds[b]));
        }
        out += "]}";
    }
}

}  // namespace

std::optional<Parent> parse_traceparent(std::string_view h) {
    // 00-<32>-<16>-<2>; a later version may have more behind it.
    if (h.size() < 55 || h[2] != '-' || h[35] != '-' || h[52] != '-' || !is_hex(h.substr(0, 2)) ||
        h.substr(0, 2) == "ff" || (h.substr(0, 2) == "00" && h.size() != 55) ||
        (h.size() > 55 && h[55] != '-')) {
        return std::nullopt;
    }
    const auto trace = h.substr(3, 32);
    const auto span = h.substr(36, 16);
    const auto flags = h.substr(53, 2);
    if (!is_hex(trace) || !is_hex(span) || !is_hex(flags) || is_zero(trace) || is_zero(span)) {
        return std::nullopt;
    }
    const char last = flags[1];
    const int low = last <= '9' ? last - '0' : last - 'a' + 10;
    return Parent{std::string(trace), std::string(span), (low & 1) != 0};
}

std::string render_spans(const Heard& heard) {
    const auto parent = parse_traceparent(heard.traceparent);
    if (parent && !parent->sampled) {
        return {};
    }
    const std::string trace = parent ? parent->trace_id : random_hex(16);
    const std::string span = random_hex(8);
    std::string out;
    write_request(out, heard, trace, span, parent ? std::string_view(parent->span_id) : "");
    for (const auto& attempt : heard.entry.trace.attempts) {
        out += ',';
        write_attempt(out, heard.entry.record, attempt, trace, span);
    }
    return out;
}

std::string traces_prefix(const Resource& resource) {
    std::string out = R"({"resourceSpans":[)";
    write_resource(out, resource);
    out.append(R"("scopeSpans":[)").append(kScope).append(R"("spans":[)");
    return out;
}

std::string_view traces_suffix() { return "]}]}]}"; }

std::string render_metrics(const Resource& resource, const std::vector<Family>& families,
                           int64_t start_ms, int64_t now_ms) {
    std::string out = R"({"resourceMetrics":[)";
    write_resource(out, resource);
    out.append(R"("scopeMetrics":[)").append(kScope).append(R"("metrics":[)");
    const std::string times =
        R"(,"startTimeUnixNano":)" + nanos(start_ms, 0) + R"(,"timeUnixNano":)" + nanos(now_ms, 0);
    bool first = true;
    for (const Family& family : families) {
        if (family.samples.empty()) {
            continue;
        }
        out += first ? R"({"name":)" : R"(,{"name":)";
        first = false;
        json::write_string(out, family.name);
        out += R"(,"description":)";
        json::write_string(out, family.help);
        switch (family.type) {
            case MetricType::counter:
                out += R"(,"sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[)";
                break;
            case MetricType::gauge:
                out += R"(,"gauge":{"dataPoints":[)";
                break;
            case MetricType::histogram:
                out += R"(,"unit":"s","histogram":{"aggregationTemporality":2,"dataPoints":[)";
                break;
        }
        write_points(out, family, times);
        out += "]}}";
    }
    out += "]}]}]}";
    return out;
}

}  // namespace belay::observe

#pragma once
// Spans and metrics as OTLP in its JSON encoding (opentelemetry.io, "OTLP Specification"): a span
// for each request with a child for each attempt, named and attributed by OpenTelemetry's gen_ai
// conventions; routing's decisions are events. No text of a prompt or reply, no key.
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "observe/hub.h"
#include "observe/metric.h"

namespace belay::observe {

// A caller's span, out of its traceparent header (w3.org, "Trace Context").
struct Parent {
    std::string trace_id;  // 32 lower-case hexadecimal digits
    std::string span_id;   // 16
    bool sampled = true;
};
// Nothing for a header that the standard does not allow.
[[nodiscard]] std::optional<Parent> parse_traceparent(std::string_view header);

// The request's spans, separated by commas; nothing when the caller's trace is not sampled.
[[nodiscard]] std::string render_spans(const Heard& heard);

using Resource = std::vector<std::pair<std::string, std::string>>;
// What stands around spans, so that prefix + spans + suffix is an ExportTraceServiceRequest.
[[nodiscard]] std::string traces_prefix(const Resource& resource);
[[nodiscard]] std::string_view traces_suffix();

// An ExportMetricsServiceRequest of cumulative sums, gauges and histograms. Times are unix
// nanoseconds.
[[nodiscard]] std::string render_metrics(const Resource& resource,
                                         const std::vector<Family>& families, int64_t start_ms,
                                         int64_t now_ms);

}  // namespace belay::observe

#pragma once
// Metrics as values, and Prometheus' text format. A Family is what one "# TYPE" line speaks of; it
// is made when somebody looks, so whoever collects gauges builds some and hands them over.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace belay::observe {

using Labels = std::vector<std::pair<std::string_view, std::string>>;  // names are literals

enum class MetricType : uint8_t { counter, gauge, histogram };

struct Sample {
    Labels labels;
    double value = 0;
    // Of a histogram: how many were at or below each bound, and how many in all; `value` is the
    // sum.
    std::vector<uint64_t> buckets;
    uint64_t count = 0;
};

struct Family {
    std::string name;  // a counter's ends in "_total"
    std::string help;
    MetricType type = MetricType::gauge;
    std::span<const double> bounds = {};  // of a histogram, ascending, without +Inf
    std::vector<Sample> samples;

    void add(Labels labels, double value) { samples.push_back({std::move(labels), value, {}, 0}); }
};

// One family of one sample without labels.
[[nodiscard]] Family single(std::string_view name, std::string_view help, double value,
                            MetricType type = MetricType::gauge);

// Appends the families in the text exposition format 0.0.4. Families without samples are left out.
void write_text(std::string& out, const std::vector<Family>& families);

// LiteLLM's latency buckets, in seconds.
[[nodiscard]] std::span<const double> latency_bounds();

}  // namespace belay::observe

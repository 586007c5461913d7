#include "observe/metric.h"

#include <doctest/doctest.h>

namespace belay::observe {
namespace {

// Values that hold quotes, backslashes and line breaks cannot end a label or begin another line.
TEST_CASE("text format escapes what labels hold") {
    Family family{"a_total", "counts\nthings", MetricType::counter, {}, {}};
    family.add({{"x", "q\"b\\s\nn"}}, 2);
    std::string out;
    write_text(out, {family});
    CHECK(out ==
          "# HELP a_total counts\\nthings\n"
          "# TYPE a_total counter\n"
          "a_total{x=\"q\\\"b\\\\s\\nn\"} 2\n");
}

// Buckets are cumulative and end with +Inf, which equals the count.
TEST_CASE("histograms") {
    static constexpr double kBounds[] = {0.5, 1};
    Family family{"h", "seconds", MetricType::histogram, kBounds, {}};
    family.samples.push_back({{{"m", "x"}}, 1.75, {1, 2}, 3});
    std::string out;
    write_text(out, {family});
    CHECK(out ==
          "# HELP h seconds\n"
          "# TYPE h histogram\n"
          "h_bucket{m=\"x\",le=\"0.5\"} 1\n"
          "h_bucket{m=\"x\",le=\"1.0\"} 2\n"
          "h_bucket{m=\"x\",le=\"+Inf\"} 3\n"
          "h_count{m=\"x\"} 3\n"
          "h_sum{m=\"x\"} 1.75\n");
}

// A family that nothing was said of is not mentioned; infinities have Prometheus' spelling.
TEST_CASE("empty families and infinities") {
    std::string out;
    write_text(out, {Family{"none", "nothing", MetricType::gauge, {}, {}},
                     single("g", "endless", 1.0 / 0.0)});
    CHECK(out == "# HELP g endless\n# TYPE g gauge\ng +Inf\n");
}

}  // namespace
}  // namespace belay::observe

#include "observe/metric.h"

#include <charconv>
#include <cmath>

namespace belay::observe {
namespace {

void write_number(std::string& out, double value) {
    if (std::isnan(value)) {
        out += "NaN";
        return;
    }
    if (std::isinf(value)) {
        out += value > 0 ? "+Inf" : "-Inf";
        return;
    }
    char text[40];
    const auto end = std::to_chars(text, text + sizeof text, value).ptr;
    out.append(text, end);
}

void write_escaped(std::string& out, std::string_view text, bool quoted) {
    for (const char c : text) {
        if (c == '\\') {
            out += "\\\\";
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '"' && quoted) {
            out += "\\\"";
        } else {
            out += c;
        }
    }
}

// name{a="x",b="y"} with a further label where `extra` names one.
void write_name(std::string& out, std::string_view name, std::string_view suffix,
                const Labels& labels, std::string_view extra = {}, std::string_view value = {}) {
    out.append(name).append(suffix);
    if (labels.empty() && extra.empty()) {
        out += ' ';
        return;
    }
    char before = '{';
    for (const auto& [label, text] : labels) {
        out += before;
        out.append(label).append("=\"");
        write_escaped(out, text, true);
        out += '"';
        before = ',';
    }
    if (!extra.empty()) {
        out += before;
        out.append(extra).append("=\"").append(value).append("\"");
    }
    out += "} ";
}

void write_histogram(std::string& out, const Family& family, const Sample& sample) {
    for (size_t i = 0; i < family.bounds.size(); ++i) {
        std::string bound;
        write_number(bound, family.bounds[i]);
        if (bound.find_first_of(".e") == std::string::npos) {
            bound += ".0";  // as Python writes it, so that LiteLLM's series go on
        }
        write_name(out, family.name, "_bucket", sample.labels, "le", bound);
        out += std::to_string(sample.buckets[i]) + "\n";
    }
    write_name(out, family.name, "_bucket", sample.labels, "le", "+Inf");
    out += std::to_string(sample.count) + "\n";
    write_name(out, family.name, "_count", sample.labels);
    out += std::to_string(sample.count) + "\n";
    write_name(out, family.name, "_sum", sample.labels);
    write_number(out, sample.value);
    out += '\n';
}

constexpr double kLatency[] = {0.005, 0.00625, 0.0125, 0.025, 0.05, 0.1, 0.5, 1.0, 1.5,
                               2.0,   2.5,     3.0,    3.5,   4.0,  4.5, 5.0, 5.5, 6.0,
                               6.5,   7.0,     7.5,    8.0,   8.5,  9.0, 9.5, 10,  15,
                               20,    25,      30,     60,    120,  180, 240, 300};

}  // namespace

std::span<const double> latency_bounds() { return kLatency; }

Family single(std::string_view name, std::string_view help, double value, MetricType type) {
    Family family{std::string(name), std::string(help), type, {}, {}};
    family.add({}, value);
    return family;
}

void write_text(std::string& out, const std::vector<Family>& families) {
    for (const Family& family : families) {
        if (family.samples.empty()) {
            continue;
        }
        out += "# HELP " + family.name + " ";
        write_escaped(out, family.help, false);
        out += "\n# TYPE " + family.name + " ";
        out += family.type == MetricType::counter ? "counter"
               : family.type == MetricType::gauge ? "gauge"
                                                  : "histogram";
        out += '\n';
        for (const Sample& sample : family.samples) {
            if (family.type == MetricType::histogram) {
                write_histogram(out, family, sample);
                continue;
            }
            write_name(out, family.name, {}, sample.labels);
            write_number(out, sample.value);
            out += '\n';
        }
    }
}

}  // namespace belay::observe

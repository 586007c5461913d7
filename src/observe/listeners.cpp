#include "observe/listeners.h"

#include "observe/generic_log.h"
#include "observe/otlp.h"

namespace belay::observe {
namespace {

Poster::Headers to_headers(const std::vector<Header>& headers) {
    Poster::Headers out{{"Content-Type", "application/json"}};
    for (const Header& header : headers) {
        out.emplace_back(header.name, header.value.reveal());
    }
    return out;
}

Family& family_of(std::vector<Family>& into, std::string_view name, std::string_view help,
                  MetricType type) {
    for (Family& family : into) {
        if (family.name == name) {
            return family;
        }
    }
    into.push_back({std::string(name), std::string(help), type, {}, {}});
    return into.back();
}

class Otlp final : public Listener {
  public:
    Otlp(const OtlpSettings& settings, const BatchSink::Post& post, Hub::Ports::Gather gather)
        : settings_(settings),
          gather_(std::move(gather)),
          start_ms_(unix_millis(system_clock().wall())),
          due_ms_(start_ms_ + settings.metrics_every.count()) {
        BatchSink::Options options;
        options.headers = to_headers(settings.headers);
        if (!settings.traces_url.empty()) {
            options.name = "otel_traces";
            options.url = settings.traces_url;
            options.prefix = traces_prefix(settings.resource);
            options.separator = ",";
            options.suffix = traces_suffix();
            traces_ = std::make_unique<BatchSink>(options, post);
        }
        if (!settings.metrics_url.empty()) {
            options.name = "otel_metrics";
            options.url = settings.metrics_url;
            options.prefix = options.separator = options.suffix = "";
            options.batch_most = 1;
            options.every = milliseconds(0);
            options.items_most = 2;  // an old one is worth nothing once there is a newer one
            metrics_ = std::make_unique<BatchSink>(options, post);
        }
    }
    void finish() override {
        if (metrics_ != nullptr) {
            send_metrics(unix_millis(system_clock().wall()));
        }
    }
    void hear(const Heard& heard) override {
        if (traces_ == nullptr) {
            return;
        }
        std::string spans = render_spans(heard);
        if (!spans.empty()) {
            traces_->offer(std::move(spans));
        }
    }
    void tick(int64_t now_ms) override {
        if (metrics_ != nullptr && now_ms >= due_ms_) {
            due_ms_ = now_ms + settings_.metrics_every.count();
            send_metrics(now_ms);
        }
    }
    void collect(std::vector<Family>& into) const override {
        if (traces_ != nullptr) {
            collect_sink(into, *traces_);
        }
        if (metrics_ != nullptr) {
            collect_sink(into, *metrics_);
        }
    }

  private:
    void send_metrics(int64_t now_ms) {
        std::vector<Family> families;
        gather_(families);
        metrics_->offer(render_metrics(settings_.resource, families, start_ms_, now_ms));
    }
    OtlpSettings settings_;
    Hub::Ports::Gather gather_;
    int64_t start_ms_, due_ms_;
    std::unique_ptr<BatchSink> traces_, metrics_;
};

class Generic final : public Listener {
  public:
    Generic(const GenericSettings& settings, Names names, const BatchSink::Post& post)
        : settings_(settings), names_(std::move(names)) {
        BatchSink::Options options;
        options.name = "generic_api";
        options.url = settings.url;
        options.headers = to_headers(settings.headers);
        options.prefix = "[";
        options.separator = ",";
        options.suffix = "]";
        sink_ = std::make_unique<BatchSink>(options, post);
    }
    void hear(const Heard& heard) override {
        const bool good = heard.entry.record.status == ledger::Status::success;
        if (good ? settings_.successes : settings_.failures) {
            sink_->offer(render_log(heard, names_, settings_.hide_keys));
        }
    }
    void collect(std::vector<Family>& into) const override { collect_sink(into, *sink_); }

  private:
    GenericSettings settings_;
    Names names_;
    std::unique_ptr<BatchSink> sink_;
};

}  // namespace

void collect_sink(std::vector<Family>& into, const BatchSink& sink) {
    const BatchSink::Stats stats = sink.stats();
    const auto count = [&](std::string_view name, std::string_view help, uint64_t value,
                           MetricType type = MetricType::counter) {
        family_of(into, name, help, type)
            .add({{"callback_name", sink.name()}}, static_cast<double>(value));
    };
    count("litellm_callback_logging_failures_metric_total", "Posts to a receiver that failed",
          stats.failures);
    count("belay_callback_sent_total", "Items that a receiver has taken", stats.sent);
    count("belay_callback_dropped_total", "Items that were given up", stats.dropped);
    count("belay_callback_waiting", "Items on their way to a receiver", stats.waiting,
          MetricType::gauge);
}

std::unique_ptr<Listener> make_otlp(const OtlpSettings& settings, BatchSink::Post post,
                                    Hub::Ports::Gather gather) {
    return std::make_unique<Otlp>(settings, post, std::move(gather));
}

std::unique_ptr<Listener> make_generic(const GenericSettings& settings, Names names,
                                       BatchSink::Post post) {
    return std::make_unique<Generic>(settings, std::move(names), post);
}

}  // namespace belay::observe

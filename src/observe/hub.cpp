#include "observe/hub.h"

#include <algorithm>
#include <new>

#include "base/clock.h"
#include "base/log.h"

namespace belay::observe {
namespace {

constexpr milliseconds kTick{1'000};
constexpr milliseconds kGather{100};  // how long a record waits for others
constexpr size_t kHurry = 1'024;      // so many are worth waking up for
constexpr size_t kSpareMost = 256;

}  // namespace

Hub::Hub(Ports ports) : ports_(std::move(ports)) {}

Hub::~Hub() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) {
        thread_.join();
    }
}

// Which requests are worth copying. Under mutex_.
void Hub::decide(const Settings& settings) {
    const bool listened =
        settings.otlp.on() || !settings.generic.url.empty() || settings.alerts.on();
    counting_ = counting_ || settings.metrics || !settings.otlp.metrics_url.empty();
    want(counting_ || listened, ports_.payloads != nullptr && !settings.payloads.off);
    if (counting_ || listened) {
        begin();
    }
}

void Hub::configure(const Settings& settings) {
    const std::lock_guard lock(mutex_);
    if (settings == current_) {
        return;
    }
    current_ = settings;
    decide(settings);
    asked_ = std::make_unique<Settings>(settings);
    wake_.notify_all();
}

void Hub::begin() {
    if (!thread_.joinable() && !stopping_) {
        thread_ = std::thread([this] { run(); });
    }
}

void Hub::take(const ledger::SpendRecord& record, const ledger::Trace& trace,
               std::string_view traceparent, std::unique_ptr<ledger::Payload> payload) noexcept {
    try {
        if (payload != nullptr && ports_.payloads != nullptr) {
            ports_.payloads->offer(record, std::move(payload));
        }
        if (!wants_records()) {
            return;
        }
        HeardPtr heard;
        {
            const std::lock_guard lock(mutex_);
            if (queue_.size() >= kWaitingMost) {
                dropped_.fetch_add(1, std::memory_order_relaxed);
                return;
            }
            if (!spare_.empty()) {
                heard = std::move(spare_.back());
                spare_.pop_back();
            }
        }
        if (heard == nullptr) {
            heard = std::make_unique<Heard>();
        }
        heard->entry.record = record;  // strings keep the memory of those before
        heard->entry.trace = trace;
        heard->traceparent = traceparent;
        bool wake = false;
        {
            const std::lock_guard lock(mutex_);
            wake = queue_.empty() || queue_.size() == kHurry;
            queue_.push_back(std::move(heard));
        }
        if (wake) {
            wake_.notify_one();
        }
    } catch (const std::bad_alloc&) {
        dropped_.fetch_add(1, std::memory_order_relaxed);
    }
}

bool Hub::scrape(std::function<void(std::string)> done) {
    const std::lock_guard lock(mutex_);
    if (stopping_ || scrapes_.size() >= kScrapesMost) {
        return false;
    }
    counting_ = true;
    decide(current_);
    scrapes_.push_back(std::move(done));
    wake_.notify_all();
    return true;
}

void Hub::run() {
    std::unique_lock lock(mutex_);
    Mono next_tick = system_clock().mono();
    for (bool last = false; !last;) {
        const auto asked = [this] {
            return stopping_ || !scrapes_.empty() || asked_ != nullptr || queue_.size() >= kHurry;
        };
        wake_.wait_for(lock, kTick, [&] { return asked() || !queue_.empty(); });
        if (!asked() && !queue_.empty()) {
            wake_.wait_for(lock, kGather, asked);
        }
        last = stopping_;
        std::vector<HeardPtr> heard = std::exchange(queue_, {});
        const std::unique_ptr<Settings> settings = std::move(asked_);
        auto scrapes = std::exchange(scrapes_, {});
        const bool counting = counting_;
        lock.unlock();

        if (settings != nullptr) {
            rebuild(*settings);
        }
        if (counting && metrics_ == nullptr) {
            metrics_ = std::make_unique<RequestMetrics>(ports_.names, metric_options_);
        }
        hear(heard);
        if (const Mono now = system_clock().mono(); now >= next_tick) {
            next_tick = now + kTick;
            watch_resting();
            const int64_t now_ms = unix_millis(system_clock().wall());
            for (const auto& listener : listeners_) {
                listener->tick(now_ms);
            }
        }
        if (!scrapes.empty()) {
            std::vector<Family> families;
            collect(families);
            std::string page;
            write_text(page, families);
            for (auto& done : scrapes) {
                done(page);
            }
        }
        lock.lock();
        for (auto& one : heard) {
            if (spare_.size() < kSpareMost) {
                spare_.push_back(std::move(one));
            }
        }
    }
    lock.unlock();
    close_listeners();
}

void Hub::close_listeners() {
    for (const auto& listener : listeners_) {
        listener->finish();
    }
    listeners_.clear();
}

void Hub::hear(std::vector<HeardPtr>& heard) {
    for (const auto& one : heard) {
        std::string& key = one->entry.record.key_fingerprint;
        one->key_id = key;
        if (ports_.names.key_hash && !key.empty()) {
            key = ports_.names.key_hash(key);
        }
        if (metrics_ != nullptr) {
            metrics_->add(one->entry.record, one->entry.trace);
        }
        for (const auto& listener : listeners_) {
            listener->hear(*one);
        }
    }
}

void Hub::rebuild(const Settings& settings) {
    close_listeners();
    metric_options_ = settings.metric_options;
    if (ports_.build) {
        listeners_ = ports_.build(settings, [this](std::vector<Family>& into) { collect(into); });
    }
}

// A rest that was not there a moment ago has begun.
void Hub::watch_resting() {
    if (!ports_.resting || metrics_ == nullptr) {
        return;
    }
    std::vector<std::pair<std::string, int64_t>> now;
    for (const Resting& row : ports_.resting()) {
        std::pair<std::string, int64_t> rest(row.id + " " + row.model, row.until_ms);
        if (std::find(rested_.begin(), rested_.end(), rest) == rested_.end()) {
            metrics_->cooled_down(row.model, row.id, row.provider, row.cause);
        }
        now.push_back(std::move(rest));
    }
    rested_ = std::move(now);
}

void Hub::collect(std::vector<Family>& into) {
    if (metrics_ != nullptr) {
        metrics_->collect(into);
    }
    for (const auto& listener : listeners_) {
        listener->collect(into);
    }
    into.push_back(single("belay_observer_dropped_total",
                          "Requests that metrics and callbacks did not hear of, since too many "
                          "were waiting",
                          static_cast<double>(dropped()), MetricType::counter));
    if (ports_.gauges) {
        ports_.gauges(into, metrics_.get());
    }
}

}  // namespace belay::observe

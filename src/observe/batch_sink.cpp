#include "observe/batch_sink.h"

#include <utility>

#include "base/log.h"
#include "wire/url.h"

namespace belay::observe {
namespace {

constexpr seconds kTellEvery{60};

// Worth another try: nothing came, or the receiver is busy.
bool is_passing(const Result<int>& reply) {
    return !reply.ok() || *reply == 408 || *reply == 429 || *reply >= 500;
}

}  // namespace

BatchSink::BatchSink(Options options, Post post)
    : options_(std::move(options)), post_(std::move(post)), thread_([this] { run(); }) {}

BatchSink::~BatchSink() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
}

void BatchSink::offer(std::string item) {
    {
        const std::lock_guard lock(mutex_);
        if (items_.size() >= options_.items_most || bytes_ + item.size() > options_.bytes_most) {
            ++stats_.dropped;
            return;
        }
        bytes_ += item.size();
        items_.push_back(std::move(item));
    }
    wake_.notify_one();
}

BatchSink::Stats BatchSink::stats() const {
    const std::lock_guard lock(mutex_);
    Stats stats = stats_;
    stats.waiting = items_.size();
    return stats;
}

void BatchSink::run() {
    std::unique_lock lock(mutex_);
    while (true) {
        wake_.wait(lock, [this] { return stopping_ || !items_.empty(); });
        if (items_.empty()) {
            return;
        }
        wake_.wait_for(lock, options_.every, [this] {
            return stopping_ || items_.size() >= options_.batch_most ||
                   bytes_ >= options_.batch_bytes_most;
        });
        std::vector<std::string> batch;
        for (size_t bytes = 0; !items_.empty() && batch.size() < options_.batch_most &&
                               (batch.empty() || bytes < options_.batch_bytes_most);) {
            bytes += items_.front().size();
            bytes_ -= items_.front().size();
            batch.push_back(std::move(items_.front()));
            items_.pop_front();
        }
        const bool last = stopping_;
        lock.unlock();
        send(std::move(batch), last);
        lock.lock();
    }
}

void BatchSink::send(std::vector<std::string> items, bool last) {
    std::string body = options_.prefix;
    for (size_t i = 0; i < items.size(); ++i) {
        body.append(i == 0 ? std::string_view() : std::string_view(options_.separator));
        body += items[i];
    }
    body += options_.suffix;
    milliseconds pause = options_.first_pause;
    for (int attempt = 1;; ++attempt, pause *= 2) {
        const Result<int> reply = post_(options_.url, options_.headers, body);
        std::unique_lock lock(mutex_);
        if (reply.ok() && *reply >= 200 && *reply < 300) {
            stats_.sent += items.size();
            return;
        }
        ++stats_.failures;
        const std::string problem =
            reply.ok() ? "it answered " + std::to_string(*reply) : reply.error().message;
        last = last || stopping_;
        if (last || attempt >= options_.tries || !is_passing(reply)) {
            stats_.dropped += items.size();
            lock.unlock();
            tell(problem, items.size());
            return;
        }
        wake_.wait_for(lock, pause, [this] { return stopping_; });
    }
}

void BatchSink::tell(const std::string& problem, size_t lost) {
    const Mono now = system_clock().mono();
    if (told_ != Mono{} && now - told_ < kTellEvery) {
        return;
    }
    told_ = now;
    const auto url = parse_url(options_.url);
    log::write(log::Level::warn, "observe.dropped",
               options_.name + " does not take what it is sent: " + problem,
               {{"receiver", url ? url->origin() : std::string("an invalid URL")},
                {"items", static_cast<uint64_t>(lost)}});
}

}  // namespace belay::observe

#include "observe/payload_writer.h"

#include <new>

#include "base/log.h"
#include "observe/payload_text.h"

namespace belay::observe {
namespace {

constexpr milliseconds kGather{100};
constexpr size_t kBatch = 64;
constexpr seconds kPatience{5};

}  // namespace

PayloadWriter::~PayloadWriter() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) {
        thread_.join();
    }
}

void PayloadWriter::configure(const PayloadSettings& settings) {
    const std::lock_guard lock(mutex_);
    settings_ = settings;
    ++generation_;
}

void PayloadWriter::offer(const ledger::SpendRecord& record,
                          std::unique_ptr<ledger::Payload> payload) noexcept {
    try {
        Waiting one;
        one.kept.request_id = record.request_id;
        one.kept.received_ms = record.received_ms;
        one.kept.key = record.key_fingerprint;
        one.kept.user = record.user;
        one.kept.team = record.team;
        one.raw = std::move(payload);
        const std::lock_guard lock(mutex_);
        if (bytes_ + one.bytes() > kBytesMost || settings_.off) {
            stats_.dropped += settings_.off ? 0 : 1;
            return;
        }
        bytes_ += one.bytes();
        queue_.push_back(std::move(one));
        if (!thread_.joinable() && !stopping_) {
            thread_ = std::thread([this] { run(); });
        }
        wake_.notify_one();
    } catch (const std::bad_alloc&) {
        const std::lock_guard lock(mutex_);
        ++stats_.dropped;
    }
}

void PayloadWriter::flush() {
    std::unique_lock lock(mutex_);
    idle_.wait_for(lock, kPatience,
                   [this] { return (queue_.empty() && busy_ == 0) || !thread_.joinable(); });
}

PayloadWriter::Stats PayloadWriter::stats() const {
    const std::lock_guard lock(mutex_);
    Stats stats = stats_;
    stats.waiting = queue_.size() + busy_;
    return stats;
}

void PayloadWriter::run() {
    std::unique_ptr<Redaction> redaction;
    PayloadSettings settings;
    uint64_t generation = ~uint64_t{0};
    std::unique_lock lock(mutex_);
    while (true) {
        wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
        if (queue_.empty()) {
            return;
        }
        wake_.wait_for(lock, kGather, [this] { return stopping_ || queue_.size() >= kBatch; });
        std::deque<Waiting> batch;
        size_t bytes = 0;
        while (!queue_.empty() && batch.size() < kBatch) {
            bytes += queue_.front().bytes();
            batch.push_back(std::move(queue_.front()));
            queue_.pop_front();
        }
        busy_ = batch.size();
        if (generation != generation_) {
            generation = generation_;
            settings = settings_;
            redaction = std::make_unique<Redaction>(settings.redact);
        }
        lock.unlock();
        save(batch, settings, *redaction);
        lock.lock();
        bytes_ -= bytes;
        busy_ = 0;
        idle_.notify_all();
    }
}

void PayloadWriter::save(std::deque<Waiting>& batch, const PayloadSettings& settings,
                         const Redaction& redaction) {
    std::vector<ledger::KeptPayload> kept;
    for (Waiting& one : batch) {
        const ledger::Payload& raw = *one.raw;
        one.kept.request =
            shape_body(raw.request, raw.request_bytes, redaction, settings.text_most);
        const bool frames = raw.stream && !raw.reply.starts_with('{');
        one.kept.response =
            frames ? shape_stream(raw.reply, raw.reply_bytes, redaction, settings.text_most)
                   : shape_body(raw.reply, raw.reply_bytes, redaction, settings.text_most);
        kept.push_back(std::move(one.kept));
        one.raw->request.clear();
        one.raw->reply.clear();
    }
    const Result<void> saved = store_.save(kept);
    const std::lock_guard lock(mutex_);
    (saved.ok() ? stats_.saved : stats_.dropped) += kept.size();
    if (!saved.ok()) {
        log::write(log::Level::warn, "payload.lost",
                   "prompts and replies could not be kept: " + saved.error().message,
                   {{"requests", static_cast<uint64_t>(kept.size())}});
    }
}

}  // namespace belay::observe

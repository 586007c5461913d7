#include "app/retention.h"

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/log.h"

namespace belay::app {
namespace {

constexpr seconds kAfterStart{5};  // the start is over by then
constexpr milliseconds kAfterChange{200};

void tell(std::string_view what, const Result<uint64_t>& dropped) {
    if (!dropped.ok()) {
        log::write(
            log::Level::warn, "retention.failed",
            "old " + std::string(what) + " could not be deleted: " + dropped.error().message);
    } else if (*dropped != 0) {
        log::write(log::Level::info, "retention.deleted", "old " + std::string(what) + " deleted",
                   {{"rows", *dropped}});
    }
}

}  // namespace

RetentionJob::RetentionJob(ledger::Queries& records, ledger::PayloadStore& payloads, Trim trim)
    : records_(records), payloads_(payloads), trim_(std::move(trim)) {
    thread_ = std::thread([this] { run(); });
}

RetentionJob::~RetentionJob() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
}

void RetentionJob::configure(const Retention& keep) {
    {
        const std::lock_guard lock(mutex_);
        if (keep == keep_) {
            return;
        }
        keep_ = keep;
        changed_ = true;
    }
    wake_.notify_all();
}

void RetentionJob::run() {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, kAfterStart, [this] { return stopping_ || keep_.every_ms < 5'000; });
    while (!stopping_) {
        changed_ = false;
        const Retention keep = keep_;
        lock.unlock();
        clean(keep);
        lock.lock();
        wake_.wait_for(lock, milliseconds(keep.every_ms), [this] { return stopping_ || changed_; });
        if (changed_) {  // several changes come together
            wake_.wait_for(lock, kAfterChange, [this] { return stopping_; });
        }
    }
}

void RetentionJob::clean(const Retention& keep) {
    const int64_t now_ms = unix_millis(system_clock().wall());
    if (keep.records_ms) {
        tell("spend records", records_.drop_before(now_ms - *keep.records_ms));
    }
    if (keep.payloads_ms) {
        tell("prompts and replies", payloads_.drop_before(now_ms - *keep.payloads_ms));
    }
    tell("audit rows", trim_(keep.audit_ms ? now_ms - *keep.audit_ms : 0));
}

}  // namespace belay::app

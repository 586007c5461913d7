#pragma once
// Deletes what is older than the configuration lets it be: spend records, kept prompts and replies,
// audit rows. A thread of its own that sleeps nearly always: once shortly after the start, then
// every Retention::every_ms.
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "app/config.h"
#include "ledger/payload.h"
#include "ledger/query.h"

namespace belay::app {

class RetentionJob {
  public:
    // `trim` deletes audit rows older than its argument, and what of them is too many.
    using Trim = std::function<Result<uint64_t>(int64_t before_ms)>;
    RetentionJob(ledger::Queries& records, ledger::PayloadStore& payloads, Trim trim);
    ~RetentionJob();
    RetentionJob(const RetentionJob&) = delete;
    RetentionJob& operator=(const RetentionJob&) = delete;

    void configure(const Retention& keep);  // any thread; takes effect at once

  private:
    void run();
    void clean(const Retention& keep);

    ledger::Queries& records_;
    ledger::PayloadStore& payloads_;
    Trim trim_;
    std::mutex mutex_;
    std::condition_variable wake_;
    Retention keep_;
    bool changed_ = true;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace belay::app

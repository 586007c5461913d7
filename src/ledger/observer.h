#pragma once
// The port to whoever wants to hear of requests beside the ledger: metrics, spans, log callbacks,
// alerts, the payload store. While nobody listens a request costs one look at a flag here.
#include <atomic>
#include <memory>
#include <string>
#include <string_view>

#include "ledger/payload.h"
#include "ledger/record.h"
#include "ledger/trace.h"

namespace belay::ledger {

class Observer {
  public:
    virtual ~Observer() = default;
    // Any thread; a change takes effect on the next request.
    [[nodiscard]] bool wants_records() const { return records_.load(std::memory_order_relaxed); }
    [[nodiscard]] bool keeps_payloads() const { return payloads_.load(std::memory_order_relaxed); }
    // Copies what it needs and returns; drops rather than waits. Thread-safe. `traceparent` is the
    // client's header of that name, unchecked; `payload` may be null.
    virtual void take(const SpendRecord& record, const Trace& trace, std::string_view traceparent,
                      std::unique_ptr<Payload> payload) noexcept = 0;

  protected:
    void want(bool records, bool payloads) {
        records_.store(records, std::memory_order_relaxed);
        payloads_.store(payloads, std::memory_order_relaxed);
    }

  private:
    std::atomic<bool> records_{false};
    std::atomic<bool> payloads_{false};
};

}  // namespace belay::ledger

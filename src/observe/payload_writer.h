#pragma once
// Brings kept bodies to their store: one thread that shapes them (payload_text.h) and saves them
// together. Bounded in bytes: what comes too fast is dropped and counted. The thread begins with
// the first payload.
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "ledger/payload.h"
#include "observe/hub.h"
#include "observe/redaction.h"
#include "observe/settings.h"

namespace belay::observe {

class PayloadWriter final : public PayloadTaker {
  public:
    static constexpr size_t kBytesMost = 64U << 20;

    explicit PayloadWriter(ledger::PayloadStore& store) : store_(store) {}
    ~PayloadWriter() override;  // saves what is waiting
    PayloadWriter(const PayloadWriter&) = delete;
    PayloadWriter& operator=(const PayloadWriter&) = delete;

    void configure(const PayloadSettings& settings);
    void offer(const ledger::SpendRecord& record,
               std::unique_ptr<ledger::Payload> payload) noexcept override;
    // Waits until everything offered so far is saved or given up, but not for long.
    void flush();
    // What was kept of a request; looks at what is on its way too. Waits for a disk.
    [[nodiscard]] Result<std::optional<ledger::KeptPayload>> find(std::string_view request_id) {
        flush();
        return store_.find(request_id);
    }

    struct Stats {
        uint64_t saved = 0, dropped = 0, waiting = 0;
    };
    [[nodiscard]] Stats stats() const;

  private:
    struct Waiting {
        ledger::KeptPayload kept;
        std::unique_ptr<ledger::Payload> raw;
        [[nodiscard]] size_t bytes() const {
            return raw->request.size() + raw->reply.size() + sizeof *this;
        }
    };
    void run();
    void save(std::deque<Waiting>& batch, const PayloadSettings& settings,
              const Redaction& redaction);

    ledger::PayloadStore& store_;
    mutable std::mutex mutex_;
    std::condition_variable wake_, idle_;
    std::deque<Waiting> queue_;
    size_t bytes_ = 0;  // waiting, and with the thread
    size_t busy_ = 0;   // payloads with the thread
    PayloadSettings settings_;
    uint64_t generation_ = 0;  // of settings_
    Stats stats_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace belay::observe

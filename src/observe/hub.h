#pragma once
// Where finished requests are heard: copied into a bounded queue by the event loops, taken out by
// one thread that counts them and passes them to whoever wants them. While nobody does, no thread
// runs and loops only look at a flag.
//
//   take() ──► queue ──► RequestMetrics ◄── scrape()
//                   └──► Listeners: spans, log callbacks, alerts (made by `build` from Settings)
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "ledger/ledger.h"
#include "ledger/observer.h"
#include "observe/request_metrics.h"
#include "observe/settings.h"

namespace belay::observe {

struct Heard {
    ledger::Entry entry;  // its key is named as the API names it
    std::string key_id;   // and this is the id it is stored under
    std::string traceparent;
};

// Called on the hub's thread alone.
class Listener {
  public:
    virtual ~Listener() = default;
    virtual void hear(const Heard& heard) = 0;
    // About once a second.
    virtual void tick(int64_t now_ms) { (void)now_ms; }
    virtual void collect(std::vector<Family>& into) const { (void)into; }
    virtual void finish() {}  // it hears no more, and is destroyed soon
};

// Takes a request's bodies to where they are kept. Thread-safe, never waits.
class PayloadTaker {
  public:
    virtual ~PayloadTaker() = default;
    virtual void offer(const ledger::SpendRecord& record,
                       std::unique_ptr<ledger::Payload> payload) noexcept = 0;
};

class Hub final : public ledger::Observer {
  public:
    static constexpr size_t kWaitingMost = 16'384;
    static constexpr size_t kScrapesMost = 8;

    // A deployment that rests now.
    struct Resting {
        std::string id, group, model, provider, cause;
        int64_t until_ms = 0;  // of a monotonic clock: tells one rest from the next
    };
    struct Ports {
        Names names;
        // Adds what is read off when somebody looks (budgets, account, process). On the hub's
        // thread; null while nothing is counted.
        std::function<void(std::vector<Family>&, const RequestMetrics*)> gauges;
        std::function<std::vector<Resting>()> resting;
        // The listeners that the settings ask for. On the hub's thread.
        using Gather = std::function<void(std::vector<Family>&)>;
        std::function<std::vector<std::unique_ptr<Listener>>(const Settings&, Gather)> build;
        PayloadTaker* payloads = nullptr;  // null: nowhere to keep them
    };
    explicit Hub(Ports ports);
    ~Hub() override;  // passes on what it has heard
    Hub(const Hub&) = delete;
    Hub& operator=(const Hub&) = delete;

    // Any thread; takes effect soon. Counting goes on where it was.
    void configure(const Settings& settings);
    void take(const ledger::SpendRecord& record, const ledger::Trace& trace,
              std::string_view traceparent,
              std::unique_ptr<ledger::Payload> payload) noexcept override;
    // The page of metrics, handed to `done` on the hub's thread; counts requests from now on, if it
    // did not yet. False when too many ask already.
    [[nodiscard]] bool scrape(std::function<void(std::string)> done);

    [[nodiscard]] uint64_t dropped() const { return dropped_.load(); }

  private:
    using HeardPtr = std::unique_ptr<Heard>;
    void begin();  // under mutex_: the thread
    void run();
    void hear(std::vector<HeardPtr>& heard);
    void rebuild(const Settings& settings);
    void watch_resting();
    void close_listeners();
    void collect(std::vector<Family>& into);
    void decide(const Settings& settings);

    Ports ports_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::vector<HeardPtr> queue_;
    std::vector<HeardPtr> spare_;
    std::deque<std::function<void(std::string)>> scrapes_;
    std::unique_ptr<Settings> asked_;  // not yet built
    Settings current_;
    bool counting_ = false;
    bool stopping_ = false;
    std::thread thread_;
    std::atomic<uint64_t> dropped_{0};

    // The hub's thread only.
    std::unique_ptr<RequestMetrics> metrics_;
    MetricOptions metric_options_;
    std::vector<std::unique_ptr<Listener>> listeners_;
    std::vector<std::pair<std::string, int64_t>> rested_;  // deployment and model, until
};

}  // namespace belay::observe

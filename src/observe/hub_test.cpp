#include "observe/hub.h"

#include <doctest/doctest.h>

#include <future>

namespace belay::observe {
namespace {

struct Heap {
    std::mutex mutex;
    std::vector<std::string> heard;
};

class Ear final : public Listener {
  public:
    explicit Ear(Heap& heap) : heap_(heap) {}
    void hear(const Heard& heard) override {
        const std::lock_guard lock(heap_.mutex);
        heap_.heard.push_back(heard.entry.record.request_id + " " + heard.traceparent);
    }

  private:
    Heap& heap_;
};

Hub::Ports ports(Heap& heap) {
    Hub::Ports p;
    p.build = [&heap](const Settings&, Hub::Ports::Gather) {
        std::vector<std::unique_ptr<Listener>> out;
        out.push_back(std::make_unique<Ear>(heap));
        return out;
    };
    return p;
}

std::string scrape(Hub& hub) {
    std::promise<std::string> page;
    REQUIRE(hub.scrape([&](std::string text) { page.set_value(std::move(text)); }));
    return page.get_future().get();
}

ledger::SpendRecord record(const std::string& id) {
    ledger::SpendRecord r;
    r.request_id = id;
    r.status = ledger::Status::success;
    r.http_status = 200;
    return r;
}

// Nobody listens: requests are not even asked for. The first look at the metrics changes that.
TEST_CASE("a hub without listeners wants nothing until somebody looks") {
    Heap heap;
    Hub hub(ports(heap));
    CHECK_FALSE(hub.wants_records());
    CHECK_FALSE(hub.keeps_payloads());
    CHECK(scrape(hub).find("litellm_proxy_total_requests") == std::string::npos);
    CHECK(hub.wants_records());
    hub.take(record("r"), {}, {}, nullptr);
    CHECK(scrape(hub).find("litellm_proxy_total_requests_metric_total{") != std::string::npos);
}

// Listeners hear everything that was taken, in order, also what waits when the hub ends.
TEST_CASE("listeners hear all") {
    Heap heap;
    std::vector<std::string> expected;
    {
        Hub hub(ports(heap));
        Settings s;
        s.generic.url = "http://127.0.0.1:1/";
        hub.configure(s);
        (void)scrape(hub);  // the listeners are there
        for (int i = 0; i < 500; ++i) {
            hub.take(record(std::to_string(i)), {}, "parent", nullptr);
            expected.push_back(std::to_string(i) + " parent");
        }
    }
    CHECK(heap.heard == expected);
}

// However fast requests come, memory is bounded and what is left out is counted.
TEST_CASE("a flood is bounded") {
    Heap heap;
    Hub hub(ports(heap));
    std::promise<void> go;
    std::promise<void> reached;
    REQUIRE(hub.scrape([&](std::string) {
        reached.set_value();
        go.get_future().wait();
    }));
    reached.get_future().wait();  // the hub's thread stands still
    for (size_t i = 0; i < Hub::kWaitingMost + 10; ++i) {
        hub.take(record("r"), {}, {}, nullptr);
    }
    CHECK(hub.dropped() == 10);
    go.set_value();
    const std::string page = scrape(hub);
    CHECK(page.find("belay_observer_dropped_total 10") != std::string::npos);
}

}  // namespace
}  // namespace belay::observe

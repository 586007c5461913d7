#include "observe/batch_sink.h"

#include <doctest/doctest.h>

#include <condition_variable>
#include <mutex>

namespace belay::observe {
namespace {

// A receiver that answers what it is told and remembers what came.
class Receiver {
  public:
    explicit Receiver(std::vector<int> answers) : answers_(std::move(answers)) {}
    BatchSink::Post post() {
        return [this](const std::string&, Poster::Headers, std::string body) -> Result<int> {
            std::unique_lock lock(mutex_);
            bodies_.push_back(std::move(body));
            const size_t n = bodies_.size();
            came_.notify_all();
            open_.wait(lock, [this] { return !held_; });
            const int status = answers_[std::min(n, answers_.size()) - 1];
            if (status == 0) {
                return upstream_error(Kind::timeout, "nothing came");
            }
            return status;
        };
    }
    void wait_for(size_t posts) {
        std::unique_lock lock(mutex_);
        came_.wait(lock, [&] { return bodies_.size() >= posts; });
    }
    void hold(bool held) {
        {
            const std::lock_guard lock(mutex_);
            held_ = held;
        }
        open_.notify_all();
    }
    std::vector<std::string> bodies() {
        const std::lock_guard lock(mutex_);
        return bodies_;
    }

  private:
    std::vector<int> answers_;
    std::mutex mutex_;
    std::condition_variable came_, open_;
    std::vector<std::string> bodies_;
    bool held_ = false;
};

BatchSink::Options options() {
    BatchSink::Options o;
    o.name = "test";
    o.url = "http://127.0.0.1:1/x";
    o.prefix = "[";
    o.separator = ",";
    o.suffix = "]";
    o.every = milliseconds(0);
    o.first_pause = milliseconds(1);
    return o;
}

// Items go out together in their order, also those that wait when the sink ends.
TEST_CASE("batches") {
    Receiver receiver({200});
    {
        auto o = options();
        o.every = milliseconds(60'000);
        BatchSink sink(o, receiver.post());
        sink.offer("1");
        sink.offer("2");
    }
    CHECK(receiver.bodies() == std::vector<std::string>{"[1,2]"});
}

// A receiver that is busy gets the same again; one that refuses does not.
TEST_CASE("tries") {
    struct Case {
        std::vector<int> answers;
        size_t posts;
        uint64_t sent, dropped;
    };
    for (const auto& c : {Case{{503, 0, 200}, 3, 1, 0}, Case{{400}, 1, 0, 1},
                          Case{{500, 500, 500, 500}, 4, 0, 1}}) {
        Receiver receiver(c.answers);
        BatchSink sink(options(), receiver.post());
        sink.offer("x");
        receiver.wait_for(c.posts);
        while (sink.stats().sent + sink.stats().dropped == 0) {
            std::this_thread::yield();
        }
        CHECK(receiver.bodies().size() == c.posts);
        CHECK(sink.stats().sent == c.sent);
        CHECK(sink.stats().dropped == c.dropped);
    }
}

// While a receiver hangs, no more waits than may; the rest is counted, and nobody waits.
TEST_CASE("a slow receiver") {
    Receiver receiver({200});
    receiver.hold(true);
    auto o = options();
    o.items_most = 3;
    o.batch_most = 1;
    BatchSink sink(o, receiver.post());
    sink.offer("first");
    receiver.wait_for(1);
    for (int i = 0; i < 10; ++i) {
        sink.offer("more");
    }
    CHECK(sink.stats().waiting == 3);
    CHECK(sink.stats().dropped == 7);
    receiver.hold(false);
    receiver.wait_for(4);
}

}  // namespace
}  // namespace belay::observe

#pragma once
// Items on their way to one receiver: gathered, sent together by a thread of its own, tried again a
// few times. Bounded in number and bytes: what a slow or dead receiver leaves no room for is
// dropped and counted, and nobody ever waits for it.
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "observe/poster.h"

namespace belay::observe {

class BatchSink {
  public:
    struct Options {
        std::string name;  // for logs and metrics: "generic_api"
        std::string url;   // may hold a secret: only its origin is ever told
        Poster::Headers headers;
        std::string prefix, separator, suffix;  // around and between the items of a body
        size_t batch_most = 512;
        size_t batch_bytes_most = 4U << 20;
        milliseconds every{5'000};  // how long the first item of a batch waits for others
        size_t items_most = 8'192;
        size_t bytes_most = 16U << 20;
        int tries = 4;
        milliseconds first_pause{500};  // between tries, doubled each time
    };
    using Post = std::function<Result<int>(const std::string& url, Poster::Headers headers,
                                           std::string body)>;

    BatchSink(Options options, Post post);
    // Sends what is waiting, each batch tried once.
    ~BatchSink();
    BatchSink(const BatchSink&) = delete;
    BatchSink& operator=(const BatchSink&) = delete;

    void offer(std::string item);

    struct Stats {
        uint64_t sent = 0;      // items that the receiver has taken
        uint64_t dropped = 0;   // items that were given up
        uint64_t failures = 0;  // posts that failed
        uint64_t waiting = 0;
    };
    [[nodiscard]] Stats stats() const;
    [[nodiscard]] const std::string& name() const { return options_.name; }

  private:
    void run();
    void send(std::vector<std::string> items, bool last);
    void tell(const std::string& problem, size_t lost);

    const Options options_;
    const Post post_;
    mutable std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<std::string> items_;
    size_t bytes_ = 0;
    Stats stats_;
    bool stopping_ = false;
    Mono told_{};
    std::thread thread_;
};

}  // namespace belay::observe

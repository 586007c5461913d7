#pragma once
// The simulated world: a GitHub and a Copilot that are neither. It answers requests from its state,
// the clock it is given and its seed, and touches nothing else: no socket, no file, no clock of its
// own. Same seed, same requests, same times: same replies. Server (server.h) plays it on a port; a
// test may also call it directly.
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "sim/message.h"
#include "sim/scenario.h"

namespace belay::sim {

struct State;

// The prebuilt answers of bench mode, laid out for the wire.
struct BenchReply {
    std::string header_lines;  // "name: value\r\n"... of the plain reply
    std::string body;
    std::string stream_header_lines;
    std::vector<std::string> events;  // of a stream, the last holds the finish and [DONE]
    milliseconds pause{0};            // between events
    milliseconds hold{0};             // before the last event
};

class World {
  public:
    // `base_url` is what endpoints.api and verification_uri announce, without a slash at the end.
    explicit World(Scenario scenario, std::string base_url = "http://127.0.0.1");
    ~World();
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    // Thread-safe. `now` is shifted by what POST /_sim/advance has added up.
    [[nodiscard]] Reply handle(const Request& request, Wall now, Mono mono);

    // The fast path of benchmarks: the prebuilt answer when bench mode is on and the call is a
    // POST /chat/completions with a good token, else nullptr. No lock is taken for a token seen
    // before on this thread. The reply lives as long as the world.
    [[nodiscard]] const BenchReply* fast(std::string_view method, std::string_view path,
                                         std::string_view authorization, Wall now) const;
    [[nodiscard]] bool benching() const {
        return bench_.load(std::memory_order_acquire) != nullptr;
    }

    // Requests answered so far (bench calls not counted).
    [[nodiscard]] uint64_t calls() const { return calls_.load(); }
    void set_base_url(std::string base_url);
    // A valid Copilot token of an account, without the exchange; "" when there is no such account.
    [[nodiscard]] std::string issue_token(std::string_view account, Wall now);

  private:
    Reply dispatch(const Request& request, Wall now);
    [[nodiscard]] bool remember_token(std::string_view authorization, Wall now) const;
    void rebuild_bench();

    mutable std::mutex mutex_;
    std::unique_ptr<State> state_;
    // Readers hold plain pointers, so a replaced reply is kept until the end.
    std::vector<std::unique_ptr<const BenchReply>> bench_replies_;
    std::atomic<const BenchReply*> bench_{nullptr};
    mutable std::atomic<uint64_t> bench_calls_{0};
    std::atomic<uint64_t> calls_{0};
    std::atomic<uint64_t> generation_{0};  // tokens cached under an older one are asked again
};

// True when the body asks for a stream, found without parsing it.
[[nodiscard]] bool asks_for_stream(std::string_view body);

}  // namespace belay::sim

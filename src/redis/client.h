#pragma once
// The commands of one loop to a Redis, over one connection: pipelined, each with a deadline, behind
// a breaker. While Redis is away every command fails at once and one attempt a second looks whether
// it is back; nothing here ever waits longer than the deadline, and nothing is sent twice.
#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "net/http_client.h"
#include "net/loop.h"
#include "net/task.h"
#include "redis/address.h"
#include "redis/link.h"
#include "redis/reply.h"
#include "redis/script.h"

namespace belay::redis {

struct ClientOptions {
    Address address;
    milliseconds deadline{50};    // of one command
    milliseconds connect{1'000};  // of one attempt, sign-in included
    milliseconds probe{1'000};    // between attempts while it is away
    size_t queue_most = 4096;     // commands that wait for an answer
    int failures_most = 5;        // commands without an answer in a row: then it counts as away
};

class Client {
  public:
    // Called on the loop, once, at the latest at the deadline. A server's "-ERR ..." is an Error of
    // Kind::upstream_rejected; others say that there was no answer.
    using Done = std::function<void(Result<Reply>)>;

    Client(net::Loop& loop, std::shared_ptr<net::ClientContext> context, ClientOptions options);
    ~Client();  // on the loop a turn after stop(), or when the loop runs no more
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    // On the loop. After stop() every command fails.
    void start();
    void stop();
    // Called on the loop after each sign-in and when the server is lost, with the reason.
    void on_change(std::function<void(const Result<void>&)> hook) { hook_ = std::move(hook); }

    void send(const std::vector<std::string_view>& words, Done done);
    // `script` outlives the client.
    void run(const Script& script, std::vector<std::string> keys, std::vector<std::string> args,
             Done done);

    // Any thread: false while commands fail at once.
    [[nodiscard]] bool is_up() const { return up_.load(std::memory_order_relaxed); }
    [[nodiscard]] const std::string& run_id() const { return link_.run_id(); }
    [[nodiscard]] const ClientOptions& options() const { return options_; }

  private:
    struct Pending {
        Done done;  // empty when its time is over: the answer is not waited for
        Mono deadline;
        std::string bytes;  // until the connection is there
    };
    enum class State : uint8_t { connecting, open, away };

    net::Task<void> keep();
    net::Task<Error> read_all();
    void become(State state, const Result<void>& why);
    void send_queued();
    void fail_all(const Error& why);
    void take(Result<Reply> reply);
    void watch();
    void on_late();

    net::Loop& loop_;
    ClientOptions options_;
    Link link_;
    State state_ = State::connecting;
    std::atomic<bool> up_{true};
    bool stopping_ = false;
    std::deque<Pending> queued_;   // until there is a connection
    std::deque<Pending> pending_;  // sent, in the order of the answers
    int failures_ = 0;
    net::Timer late_;
    net::Waiter sleeping_;
    std::function<void(const Result<void>&)> hook_;
};

}  // namespace belay::redis

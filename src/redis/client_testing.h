#pragma once
// For this module's tests: a client on a loop of its own, asked from the test's thread.
#include <doctest/doctest.h>

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "net/loops.h"
#include "redis/client.h"

namespace belay::redis {

// A busy machine is no failure.
inline ClientOptions patient(const Address& address) {
    return {.address = address, .deadline = seconds(10), .connect = seconds(10)};
}

class TestClient {
  public:
    explicit TestClient(ClientOptions options,
                        std::function<void(const Result<void>&)> on_change = nullptr) {
        client_ = std::make_unique<Client>(
            loops_[0], std::make_shared<net::ClientContext>(net::ClientOptions()),
            std::move(options));
        client_->on_change(std::move(on_change));
        loops_.start();
        loops_.run_on(0, [this] { client_->start(); });
    }
    explicit TestClient(const Address& address) : TestClient(patient(address)) {}
    ~TestClient() {
        loops_.run_on(0, [this] { client_->stop(); });
        loops_.run_on(0, [] {});
        loops_.stop();
        loops_.join();
    }

    Result<Reply> ask(const std::vector<std::string>& words) {
        auto answer = begin(words);
        return answer.get();
    }
    std::future<Result<Reply>> begin(std::vector<std::string> words) {
        auto told = std::make_shared<std::promise<Result<Reply>>>();
        auto answer = told->get_future();
        loops_[0].post([this, words = std::move(words), told] {
            client_->send({words.begin(), words.end()},
                          [told](Result<Reply> reply) { told->set_value(std::move(reply)); });
        });
        return answer;
    }
    Result<Reply> run(const Script& script, std::vector<std::string> keys,
                      std::vector<std::string> args) {
        std::promise<Result<Reply>> told;
        loops_[0].post([&] {
            client_->run(script, std::move(keys), std::move(args),
                         [&told](Result<Reply> reply) { told.set_value(std::move(reply)); });
        });
        return told.get_future().get();
    }
    // Until it answers again (or no more); a failure says what did not come.
    void wait_until(bool up) {
        const Mono until = std::chrono::steady_clock::now() + seconds(20);
        while (client_->is_up() != up || ask({"PING"}).ok() != up) {
            REQUIRE(std::chrono::steady_clock::now() < until);
            std::this_thread::yield();
        }
    }
    [[nodiscard]] Client& client() { return *client_; }
    [[nodiscard]] net::Loops& loops() { return loops_; }

  private:
    net::Loops loops_{1};
    std::unique_ptr<Client> client_;
};

}  // namespace belay::redis

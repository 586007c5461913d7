// The client against a real Redis: in order, within its time, and soon away and soon back.
#include <doctest/doctest.h>

#include "redis/client_testing.h"
#include "redis/redis_server.h"

using namespace belay;
using namespace belay::redis;

TEST_CASE("commands are answered in order, however many are under way") {
    RedisServer server;
    TestClient client(server.address());
    std::vector<std::future<Result<Reply>>> answers;
    for (int i = 0; i < 1000; ++i) {
        answers.push_back(client.begin({"ECHO", std::to_string(i)}));
    }
    for (int i = 0; i < 1000; ++i) {
        const auto reply = answers[static_cast<size_t>(i)].get();
        REQUIRE(reply.ok());
        CHECK(reply->text == std::to_string(i));
    }
    const std::string large(3 << 20, 'x');
    REQUIRE(client.ask({"SET", "large", large}).ok());
    CHECK(client.ask({"GET", "large"})->text == large);
    const auto wrong = client.ask({"INCR", "large"});
    REQUIRE(!wrong.ok());
    CHECK(wrong.error().kind == Kind::upstream_rejected);
}

TEST_CASE("a script runs, also after the server has forgotten it") {
    RedisServer server;
    TestClient client(server.address());
    const Script script("return {KEYS[1], ARGV[1] + 1}");
    for (int i = 0; i < 3; ++i) {
        const auto reply = client.run(script, {"k"}, {"41"});
        REQUIRE(reply.ok());
        CHECK(reply->at(0).text == "k");
        CHECK(reply->at(1).as_int() == 42);
        if (i == 1) {
            REQUIRE(client.ask({"SCRIPT", "FLUSH"}).ok());
        }
    }
}

TEST_CASE("user, password and database are used, and a wrong password is named") {
    RedisServer server({"--requirepass", "hunter2hunter2"});
    Address address = server.address();
    address.password = Secret("hunter2hunter2");
    address.db = 5;
    TestClient client(address);
    REQUIRE(client.ask({"SET", "a", "1"}).ok());
    CHECK(client.ask({"CLIENT", "INFO"})->text.find(" db=5 ") != std::string::npos);
    for (const char* password : {"", "wrong-wrong"}) {
        Address other = server.address();
        other.password = Secret(password);
        std::promise<std::string> why;
        TestClient refused(ClientOptions{.address = other},
                           [&why, told = false](const Result<void>& state) mutable {
                               if (!std::exchange(told, true)) {
                                   why.set_value(state.ok() ? "" : state.error().message);
                               }
                           });
        CHECK(why.get_future().get().find("password") != std::string::npos);
    }
}

TEST_CASE("a killed Redis fails commands at once, and one that is back is found") {
    RedisServer server;
    ClientOptions options = patient(server.address());
    options.probe = milliseconds(50);
    TestClient client(options);
    REQUIRE(client.ask({"PING"}).ok());
    const std::string first = client.client().run_id();
    CHECK(first.size() == 40);
    server.stop(SIGKILL);
    client.wait_until(false);
    CHECK(client.ask({"PING"}).error().kind == Kind::upstream_unavailable);
    server.launch();
    client.wait_until(true);
    CHECK(client.client().run_id() != first);
}

TEST_CASE("a Redis that answers nothing is away after five commands, each within its time") {
    RedisServer server;
    TestClient client(ClientOptions{.address = server.address(),
                                    .deadline = milliseconds(50),
                                    .connect = milliseconds(200),
                                    .probe = milliseconds(50)});
    client.wait_until(true);
    server.freeze();
    int timeouts = 0;
    while (client.client().is_up()) {
        const auto reply = client.ask({"PING"});
        REQUIRE(!reply.ok());
        timeouts += reply.error().kind == Kind::timeout ? 1 : 0;
    }
    CHECK(timeouts == 5);
    server.resume();
    client.wait_until(true);
    CHECK(client.ask({"ECHO", "in step"})->text == "in step");
}

TEST_CASE("a late answer is not taken for the next command's") {
    RedisServer server;
    TestClient client(ClientOptions{
        .address = server.address(), .deadline = milliseconds(50), .failures_most = 99});
    client.wait_until(true);
    CHECK(client.ask({"BLPOP", "nothing", "0.3"}).error().kind == Kind::timeout);
    const Mono until = std::chrono::steady_clock::now() + seconds(20);
    auto reply = client.ask({"ECHO", "mine"});
    while (!reply.ok() && std::chrono::steady_clock::now() < until) {
        reply = client.ask({"ECHO", "mine"});
    }
    REQUIRE(reply.ok());
    CHECK(reply->text == "mine");
}

TEST_CASE("no more commands wait than the queue holds") {
    RedisServer server;
    ClientOptions options = patient(server.address());
    options.queue_most = 3;
    TestClient client(options);
    client.wait_until(true);
    server.freeze();
    std::vector<std::future<Result<Reply>>> answers;
    for (int i = 0; i < 5; ++i) {
        answers.push_back(client.begin({"PING"}));
    }
    CHECK(answers[4].get().error().message == "too many commands wait for Redis");
    server.resume();
    CHECK(answers[0].get().ok());
}

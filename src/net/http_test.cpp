// The server and the client against each other and against raw bytes, on real loopback sockets.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <string>

#include "net/http_client.h"
#include "net/http_server.h"
#include "net/loops.h"

using namespace belay;
using namespace belay::net;

namespace {

constexpr size_t kFlood = 8 << 20;

// Answers by path: /echo the body, /stream three chunks, /wait until the client is gone, /cut a
// stream without its end.
class TestHandler final : public HttpHandler {
  public:
    std::optional<Refusal> admit(const http::Head& head, std::string_view path, uint16_t) override {
        if (path == "/refuse") {
            Refusal r;
            r.status = 403;
            r.body = "no";
            return r;
        }
        (void)head;
        return std::nullopt;
    }
    Task<void> handle(HttpRequest& request, HttpResponder& reply) override {
        ++handled;
        if (request.path == "/stream") {
            reply.begin(200, "Content-Type: text/plain\r\n");
            for (const char* part : {"one ", "two ", "three"}) {
                if (!co_await reply.write(part)) {
                    co_return;
                }
            }
            co_await reply.end();
        } else if (request.path == "/flood") {
            reply.begin(200, "Content-Type: text/plain\r\n");
            const std::string part(kFlood, 'x');
            if (!co_await reply.write(part)) {
                co_return;
            }
            if (!reply.write_now(part)) {
                co_await reply.write_rest();
            }
            co_await reply.end(part);
        } else if (request.path == "/cut") {
            reply.begin(200, "");
            co_await reply.write("half");
            reply.abort();
        } else if (request.path == "/wait") {
            Waiter waiter;
            struct Ctx {
                Loop& loop;
                Waiter& waiter;
            } ctx{reply.loop(), waiter};
            reply.on_client_gone(
                [](void* arg) {
                    auto* c = static_cast<Ctx*>(arg);
                    c->loop.wake(c->waiter, Wake::cancelled);
                },
                &ctx);
            const Wake wake = co_await reply.loop().sleep_until(
                reply.loop().now() + std::chrono::seconds(30), &waiter);
            cancelled.set_value(wake == Wake::cancelled);
            reply.abort();
        } else {
            const std::string body(request.body);
            std::string more;
            http::write_header(more, "X-Method", request.method());
            co_await reply.send(200, "text/plain", body, more);
        }
    }
    std::atomic<int> handled{0};
    std::promise<bool> cancelled;
};

ServerLimits small_bodies() {
    ServerLimits limits;
    limits.body = 1 << 20;
    return limits;
}

struct World {
    TestHandler handler;
    Loops loops;
    HttpServer server;
    uint16_t port = 0;
    std::shared_ptr<ClientContext> context;

    World() : loops(2), server(small_bodies(), handler) {
        context = std::make_shared<ClientContext>(ClientOptions());
        ListenAddress anywhere;
        const std::vector<Loop*> first = {&loops[0]};
        auto bound = server.listen(anywhere, first);
        REQUIRE(bound.ok());
        port = *bound;
        loops.start();
    }
    ~World() {
        server.close_all();
        while (server.connections() != 0) {
            std::this_thread::yield();
        }
        loops.run_on(0, [] {});  // what close_all() posted has run
    }
    [[nodiscard]] Url url() const {
        Url u;
        u.host = "127.0.0.1";
        u.port = port;
        return u;
    }
    // Runs a coroutine on the second loop and waits for its end.
    void run(const std::function<Task<void>(HttpClient&)>& work) {
        std::promise<void> done;
        std::unique_ptr<HttpClient> client;
        loops[1].post([&] {
            client = std::make_unique<HttpClient>(loops[1], context);
            loops[1].spawn(finish(work(*client), done));
        });
        done.get_future().wait();
        loops.run_on(1, [&] { client.reset(); });
    }
    static Task<void> finish(Task<void> work, std::promise<void>& done) {
        co_await work;
        done.set_value();
    }
    [[nodiscard]] int connected() const {
        const int fd = socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_port = htons(port);
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
        return fd;
    }
    // What comes until it ends with `end`, or the connection does.
    [[nodiscard]] static std::string read_until(int fd, std::string_view end) {
        std::string got;
        char buffer[4096];
        ssize_t n;
        while (!got.ends_with(end) && (n = recv(fd, buffer, sizeof buffer, 0)) > 0) {
            got.append(buffer, static_cast<size_t>(n));
        }
        return got;
    }
    // Raw bytes in, everything until the server closes out.
    [[nodiscard]] std::string raw(std::string_view bytes) const {
        const int fd = connected();
        REQUIRE(send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(bytes.size()));
        std::string got;
        char buffer[4096];
        ssize_t n;
        while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0) {
            got.append(buffer, static_cast<size_t>(n));
        }
        ::close(fd);
        return got;
    }
};

Mono soon(HttpClient& client) { return client.loop().now() + std::chrono::seconds(20); }

}  // namespace

TEST_CASE("a body of any size comes back whole, over one kept-alive connection") {
    World world;
    world.run([&](HttpClient& client) -> Task<void> {
        for (const size_t size : {0UL, 1UL, 1000UL, 70'000UL, 1'000'000UL}) {
            const std::string body(size, 'x');
            Exchange exchange(client);
            const Url url = world.url();
            auto sent = co_await exchange.send(url, {"POST", "/echo", "", body}, soon(client));
            CHECK_MESSAGE(sent.ok(), (sent.ok() ? "" : sent.error().message + sent.error().detail));
            CHECK(exchange.head().status == 200);
            CHECK(exchange.head().header("x-method") == "POST");
            CHECK(exchange.reused() == (size != 0));
            std::string got;
            auto read = co_await exchange.read_all(got, 2 << 20, soon(client));
            CHECK(read.ok());
            CHECK(got == body);
            CHECK(client.idle() == 1);
        }
    });
    CHECK(world.handler.handled == 5);
}

TEST_CASE("a stream's chunks arrive in order and its end is seen") {
    World world;
    world.run([&](HttpClient& client) -> Task<void> {
        Exchange exchange(client);
        const Url url = world.url();
        auto sent = co_await exchange.send(url, {"GET", "/stream", "", ""}, soon(client));
        CHECK(sent.ok());
        std::string got;
        auto read = co_await exchange.read_all(got, 1000, soon(client));
        CHECK(read.ok());
        CHECK(got == "one two three");
    });
}

// More than the socket takes at once: nothing is lost, doubled or out of place.
TEST_CASE("a stream's large chunks arrive whole") {
    World world;
    world.run([&](HttpClient& client) -> Task<void> {
        const Url url = world.url();
        Exchange exchange(client);
        auto sent = co_await exchange.send(url, {"GET", "/flood", "", ""}, soon(client));
        CHECK(sent.ok());
        std::string got;
        auto read = co_await exchange.read_all(got, 4 * kFlood, soon(client));
        CHECK(read.ok());
        CHECK(got == std::string(3 * kFlood, 'x'));
    });
}

TEST_CASE("a stream that is cut is an error, never an end") {
    World world;
    world.run([&](HttpClient& client) -> Task<void> {
        Exchange exchange(client);
        const Url url = world.url();
        auto sent = co_await exchange.send(url, {"GET", "/cut", "", ""}, soon(client));
        CHECK(sent.ok());
        std::string got;
        auto read = co_await exchange.read_all(got, 1000, soon(client));
        CHECK_FALSE(read.ok());
        CHECK(read.error().kind == Kind::upstream_unavailable);
        CHECK(got == "half");
    });
}

TEST_CASE("cancelling an exchange wakes its reader and tells the server") {
    World world;
    world.run([&](HttpClient& client) -> Task<void> {
        Exchange exchange(client);
        const Url url = world.url();
        Timer timer;
        timer.arm(
            client.loop(), client.loop().now() + milliseconds(20),
            [](void* arg) { static_cast<Exchange*>(arg)->cancel(); }, &exchange);
        auto sent = co_await exchange.send(url, {"GET", "/wait", "", ""}, soon(client));
        CHECK_FALSE(sent.ok());
        CHECK(sent.error().kind == Kind::cancelled);
    });
    CHECK(world.handler.cancelled.get_future().get());
}

TEST_CASE("nobody listening is a typed failure") {
    World world;
    world.run([&](HttpClient& client) -> Task<void> {
        Url url = world.url();
        url.port = 1;
        Exchange exchange(client);
        auto sent = co_await exchange.send(url, {"GET", "/", "", ""}, soon(client));
        CHECK_FALSE(sent.ok());
        CHECK(sent.error().kind == Kind::upstream_unavailable);
        CHECK(sent.error().message.find("127.0.0.1:1") != std::string::npos);
    });
}

TEST_CASE("a deadline ends the wait for an answer") {
    World world;
    world.run([&](HttpClient& client) -> Task<void> {
        const Url url = world.url();
        Exchange exchange(client);
        auto sent = co_await exchange.send(url, {"GET", "/wait", "", ""},
                                           client.loop().now() + milliseconds(30));
        CHECK_FALSE(sent.ok());
        CHECK(sent.error().kind == Kind::timeout);
    });
    CHECK(world.handler.cancelled.get_future().get());
}

TEST_CASE("pipelined requests are answered in order") {
    World world;
    const std::string got = world.raw(
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\none"
        "POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n"
        "POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\nthree");
    const size_t one = got.find("\r\n\r\none");
    const size_t two = got.find("\r\n\r\ntwo");
    const size_t three = got.find("\r\n\r\nthree");
    CHECK(one != std::string::npos);
    CHECK(two != std::string::npos);
    CHECK(three != std::string::npos);
    CHECK(one < two);
    CHECK(two < three);
}

// A request whose first bytes came with the one before it has the whole time for its head.
TEST_CASE("a pipelined head may arrive in two parts") {
    World world;
    const int fd = world.connected();
    const auto say = [fd](std::string_view bytes) {
        REQUIRE(send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(bytes.size()));
    };
    say("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nonePOST /b HT");
    CHECK(World::read_until(fd, "one").ends_with("one"));
    // The loop goes round many times before the rest comes.
    world.run([](HttpClient& client) -> Task<void> {
        co_await client.loop().sleep_until(client.loop().now() + milliseconds(30));
    });
    say("TP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\ntwo");
    CHECK(World::read_until(fd, "two").find("200 OK") != std::string::npos);
    ::close(fd);
}

TEST_CASE("framing doubts are refused and the connection closes") {
    World world;
    for (const std::string_view bytes :
         {"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
          "GET /a HTTP/1.1\r\n\r\n", "GET /a HTTP/1.1\nHost: x\n\n", "PRI * HTTP/2.0\r\n\r\n",
          "GET //a HTTP/1.1\r\nHost: x\r\n\r\n",
          "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
        const std::string got = world.raw(bytes);
        CAPTURE(bytes);
        CAPTURE(got);
        CHECK((got.starts_with("HTTP/1.1 4") || got.starts_with("HTTP/1.1 501")));
        CHECK(got.find("Connection: close") != std::string::npos);
    }
    CHECK(world.handler.handled == 0);
}

TEST_CASE("a body beyond the limit is refused before it is read") {
    World world;
    const std::string got =
        world.raw("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n");
    CHECK(got.starts_with("HTTP/1.1 413"));
    CHECK(world.handler.handled == 0);
}

TEST_CASE("100 Continue is said only when the request is admitted") {
    World world;
    const std::string refused = world.raw(
        "POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    CHECK(refused.starts_with("HTTP/1.1 403"));
    CHECK(refused.find("100 Continue") == std::string::npos);
}

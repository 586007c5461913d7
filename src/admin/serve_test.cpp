// The management API behind a real server: a request leaves its loop, is answered by a thread that
// may wait, and comes back.
#include <atomic>
#include <condition_variable>
#include <mutex>

#include "admin/admin_testing.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/loops.h"

namespace belay::admin {
namespace {

using testing::World;

// A store that can be held up, so that requests pile up before it.
class SlowStore final : public governance::EntityStore {
  public:
    explicit SlowStore(testing::MemoryStore& behind) : behind_(behind) {}
    Result<std::vector<governance::Entity>> changes_since(int64_t version, size_t limit) override {
        return behind_.changes_since(version, limit);
    }
    Result<std::vector<governance::Entity>> apply(
        const std::vector<governance::Change>& changes) override {
        std::unique_lock lock(mutex_);
        ++waiting;
        changed_.notify_all();
        changed_.wait(lock, [this] { return !held_; });
        return behind_.apply(changes);
    }
    bool reachable() const override { return true; }

    void hold() { set_held(true); }
    void release() { set_held(false); }
    void wait_until_reached() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return waiting > 0; });
    }

  private:
    void set_held(bool held) {
        const std::lock_guard lock(mutex_);
        held_ = held;
        changed_.notify_all();
    }
    testing::MemoryStore& behind_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool held_ = false;
    int waiting = 0;
};

class Front final : public net::HttpHandler {
  public:
    explicit Front(Management& management) : management_(management) {
        auto master = std::make_shared<governance::Caller>();
        master->is_master = true;
        caller_ = std::move(master);
    }
    net::Task<void> handle(net::HttpRequest& request, net::HttpResponder& reply) override {
        const bool mine = co_await management_.serve(request, reply, caller_);
        if (!mine) {
            co_await reply.send(404, "text/plain", "not the management's");
        }
    }

  private:
    Management& management_;
    governance::CallerPtr caller_;
};

struct Answered {
    int status = 0;
    std::string body;
};

net::Task<void> exchange(net::HttpClient& client, uint16_t port, std::string target,
                         std::string body, Answered& into, std::atomic<int>& left) {
    Url url;
    url.host = "127.0.0.1";
    url.port = port;
    net::Exchange one(client);
    net::Exchange::Request request;
    request.method = body.empty() ? "GET" : "POST";
    request.target = target;
    request.header_lines = "Content-Type: application/json\r\n";
    request.body = body;
    const Mono deadline = client.loop().now() + seconds(30);
    const Result<void> sent = co_await one.send(url, request, deadline);
    if (sent.ok()) {
        into.status = one.head().status;
        const Result<void> read = co_await one.read_all(into.body, 1 << 20, deadline);
        into.status = read.ok() ? into.status : -1;
    }
    left.fetch_sub(1);
    left.notify_all();
}

TEST_CASE("requests are answered from threads that may wait; what does not fit is told to retry") {
    World world;
    SlowStore store(world.store);
    Services services{world.clock, store, world.directory, world.governor, world.queries};
    services.settings = [] { return std::make_shared<const Settings>(); };
    Management management(std::move(services), Management::Bounds{1, 2});
    Front front(management);
    net::Loops loops(2);
    net::HttpServer server(net::ServerLimits{}, front);
    const auto port = server.listen(net::ListenAddress{}, {&loops[0]});
    REQUIRE(port.ok());
    loops.start();
    auto context = std::make_shared<net::ClientContext>(net::ClientOptions());
    std::unique_ptr<net::HttpClient> client;
    loops.run_on(1, [&] { client = std::make_unique<net::HttpClient>(loops[1], context); });
    std::atomic<int> left{0};
    const auto ask = [&](std::string target, std::string body, Answered& into) {
        left.fetch_add(1);
        loops.run_on(1, [&] {
            loops[1].spawn(
                exchange(*client, *port, std::move(target), std::move(body), into, left));
        });
    };
    const auto wait_for = [&](int count) {
        for (int now = left.load(); now != count; now = left.load()) {
            left.wait(now);
        }
    };

    Answered elsewhere;
    ask("/v1/none", "", elsewhere);
    wait_for(0);
    CHECK(elsewhere.status == 404);
    CHECK(elsewhere.body == "not the management's");

    // One in the thread, two in the queue; of the rest each is told at once.
    store.hold();
    std::vector<Answered> answers(8);
    ask("/key/generate", "{}", answers[0]);
    store.wait_until_reached();
    for (size_t i = 1; i < answers.size(); ++i) {
        ask("/key/generate", "{}", answers[i]);
    }
    wait_for(3);
    int busy = 0;
    for (const Answered& answer : answers) {
        busy += answer.status == 503 ? 1 : 0;
    }
    CHECK(busy == 5);
    store.release();
    wait_for(0);
    int made = 0;
    for (const Answered& answer : answers) {
        made += answer.status == 200 ? 1 : 0;
    }
    CHECK(made == 3);
    CHECK(world.directory.count(EntityKind::key) == 3);

    server.close_all();
    loops.run_on(1, [&] { client.reset(); });
    while (server.connections() != 0) {
        loops.run_on(0, [] {});
    }
    loops.stop();
    loops.join();
}

}  // namespace
}  // namespace belay::admin

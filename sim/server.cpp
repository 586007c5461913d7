#include "sim/server.h"

#include <algorithm>
#include <atomic>

#include "net/http_server.h"
#include "net/loops.h"
#include "wire/http.h"

namespace belay::sim {
namespace {

// The waits of one loop's replies, so that they can be ended when the client leaves or the server
// stops. Touched on its loop only.
struct Nap {
    net::Loop* loop = nullptr;
    net::Waiter waiter;
    Nap* next = nullptr;
    Nap** link = nullptr;

    void enter(Nap*& first) {
        next = first;
        link = &first;
        if (next != nullptr) {
            next->link = &next;
        }
        first = this;
    }
    void leave() {
        *link = next;
        if (next != nullptr) {
            next->link = link;
        }
    }
};

struct LoopNaps {
    net::Loop* loop = nullptr;
    Nap* first = nullptr;
};

std::string header_lines(const Headers& headers) {
    std::string lines;
    for (const auto& header : headers) {
        http::write_header(lines, header.name, header.value);
    }
    return lines;
}

Request copy_request(const net::HttpRequest& request) {
    Request r;
    r.method = request.head->method;
    r.target = request.head->target;
    r.headers.reserve(request.head->headers.size());
    for (const auto& header : request.head->headers) {
        r.headers.push_back({std::string(header.name), std::string(header.value)});
    }
    r.body = request.body;
    return r;
}

net::ServerLimits limits() {
    net::ServerLimits l;
    l.body = 64u << 20;  // the world's own limit answers 413 in its own words
    l.head = http::kUpstreamLimits;
    return l;
}

}  // namespace

class Server::Player final : public net::HttpHandler {
  public:
    Player(Scenario scenario, size_t loops)
        : world_(std::move(scenario)), loops_(loops), http_(limits(), *this) {
        for (net::Loop* loop : loops_.all()) {
            naps_.push_back({loop, nullptr});
        }
    }

    ~Player() override {
        stopping_.store(true);
        http_.close_all();
        while (http_.connections() != 0) {
            for (size_t i = 0; i < loops_.size(); ++i) {
                loops_.run_on(i, [this, i] { wake_all(naps_[i]); });
            }
        }
        loops_.stop();
        loops_.join();
    }

    Result<uint16_t> listen(const std::string& host, uint16_t port) {
        const uint16_t bound = TRY(http_.listen({host, port}, loops_.all()));
        loops_.start();
        return bound;
    }

    World& world() { return world_; }

    net::Task<void> handle(net::HttpRequest& request, net::HttpResponder& reply) override {
        const Wall now = system_clock().wall();
        if (world_.benching()) {
            const BenchReply* fast =
                world_.fast(request.method(), request.path, request.header("authorization"), now);
            if (fast != nullptr) {
                if (asks_for_stream(request.body)) {
                    return play_bench(*fast, reply);
                }
                return send_bench(*fast, reply);
            }
        }
        return play(world_.handle(copy_request(request), now, system_clock().mono()), reply,
                    request.method() == "HEAD");
    }

  private:
    static net::Task<void> send_bench(const BenchReply& fast, net::HttpResponder& reply) {
        co_await reply.send_raw(200, fast.header_lines, fast.body);
    }

    // Every wait is awaited in a statement of its own: GCC 12 miscompiles co_await inside
    // conditions and conditional expressions.
    net::Task<void> play_bench(const BenchReply& fast, net::HttpResponder& reply) {
        reply.begin(200, fast.stream_header_lines);
        reply.release_request();
        for (size_t i = 0; i + 1 < fast.events.size(); ++i) {
            if (fast.pause.count() != 0) {
                const bool awake = co_await nap(reply, fast.pause);
                if (!awake) {
                    co_return reply.abort();
                }
            }
            const bool there = co_await reply.write(fast.events[i]);
            if (!there) {
                co_return reply.abort();
            }
        }
        const bool awake = co_await nap(reply, fast.hold);
        if (!awake) {
            co_return reply.abort();
        }
        co_await reply.end(fast.events.back());
    }

    net::Task<void> play(Reply script, net::HttpResponder& reply, bool head_only) {
        const bool awake = co_await nap(reply, script.head_delay);
        if (!awake) {
            co_return reply.abort();
        }
        if (script.before_head != Cut::none) {
            co_await cut(script.before_head, reply);
        } else if (script.streamed) {
            co_await play_stream(script, reply);
        } else if (is_plain(script)) {
            co_await play_plain(script, reply);
        } else {
            co_await play_raw(script, reply, head_only);
        }
    }

    net::Task<void> play_plain(const Reply& script, net::HttpResponder& reply) {
        const std::string body = script.body();
        const std::string lines = header_lines(script.headers);
        for (const auto& part : script.parts) {
            const bool awake = co_await nap(reply, part.delay);
            if (!awake) {
                co_return reply.abort();
            }
        }
        co_await reply.send_raw(script.status, lines, body);
    }

    static bool is_plain(const Reply& script) {
        if (script.write_size != 0 || script.announced) {
            return false;
        }
        for (const auto& part : script.parts) {
            if (part.cut != Cut::none) {
                return false;
            }
        }
        return true;
    }

    net::Task<void> play_stream(const Reply& script, net::HttpResponder& reply) {
        reply.begin(script.status, header_lines(script.headers));
        for (const auto& part : script.parts) {
            if (part.delay.count() != 0) {
                // The head is due even when the first event is not.
                const bool head = co_await reply.write({});
                const bool awake = co_await nap(reply, part.delay);
                if (!head || !awake) {
                    co_return reply.abort();
                }
            }
            const bool there = co_await write_sliced(part.bytes, script.write_size, reply, false);
            if (!there) {
                co_return reply.abort();
            }
            if (part.cut != Cut::none) {
                co_await cut(part.cut, reply);
                co_return;
            }
        }
        co_await reply.end();
    }

    // A body with an announced length that is cut, or that comes in small pieces: the bytes are
    // written as they are, and the connection ends with them.
    net::Task<void> play_raw(const Reply& script, net::HttpResponder& reply, bool head_only) {
        std::string head;
        http::write_status_line(head, script.status);
        head += header_lines(script.headers);
        http::write_header(head, "content-length",
                           std::to_string(script.announced.value_or(script.body().size())));
        head += "Connection: close\r\n\r\n";
        const bool sent = co_await reply.write_raw(head);
        if (!sent || head_only) {
            co_return;
        }
        for (const auto& part : script.parts) {
            const bool awake = co_await nap(reply, part.delay);
            if (!awake) {
                co_return reply.abort();
            }
            const bool there = co_await write_sliced(part.bytes, script.write_size, reply, true);
            if (!there) {
                co_return reply.abort();
            }
            if (part.cut != Cut::none) {
                co_await cut(part.cut, reply);
                co_return;
            }
        }
    }

    static net::Task<bool> write_sliced(std::string_view bytes, size_t size,
                                        net::HttpResponder& reply, bool raw) {
        while (true) {
            const std::string_view slice = size == 0 ? bytes : bytes.substr(0, size);
            bool there = false;
            if (raw) {
                there = co_await reply.write_raw(slice);
            } else {
                there = co_await reply.write(slice);
            }
            bytes.remove_prefix(slice.size());
            if (!there || bytes.empty()) {
                co_return there;
            }
        }
    }

    net::Task<void> cut(Cut how, net::HttpResponder& reply) {
        switch (how) {
            case Cut::none:
                break;
            case Cut::close:
                reply.abort();
                break;
            case Cut::reset:
                reply.reset_connection();
                break;
            case Cut::stall:
                co_await nap(reply, std::chrono::hours(24));
                reply.abort();
                break;
        }
    }

    // Waits; false when the client left or the server stops.
    net::Task<bool> nap(net::HttpResponder& reply, milliseconds how_long) {
        if (how_long.count() == 0) {
            co_return true;
        }
        if (reply.client_gone() || stopping_.load()) {
            co_return false;
        }
        Nap own;
        own.loop = &reply.loop();
        own.enter(naps_of(*own.loop).first);
        reply.on_client_gone(
            [](void* arg) {
                auto* self = static_cast<Nap*>(arg);
                self->loop->wake(self->waiter, net::Wake::cancelled);
            },
            &own);
        const net::Wake wake =
            co_await own.loop->sleep_until(own.loop->now() + how_long, &own.waiter);
        reply.on_client_gone(nullptr, nullptr);
        own.leave();
        co_return wake != net::Wake::cancelled && !reply.client_gone();
    }

    LoopNaps& naps_of(net::Loop& loop) {
        for (auto& naps : naps_) {
            if (naps.loop == &loop) {
                return naps;
            }
        }
        return naps_.front();
    }

    static void wake_all(LoopNaps& naps) {
        for (Nap* nap = naps.first; nap != nullptr; nap = nap->next) {
            naps.loop->wake(nap->waiter, net::Wake::cancelled);
        }
    }

    World world_;
    net::Loops loops_;
    std::vector<LoopNaps> naps_;
    std::atomic<bool> stopping_{false};
    net::HttpServer http_;
};

Server::~Server() = default;

std::string Server::base_url() const { return base_url_; }

World& Server::world() { return player_->world(); }

Result<std::unique_ptr<Server>> start(ServerOptions options) {
    std::unique_ptr<Server> server(new Server());
    server->player_ = std::make_unique<Server::Player>(
        std::move(options.scenario), static_cast<size_t>(std::max(1, options.loops)));
    server->port_ = TRY(server->player_->listen(options.host, options.port));
    server->base_url_ = options.base_url.empty()
                            ? "http://127.0.0.1:" + std::to_string(server->port_)
                            : options.base_url;
    server->player_->world().set_base_url(server->base_url_);
    return server;
}

}  // namespace belay::sim

#include "net/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "net/http_connection.h"

namespace belay::net {
namespace {

struct Bound {
    int fd = -1;
    uint16_t port = 0;
};

Result<Bound> bind_socket(const ListenAddress& address, bool share_port) {
    sockaddr_in v4{};
    sockaddr_in6 v6{};
    sockaddr* where = nullptr;
    socklen_t size = 0;
    const std::string host = address.host == "localhost" ? "127.0.0.1" : address.host;
    if (inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
        v4.sin_family = AF_INET;
        v4.sin_port = htons(address.port);
        where = reinterpret_cast<sockaddr*>(&v4);
        size = sizeof v4;
    } else if (inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1) {
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(address.port);
        where = reinterpret_cast<sockaddr*>(&v6);
        size = sizeof v6;
    } else {
        return caller_error(Kind::invalid_request,
                            "cannot listen on '" + address.host +
                                "': give an IP address such as 127.0.0.1 or 0.0.0.0");
    }
    const int fd = socket(where->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return gateway_error(Kind::internal, "cannot make a socket", std::strerror(errno));
    }
    const int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (share_port) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    }
    if (bind(fd, where, size) != 0 || (share_port && ::listen(fd, 4096) != 0)) {
        const int why = errno;
        ::close(fd);
        const std::string at = host + ":" + std::to_string(address.port);
        if (why == EADDRINUSE) {
            return caller_error(Kind::invalid_request,
                                "cannot listen on " + at +
                                    ": another program already does. Stop it, or choose another "
                                    "port with --port / --auth-port");
        }
        return caller_error(Kind::invalid_request,
                            "cannot listen on " + at + ": " + std::strerror(why));
    }
    sockaddr_storage bound{};
    socklen_t bound_size = sizeof bound;
    getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &bound_size);
    const uint16_t port = bound.ss_family == AF_INET6
                              ? ntohs(reinterpret_cast<sockaddr_in6*>(&bound)->sin6_port)
                              : ntohs(reinterpret_cast<sockaddr_in*>(&bound)->sin_port);
    return Bound{fd, port};
}

}  // namespace

// A listening socket on one loop and the connections it has accepted.
class HttpServer::Listener final : public Watched {
  public:
    Listener(HttpServer& server, Loop& loop, int fd, uint16_t port)
        : server_(server), loop_(loop), fd_(fd), port_(port) {
        loop_.watch(fd_, this, EPOLLIN);
    }
    ~Listener() { close(); }

    void on_events(uint32_t) override {
        // A few at a time, so that other listeners of the port get their share.
        for (int i = 0; i < 16 && fd_ >= 0; ++i) {
            const int fd = accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd < 0) {
                if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                    pause();
                }
                return;
            }
            if (server_.connections_.load() >= server_.limits_.connections) {
                ::close(fd);
                pause();
                return;
            }
            start(fd);
        }
    }

    void stop() {
        close();
        for (HttpConnection* c = first_; c != nullptr;) {
            HttpConnection* following = c->next;
            c->close_if_idle();
            c = following;
        }
    }
    void close_connections() {
        for (HttpConnection* c = first_; c != nullptr;) {
            HttpConnection* following = c->next;
            c->close();
            c = following;
        }
    }
    [[nodiscard]] Loop& loop() { return loop_; }

  private:
    void start(int fd) {
        const int on = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        server_.connections_.fetch_add(1);
        loop_.spawn(serve(std::make_unique<HttpConnection>(server_, loop_, fd, port_)));
    }

    Task<void> serve(std::unique_ptr<HttpConnection> connection) {
        HttpConnection* c = connection.get();
        c->next = first_;
        if (first_ != nullptr) {
            first_->prev = c;
        }
        first_ = c;
        co_await c->serve();
        (c->prev != nullptr ? c->prev->next : first_) = c->next;
        if (c->next != nullptr) {
            c->next->prev = c->prev;
        }
        connection.reset();
        server_.connections_.fetch_sub(1);
    }

    // Out of descriptors: accepting again at once would only spin.
    void pause() {
        loop_.unwatch(fd_);
        retry_.arm(
            loop_, loop_.now() + milliseconds(100),
            [](void* arg) {
                auto* self = static_cast<Listener*>(arg);
                if (self->fd_ >= 0) {
                    self->loop_.watch(self->fd_, self, EPOLLIN);
                }
            },
            this);
    }

    void close() {
        if (fd_ >= 0) {
            loop_.unwatch(fd_);
            ::close(fd_);
            fd_ = -1;
        }
    }

    HttpServer& server_;
    Loop& loop_;
    int fd_;
    uint16_t port_;
    HttpConnection* first_ = nullptr;
    Timer retry_;
};

HttpServer::HttpServer(ServerLimits limits, HttpHandler& handler)
    : limits_(limits), handler_(handler) {}

HttpServer::~HttpServer() = default;

Result<uint16_t> HttpServer::listen(const ListenAddress& address, const std::vector<Loop*>& loops) {
    // SO_REUSEPORT would let a second process of this user share the port unnoticed, so the address
    // is first bound alone.
    if (address.port != 0) {
        const Bound probe = TRY(bind_socket(address, false));
        ::close(probe.fd);
    }
    ListenAddress exact = address;
    for (Loop* loop : loops) {
        const Bound bound = TRY(bind_socket(exact, true));
        exact.port = bound.port;
        listeners_.push_back(std::make_unique<Listener>(*this, *loop, bound.fd, bound.port));
    }
    return exact.port;
}

void HttpServer::stop_accepting() {
    draining_.store(true);
    for (auto& listener : listeners_) {
        Listener* l = listener.get();
        l->loop().post([l] { l->stop(); });
    }
}

void HttpServer::close_all() {
    stop_accepting();
    for (auto& listener : listeners_) {
        Listener* l = listener.get();
        l->loop().post([l] { l->close_connections(); });
    }
}

}  // namespace belay::net

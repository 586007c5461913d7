#pragma once
// The HTTP/1.1 server: accepts, reads a whole request within its limits, hands it to an HttpHandler
// and writes what the handler says. One Server object may listen on several addresses and runs on
// the loops it is given; a connection lives on one loop. It knows nothing of what is served.
//
//   class Hello final : public HttpHandler {
//       Task<void> handle(HttpRequest& request, HttpResponder& reply) override {
//           co_await reply.send(200, "text/plain", "hello");
//       }
//   };
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "net/conn.h"
#include "net/loop.h"
#include "net/task.h"
#include "wire/http.h"

namespace belay::net {

// Bounds of every listener (reliability reference §4.10). Times are absolute, not per byte.
struct ServerLimits {
    http::HeadLimits head = http::kServerLimits;
    size_t body = 32u << 20;               // one request
    size_t bodies_in_flight = 512u << 20;  // all requests of the process together
    milliseconds header_time{10'000};
    milliseconds body_time{60'000};  // plus 1 s for each KiB declared
    milliseconds idle_keep_alive{75'000};
    milliseconds write_stall{60'000};
    size_t connections = 60'000;
};

struct HttpRequest {
    const http::Head* head = nullptr;  // views into the connection's buffer; valid until release()
    std::string_view path;             // of head->target, checked by safe_path
    std::string_view query;
    std::string_view body;  // whole, decoded from chunks; valid until release()
    Mono received{};        // when the first byte of the head was read
    std::string peer;       // "127.0.0.1"; filled on demand by HttpResponder::peer()
    uint16_t local_port = 0;

    [[nodiscard]] std::string_view method() const { return head->method; }
    [[nodiscard]] std::string_view header(std::string_view name) const {
        return head->header(name);
    }
};

class HttpConnection;

// How a handler answers. Exactly one of send() or begin()…end()/abort() per request.
class HttpResponder {
  public:
    explicit HttpResponder(HttpConnection& connection) : connection_(connection) {}
    // A whole reply. Adds Date, Content-Length and Connection. False when the client is gone.
    // `more` is header lines already laid out ("Name: value\r\n"...).
    Task<bool> send(int status, std::string_view content_type, std::string_view body,
                    std::string_view more = {});
    Task<bool> send(int status, const std::vector<std::pair<std::string, std::string>>& headers,
                    std::string_view body);
    // A reply whose header lines ("Name: value\r\n"...) are already laid out in `header_lines`.
    // Written without a coroutine frame when the socket takes it at once.
    Task<bool> send_raw(int status, std::string_view header_lines, std::string_view body);

    // A streamed reply (chunked). begin() writes nothing yet: the head leaves with the first
    // write().
    void begin(int status, std::string header_lines);
    Task<bool> write(std::string_view data);  // one chunk, flushed; false when the client is gone
    // The same without waiting: true when the socket took all of it. What it did not take is kept,
    // and must be written by write_rest().
    [[nodiscard]] bool write_now(std::string_view data);
    Task<bool> write_rest();
    Task<bool> end(std::string_view data = {});  // a chunk if there is data, then the last one
    void abort();                                // ends the connection without the last chunk

    // Raw bytes after which the connection is closed: for the simulator's faults only.
    Task<bool> write_raw(std::string_view bytes);
    void close_after();       // close the connection when this reply is done
    void reset_connection();  // RST instead of FIN

    [[nodiscard]] bool begun() const;  // some byte of the reply has been handed to the socket
    [[nodiscard]] bool client_gone() const;
    // Calls `callback(arg)` once, from the loop, when the client goes away while the handler runs.
    void on_client_gone(void (*callback)(void*), void* arg);
    // Frees the request's bytes early (its views die). Long streams call this once they are
    // committed.
    void release_request();
    [[nodiscard]] Loop& loop();
    [[nodiscard]] std::string peer() const;

  private:
    HttpConnection& connection_;
};

class HttpHandler {
  public:
    virtual ~HttpHandler() = default;
    // Asked when the head is read and before any body byte is (and before "100 Continue" is said).
    // A status other than 0 is answered with `body` and the connection closes if a body was
    // announced.
    struct Refusal {
        int status = 0;
        std::string content_type = "application/json";
        std::string body;
        std::vector<std::pair<std::string, std::string>> headers;
    };
    virtual std::optional<Refusal> admit(const http::Head& head, std::string_view path,
                                         uint16_t local_port) {
        (void)head, (void)path, (void)local_port;
        return std::nullopt;
    }
    virtual Task<void> handle(HttpRequest& request, HttpResponder& reply) = 0;
};

// A listening address. Port 0 picks a free one.
struct ListenAddress {
    std::string host = "127.0.0.1";
    uint16_t port = 0;
};

class HttpServer {
  public:
    HttpServer(ServerLimits limits, HttpHandler& handler);
    ~HttpServer();
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    // Binds `address` once per loop (SO_REUSEPORT). Fails with a clear message when the port is
    // taken. The loops need not run yet; every loop must outlive the server's connections.
    Result<uint16_t> listen(const ListenAddress& address, const std::vector<Loop*>& loops);
    // Stops accepting and closes idle connections; running requests go on. Any thread.
    void stop_accepting();
    // Closes every connection, running requests included. Any thread. Wait for connections() == 0
    // before the loops are stopped.
    void close_all();
    [[nodiscard]] size_t connections() const { return connections_.load(); }
    [[nodiscard]] size_t requests_in_flight() const { return in_flight_.load(); }

  private:
    friend class HttpConnection;
    friend class HttpResponder;
    class Listener;
    ServerLimits limits_;
    HttpHandler& handler_;
    std::vector<std::unique_ptr<Listener>> listeners_;
    std::atomic<size_t> connections_{0};
    std::atomic<size_t> in_flight_{0};
    std::atomic<size_t> body_bytes_{0};
    std::atomic<bool> draining_{false};
};

}  // namespace belay::net

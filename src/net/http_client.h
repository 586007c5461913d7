#pragma once
// The HTTP/1.1 client: one per loop, with a pool of kept-alive connections per origin. An Exchange
// is one request and its reply, read piece by piece; it never retries, never follows redirects and
// knows nothing of what it carries. ClientContext is what all loops share: TLS settings, resolver,
// proxy.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "net/conn.h"
#include "net/fetch.h"
#include "net/loop.h"
#include "net/resolver.h"
#include "net/task.h"
#include "wire/encoding.h"
#include "wire/http.h"
#include "wire/url.h"

namespace belay::net {

struct ClientOptions {
    milliseconds resolve{5'000};
    milliseconds connect{3'000};
    milliseconds tls{5'000};
    milliseconds idle{25'000};     // how long an unused connection is kept
    size_t idle_per_origin = 512;  // per loop
    http::HeadLimits head = http::kUpstreamLimits;
    std::string ca_file;                // trusted beside the system's
    std::optional<Url> https_proxy;     // for https upstreams, by CONNECT
    std::optional<Url> http_proxy;      // for http upstreams, by CONNECT too
    std::vector<std::string> no_proxy;  // host suffixes; "*" = none
};

// Shared by all loops; thread-safe.
class ClientContext {
  public:
    explicit ClientContext(ClientOptions options);
    ~ClientContext();
    [[nodiscard]] const ClientOptions& options() const { return options_; }
    [[nodiscard]] Resolver& resolver() { return resolver_; }
    // Made at the first use: reading the system's certificates costs milliseconds and memory.
    // nullptr when no certificate can be trusted.
    [[nodiscard]] ssl_ctx_st* tls();
    [[nodiscard]] const Url* proxy_for(const Url& url) const;

  private:
    ClientOptions options_;
    Resolver resolver_;
    std::mutex mutex_;
    ssl_ctx_st* tls_ = nullptr;
    bool tried_tls_ = false;
};

class HttpClient {
  public:
    HttpClient(Loop& loop, std::shared_ptr<ClientContext> context);
    ~HttpClient();
    HttpClient(const HttpClient&) = delete;
    HttpClient& operator=(const HttpClient&) = delete;

    [[nodiscard]] Loop& loop() { return loop_; }
    [[nodiscard]] ClientContext& context() { return *context_; }
    [[nodiscard]] size_t idle() const;

  private:
    friend class Exchange;
    struct Pool;
    struct Idle;
    [[nodiscard]] Pool& pool_for(const Url& url);
    [[nodiscard]] std::unique_ptr<Conn> take(Pool& pool);
    void give_back(Pool& pool, std::unique_ptr<Conn> conn);
    Task<Result<std::unique_ptr<Conn>>> connect(const Url& url, Pool& pool, Mono deadline,
                                                bool& cancelled);

    Loop& loop_;
    std::shared_ptr<ClientContext> context_;
    std::vector<std::unique_ptr<Pool>> pools_;
};

// Error codes that tell the relay more than the kind does.
inline constexpr std::string_view kStaleConnection = "stale_connection";

class Exchange {
  public:
    explicit Exchange(HttpClient& client) : client_(client) {}
    ~Exchange();  // an unfinished exchange closes its connection
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;

    struct Request {
        std::string_view method = "POST";
        std::string_view target;        // path and query
        std::string_view header_lines;  // "Name: value\r\n"…; Host and Content-Length are added
        std::string_view body;
        bool fresh_connection = false;  // not one from the pool
    };
    // Connects (or reuses), sends, and returns when the reply's head is here. `url` and the views
    // must live until then. Errors: upstream_unavailable (connect, TLS, reset; code
    // kStaleConnection when a reused connection died before a reply byte), timeout,
    // upstream_malformed, cancelled.
    Task<Result<void>> send(const Url& url, Request request, Mono deadline);
    [[nodiscard]] const http::Head& head() const { return head_; }
    [[nodiscard]] Mono first_byte_at() const { return first_byte_at_; }
    [[nodiscard]] bool reused() const { return reused_; }

    // The next piece of the body, decoded from chunks and gzip; empty at its end. The view is valid
    // until the caller suspends. A body that ends early is upstream_unavailable.
    Task<Result<std::string_view>> read(Mono deadline);
    // The rest of the body, at most `max` bytes (else too_large).
    Task<Result<void>> read_all(std::string& into, size_t max, Mono deadline);
    // The whole body, when all of it has come with the head and needs no decoding: no copy, no
    // wait. The exchange is over then; the view lives as long as the exchange.
    [[nodiscard]] std::optional<std::string_view> take_whole();
    // Frees the head's text (its views die). For streams that stay open long.
    void release_head();

    // Ends it now; whoever waits gets Kind::cancelled. Loop thread.
    void cancel();
    [[nodiscard]] bool cancelled() const { return cancelled_; }

  private:
    [[nodiscard]] bool write_now(const Request& request, std::string_view& rest);
    [[nodiscard]] http::Parse parse_head(std::string_view method, http::ParseError& error);
    [[nodiscard]] Result<void> begin_body();
    [[nodiscard]] Result<std::string_view> decode(char* data, size_t size);
    [[nodiscard]] Error broken(std::string message, bool before_reply) const;
    void finish(bool reusable);

    HttpClient& client_;
    HttpClient::Pool* pool_ = nullptr;
    std::unique_ptr<Conn> conn_;
    std::string buffer_;   // the head and what came with it
    size_t leftover_ = 0;  // where unread body bytes begin in buffer_; size() when none
    http::Head head_;
    http::ChunkedReader chunks_;
    std::unique_ptr<Inflater> inflater_;
    std::string inflated_;
    uint64_t left_ = 0;  // of a sized body
    Mono first_byte_at_{};
    bool reused_ = false;
    bool ended_ = false;
    bool reusable_ = false;
    bool cancelled_ = false;
};

// net::Fetcher on one loop's client.
class ClientFetcher final : public Fetcher {
  public:
    explicit ClientFetcher(HttpClient& client) : client_(client) {}
    Task<Result<FetchReply>> fetch(FetchRequest request) override;

  private:
    HttpClient& client_;
};

}  // namespace belay::net

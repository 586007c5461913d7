#include "net/http_client.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstring>

#include "net/dial.h"

namespace belay::net {
namespace {

constexpr size_t kInlineBody = 64 << 10;  // a larger body is sent without copying it

int pool_index() {
    static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}

// The last TLS session of an origin, kept to be resumed.
struct SessionSlot {
    SSL_SESSION* session = nullptr;
    ~SessionSlot() {
        if (session != nullptr) {
            SSL_SESSION_free(session);
        }
    }
};

int keep_session(SSL* ssl, SSL_SESSION* session) {
    auto* slot = static_cast<SessionSlot*>(SSL_get_ex_data(ssl, pool_index()));
    if (slot == nullptr) {
        return 0;
    }
    if (slot->session != nullptr) {
        SSL_SESSION_free(slot->session);
    }
    slot->session = session;
    return 1;  // the reference is ours now
}

// "Content-Length: n" and the end of the head.
class ContentLength {
  public:
    explicit ContentLength(uint64_t n) {
        kName.copy(text_, kName.size());
        char* const end = std::to_chars(text_ + kName.size(), text_ + sizeof text_ - 4, n).ptr;
        std::memcpy(end, "\r\n\r\n", 4);
        size_ = static_cast<size_t>(end + 4 - text_);
    }
    [[nodiscard]] std::string_view lines() const { return {text_, size_}; }

  private:
    static constexpr std::string_view kName = "Content-Length: ";
    char text_[kName.size() + 24];
    size_t size_;
};

}  // namespace

// --- ClientContext

ClientContext::ClientContext(ClientOptions options) : options_(std::move(options)) {}

ClientContext::~ClientContext() {
    if (tls_ != nullptr) {
        SSL_CTX_free(tls_);
    }
}

ssl_ctx_st* ClientContext::tls() {
    std::lock_guard lock(mutex_);
    if (tried_tls_) {
        return tls_;
    }
    tried_tls_ = true;
    SSL_CTX* context = SSL_CTX_new(TLS_client_method());
    if (context == nullptr) {
        return nullptr;
    }
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(context,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(context, &keep_session);
    static constexpr unsigned char kAlpn[] = "\x08http/1.1";
    SSL_CTX_set_alpn_protos(context, kAlpn, sizeof kAlpn - 1);
    bool trusted = SSL_CTX_set_default_verify_paths(context) == 1;
    if (!options_.ca_file.empty()) {
        trusted = SSL_CTX_load_verify_locations(context, options_.ca_file.c_str(), nullptr) == 1 ||
                  trusted;
    }
    ERR_clear_error();
    if (!trusted) {
        SSL_CTX_free(context);
        return nullptr;
    }
    tls_ = context;
    return tls_;
}

const Url* ClientContext::proxy_for(const Url& url) const {
    const auto& proxy = url.tls ? options_.https_proxy : options_.http_proxy;
    if (!proxy || is_loopback_host(url.host)) {
        return nullptr;
    }
    for (std::string_view suffix : options_.no_proxy) {
        if (suffix == "*") {
            return nullptr;
        }
        while (!suffix.empty() && suffix.front() == '.') {
            suffix.remove_prefix(1);
        }
        if (!suffix.empty() && url.host.ends_with(suffix) &&
            (url.host.size() == suffix.size() ||
             url.host[url.host.size() - suffix.size() - 1] == '.')) {
            return nullptr;
        }
    }
    return &*proxy;
}

// --- the pool

struct HttpClient::Idle {
    std::unique_ptr<Conn> conn;
    Pool* pool = nullptr;
    Timer timer;
    void drop();
};

struct HttpClient::Pool {
    Url url;               // origin only
    std::string head_end;  // " HTTP/1.1\r\nHost: ...\r\n": what follows every request's target
    SessionSlot session;
    std::vector<std::unique_ptr<Idle>> idle;   // newest last
    std::vector<std::unique_ptr<Idle>> spare;  // holders without a connection, for reuse
};

void HttpClient::Idle::drop() {
    for (size_t i = 0; i < pool->idle.size(); ++i) {
        if (pool->idle[i].get() == this) {
            auto self = std::move(pool->idle[i]);
            pool->idle.erase(pool->idle.begin() + static_cast<ptrdiff_t>(i));
            // Called from the connection's own event: it must not die under its own feet.
            Conn* dying = self->conn.release();
            dying->close();
            dying->loop().post([dying] { delete dying; });
            return;
        }
    }
}

HttpClient::HttpClient(Loop& loop, std::shared_ptr<ClientContext> context)
    : loop_(loop), context_(std::move(context)) {}

HttpClient::~HttpClient() = default;

size_t HttpClient::idle() const {
    size_t n = 0;
    for (const auto& pool : pools_) {
        n += pool->idle.size();
    }
    return n;
}

HttpClient::Pool& HttpClient::pool_for(const Url& url) {
    for (auto& pool : pools_) {
        if (pool->url.port == url.port && pool->url.tls == url.tls && pool->url.host == url.host) {
            return *pool;
        }
    }
    auto pool = std::make_unique<Pool>();
    pool->url.tls = url.tls;
    pool->url.host = url.host;
    pool->url.port = url.port;
    pool->head_end = " HTTP/1.1\r\nHost: " + url.host_header() + "\r\n";
    pools_.push_back(std::move(pool));
    return *pools_.back();
}

std::unique_ptr<Conn> HttpClient::take(Pool& pool) {
    while (!pool.idle.empty()) {
        auto holder = std::move(pool.idle.back());
        pool.idle.pop_back();
        auto conn = std::move(holder->conn);
        conn->on_peer_gone(nullptr, nullptr);
        holder->timer.disarm();
        if (pool.spare.size() < 64) {
            pool.spare.push_back(std::move(holder));
        }
        if (conn->closed() || conn->peer_gone()) {
            continue;
        }
        if (conn->maybe_readable()) {
            // Nothing may arrive on an idle connection but TLS housekeeping.
            char byte;
            if (conn->try_read(&byte, 1) != Conn::kBlocked) {
                continue;
            }
        }
        return conn;
    }
    return nullptr;
}

void HttpClient::give_back(Pool& pool, std::unique_ptr<Conn> conn) {
    if (pool.idle.size() >= context_->options().idle_per_origin || conn->peer_gone()) {
        return;
    }
    std::unique_ptr<Idle> holder;
    if (pool.spare.empty()) {
        holder = std::make_unique<Idle>();
    } else {
        holder = std::move(pool.spare.back());
        pool.spare.pop_back();
    }
    holder->pool = &pool;
    holder->conn = std::move(conn);
    Idle* raw = holder.get();
    const auto drop = [](void* arg) { static_cast<Idle*>(arg)->drop(); };
    holder->timer.arm(loop_, loop_.now() + context_->options().idle, drop, raw);
    pool.idle.push_back(std::move(holder));
    raw->conn->on_peer_gone(drop, raw);
}

// --- connecting

Task<Result<std::unique_ptr<Conn>>> HttpClient::connect(const Url& url, Pool& pool, Mono deadline,
                                                        bool& cancelled) {
    const Url* proxy = context_->proxy_for(url);
    const Url& next = proxy != nullptr ? *proxy : url;
    const DialLimits limits{context_->options().resolve, context_->options().connect};
    auto tcp = co_await dial(loop_, context_->resolver(), next.host, next.port, limits, deadline,
                             &cancelled);
    if (!tcp) {
        co_return std::move(tcp).error();
    }
    auto conn = std::move(*tcp);
    if (proxy != nullptr) {
        const std::string where =
            (url.host.find(':') != std::string::npos ? "[" + url.host + "]" : url.host) + ":" +
            std::to_string(url.port);
        const std::string hello = "CONNECT " + where + " HTTP/1.1\r\nHost: " + where + "\r\n\r\n";
        if (co_await conn->write_all(hello, deadline) != Wake::ready) {
            co_return upstream_error(Kind::upstream_unavailable, "the proxy closed the connection");
        }
        std::string reply;
        http::Head head;
        http::ParseError error;
        while (true) {
            char byte;  // one at a time: what follows the head belongs to the tunnel
            const ssize_t n = conn->try_read(&byte, 1);
            if (n == Conn::kBlocked) {
                if (co_await conn->readable(deadline) != Wake::ready) {
                    co_return upstream_error(Kind::timeout, "the proxy did not answer");
                }
                continue;
            }
            if (n <= 0) {
                co_return upstream_error(Kind::upstream_unavailable,
                                         "the proxy closed the connection");
            }
            reply.push_back(byte);
            if (!reply.ends_with("\r\n\r\n") && reply.size() < 8192) {
                continue;
            }
            if (http::parse_response(reply, http::kUpstreamLimits, "CONNECT", head, error) !=
                    http::Parse::done ||
                head.status / 100 != 2) {
                co_return upstream_error(Kind::upstream_unavailable,
                                         "the proxy refused to connect to " + url.host);
            }
            break;
        }
    }
    if (url.tls) {
        ssl_ctx_st* tls = context_->tls();
        if (tls == nullptr) {
            co_return gateway_error(Kind::upstream_unavailable,
                                    "no trusted certificates were found on this machine, so no "
                                    "https upstream can be used: install ca-certificates or set "
                                    "SSL_CERT_FILE");
        }
        auto done =
            co_await conn->start_tls(tls, url.host, pool.session.session,
                                     std::min(deadline, loop_.now() + context_->options().tls));
        if (!done) {
            co_return std::move(done).error();
        }
        SSL_set_ex_data(conn->ssl(), pool_index(), &pool.session);
    }
    co_return conn;
}

// --- Exchange

Exchange::~Exchange() { finish(false); }

void Exchange::finish(bool reusable) {
    if (conn_ == nullptr) {
        return;
    }
    if (reusable && pool_ != nullptr) {
        client_.give_back(*pool_, std::move(conn_));
    }
    conn_.reset();
}

void Exchange::cancel() {
    cancelled_ = true;
    if (conn_ != nullptr) {
        conn_->close();
    }
}

Error Exchange::broken(std::string message, bool before_reply) const {
    if (cancelled_) {
        return upstream_error(Kind::cancelled, "cancelled");
    }
    Error error = upstream_error(Kind::upstream_unavailable, std::move(message));
    if (before_reply && reused_) {
        error.code = kStaleConnection;
    }
    return error;
}

Task<Result<void>> Exchange::send(const Url& url, Request request, Mono deadline) {
    pool_ = &client_.pool_for(url);
    conn_ = request.fresh_connection ? nullptr : client_.take(*pool_);
    reused_ = conn_ != nullptr;
    if (!reused_) {
        auto connected = co_await client_.connect(url, *pool_, deadline, cancelled_);
        if (cancelled_) {
            co_return upstream_error(Kind::cancelled, "cancelled");
        }
        if (!connected) {
            co_return std::move(connected).error();
        }
        conn_ = std::move(*connected);
    }
    Wake sent = Wake::ready;
    if (std::string_view body; !write_now(request, body)) {
        sent = co_await conn_->write_all(buffer_, deadline);
        if (sent == Wake::ready && !body.empty()) {
            sent = co_await conn_->write_all(body, deadline);
        }
    }
    if (sent == Wake::timeout) {
        finish(false);
        co_return upstream_error(Kind::timeout, "the upstream did not take the request in time");
    }
    // A failed write may still have an answer behind it (an early 4xx), so the reply is looked for.
    if (sent == Wake::cancelled && (cancelled_ || conn_->closed())) {
        finish(false);
        co_return broken("the upstream closed the connection", true);
    }
    buffer_.clear();
    first_byte_at_ = Mono{};
    head_.headers.reserve(24);  // grown once: upstreams send a dozen or two
    while (true) {
        const ssize_t n = conn_->read_if_ready(client_.loop_.scratch(), Loop::kScratch);
        if (n == Conn::kBlocked) {
            const Wake wake = co_await conn_->readable(deadline);
            if (wake == Wake::ready) {
                continue;
            }
            finish(false);
            if (wake == Wake::timeout) {
                co_return upstream_error(Kind::timeout, "the upstream did not answer in time");
            }
            co_return broken("the connection was closed", buffer_.empty());
        }
        if (n <= 0) {
            const bool nothing = buffer_.empty();
            finish(false);
            co_return broken("the upstream closed the connection before it answered", nothing);
        }
        if (buffer_.empty() && first_byte_at_ == Mono{}) {
            first_byte_at_ = client_.loop_.now();
        }
        buffer_.append(client_.loop_.scratch(), static_cast<size_t>(n));
        http::ParseError error;
        const auto parsed = parse_head(request.method, error);
        if (parsed == http::Parse::incomplete) {
            continue;
        }
        if (parsed == http::Parse::bad || head_.status == 101) {
            finish(false);
            co_return upstream_error(Kind::upstream_malformed,
                                     "the upstream's answer is not valid HTTP",
                                     std::string(error.reason));
        }
        co_return begin_body();
    }
}

// Writes the request piece by piece, without laying it out first. What the socket did not take is
// left in buffer_ and, of a large body, in `rest`.
bool Exchange::write_now(const Request& request, std::string_view& rest) {
    const bool sized = !request.body.empty() || request.method == "POST";
    std::string_view body = request.body;
    ContentLength length(body.size());
    const std::array<std::string_view, 6> head = {
        request.method,       " ",
        request.target,       pool_->head_end,
        request.header_lines, sized ? length.lines() : std::string_view("\r\n")};
    size_t taken = 0;
    if (!conn_->is_tls()) {
        std::array<iovec, head.size() + 1> parts;
        size_t whole = body.size();
        for (size_t i = 0; i < head.size(); ++i) {
            parts[i] = {const_cast<char*>(head[i].data()), head[i].size()};
            whole += head[i].size();
        }
        parts.back() = {const_cast<char*>(body.data()), body.size()};
        taken =
            static_cast<size_t>(std::max<ssize_t>(0, conn_->try_write(parts.data(), parts.size())));
        if (taken == whole) {
            return true;
        }
    }
    buffer_.clear();
    size_t size = 0;
    for (const std::string_view part : head) {
        size += part.size();
    }
    const bool copy_body = body.size() <= kInlineBody;
    buffer_.reserve(size + (copy_body ? body.size() : 0));
    for (const std::string_view part : head) {
        buffer_ += part;
    }
    if (copy_body) {
        buffer_ += std::exchange(body, {});
    }
    const size_t of_buffer = std::min(taken, buffer_.size());
    buffer_.erase(0, of_buffer);
    body.remove_prefix(taken - of_buffer);
    rest = body;
    return false;
}

// The head of the reply, behind any interim ones.
http::Parse Exchange::parse_head(std::string_view method, http::ParseError& error) {
    while (true) {
        const auto parsed =
            http::parse_response(buffer_, client_.context_->options().head, method, head_, error);
        if (parsed != http::Parse::done || head_.status >= 200 || head_.status == 101) {
            return parsed;
        }
        buffer_.erase(0, head_.size);  // 100 Continue, 103 Early Hints
    }
}

Result<void> Exchange::begin_body() {
    leftover_ = head_.size;
    chunks_.reset();
    left_ = head_.content_length;
    reusable_ = head_.keep_alive && head_.body != http::BodyKind::until_close;
    ended_ =
        head_.body == http::BodyKind::none || (head_.body == http::BodyKind::length && left_ == 0);
    const std::string_view coding = head_.header("content-encoding");
    if (!coding.empty() && !http::iequals(coding, "identity")) {
        if (http::iequals(coding, "gzip") || http::iequals(coding, "x-gzip") ||
            http::iequals(coding, "deflate")) {
            inflater_ = std::make_unique<Inflater>();
        } else {
            finish(false);
            return upstream_error(Kind::upstream_malformed,
                                  "the upstream used a content coding that was not asked for");
        }
    }
    return {};
}

// Body bytes out of raw ones, moved together in place: the result is one view into `data`.
Result<std::string_view> Exchange::decode(char* data, size_t size) {
    std::string_view body;
    switch (head_.body) {
        case http::BodyKind::none:
            break;
        case http::BodyKind::until_close:
            body = {data, size};
            break;
        case http::BodyKind::length: {
            const size_t take = static_cast<size_t>(std::min<uint64_t>(left_, size));
            body = {data, take};
            left_ -= take;
            if (left_ == 0) {
                ended_ = true;
                reusable_ = reusable_ && take == size;
            }
            break;
        }
        case http::BodyKind::chunked: {
            const auto packed = chunks_.pack(data, size);
            if (packed.state == http::ChunkedReader::State::bad) {
                return upstream_error(Kind::upstream_malformed,
                                      "the upstream's chunked body is malformed");
            }
            if (packed.state == http::ChunkedReader::State::done) {
                ended_ = true;
                reusable_ = reusable_ && packed.consumed == size;
            }
            body = {data, packed.body};
            break;
        }
    }
    if (inflater_ != nullptr && !body.empty()) {
        inflated_.clear();
        TRY(inflater_->feed(body, inflated_));
        body = inflated_;
    }
    return body;
}

Task<Result<std::string_view>> Exchange::read(Mono deadline) {
    while (true) {
        if (leftover_ < buffer_.size()) {
            const size_t from = std::exchange(leftover_, buffer_.size());
            auto body = decode(buffer_.data() + from, buffer_.size() - from);
            if (!body || !body->empty()) {
                co_return body;
            }
        }
        if (ended_ || conn_ == nullptr) {
            finish(ended_ && reusable_);
            if (inflater_ != nullptr && !inflater_->finished() && ended_) {
                co_return upstream_error(Kind::upstream_malformed,
                                         "the upstream's compressed body is cut short");
            }
            co_return std::string_view();
        }
        const ssize_t n = conn_->read_if_ready(client_.loop_.scratch(), Loop::kScratch);
        if (n == Conn::kBlocked) {
            const Wake wake = co_await conn_->readable(deadline);
            if (wake == Wake::ready) {
                continue;
            }
            finish(false);
            if (wake == Wake::timeout) {
                co_return upstream_error(Kind::timeout, "the upstream went silent");
            }
            co_return broken("the connection was closed", false);
        }
        if (n <= 0) {
            const bool closed_is_end = n == 0 && head_.body == http::BodyKind::until_close;
            finish(false);
            if (!closed_is_end) {
                co_return broken("the upstream closed the connection in the middle of its answer",
                                 false);
            }
            ended_ = true;
            co_return std::string_view();
        }
        auto body = decode(client_.loop_.scratch(), static_cast<size_t>(n));
        if (!body || !body->empty()) {
            co_return body;
        }
    }
}

Task<Result<void>> Exchange::read_all(std::string& into, size_t max, Mono deadline) {
    if (head_.body == http::BodyKind::length && head_.content_length <= max) {
        into.reserve(into.size() + static_cast<size_t>(head_.content_length));
    }
    while (true) {
        auto piece = co_await read(deadline);
        if (!piece) {
            co_return std::move(piece).error();
        }
        if (piece->empty()) {
            co_return Result<void>();
        }
        if (into.size() + piece->size() > max) {
            finish(false);
            co_return upstream_error(Kind::too_large, "the upstream's answer is too large");
        }
        into.append(*piece);
    }
}

std::optional<std::string_view> Exchange::take_whole() {
    const size_t have = buffer_.size() - leftover_;
    if (head_.body != http::BodyKind::length || inflater_ != nullptr || have != left_) {
        return std::nullopt;
    }
    const std::string_view body = std::string_view(buffer_).substr(leftover_);
    leftover_ = buffer_.size();
    left_ = 0;
    ended_ = true;
    finish(reusable_);
    return body;
}

void Exchange::release_head() {
    if (leftover_ >= buffer_.size()) {
        std::string().swap(buffer_);
        leftover_ = 0;
    }
    const auto body = head_.body;
    head_ = http::Head();
    head_.body = body;
}

// --- ClientFetcher

Task<Result<FetchReply>> ClientFetcher::fetch(FetchRequest request) {
    CO_TRY_ASSIGN(const Url url, parse_url(request.url));
    std::string lines;
    for (const auto& [name, value] : request.headers) {
        http::write_header(lines, name, value);
    }
    const std::string target = url.target();
    const Mono deadline = client_.loop().now() + request.timeout;
    for (int attempt = 0;; ++attempt) {
        Exchange exchange(client_);
        auto sent = co_await exchange.send(
            url, {request.method, target, lines, request.body, attempt != 0}, deadline);
        if (!sent) {
            if (sent.error().code == kStaleConnection && attempt == 0) {
                continue;
            }
            co_return std::move(sent).error();
        }
        FetchReply reply;
        reply.status = exchange.head().status;
        for (const auto& h : exchange.head().headers) {
            reply.headers.emplace_back(h.name, h.value);
        }
        CO_TRY(co_await exchange.read_all(reply.body, request.body_max, deadline));
        co_return reply;
    }
}

}  // namespace belay::net

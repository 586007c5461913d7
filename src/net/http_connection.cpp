#include "net/http_connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <ctime>

#include "wire/json.h"
#include "wire/url.h"

namespace belay::net {
namespace {

// "Date: ...\r\n", made once a second per thread.
std::string_view date_line() {
    thread_local std::time_t made = 0;
    thread_local char line[64];
    thread_local size_t size = 0;
    const std::time_t now = std::time(nullptr);
    if (now != made) {
        std::tm tm{};
        gmtime_r(&now, &tm);
        size = std::strftime(line, sizeof line, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
        made = now;
    }
    return {line, size};
}

constexpr size_t kHeadRoom = 160;  // for what append_head() and its callers add
constexpr size_t kKeepBuffer = 4 << 10;

std::string error_body(int status, std::string_view reason) {
    std::string body = R"({"error":{"message":)";
    json::write_string(body, reason);
    body += R"(,"type":"invalid_request_error","param":null,"code":")" + std::to_string(status) +
            R"("}})";
    return body;
}

// Empties it and gives its memory back.
void release(std::string& buffer) {
    if (buffer.capacity() > std::string().capacity()) {
        std::string().swap(buffer);
    } else {
        buffer.clear();
    }
}

void shrink(std::string& buffer) {
    if (buffer.capacity() > kKeepBuffer) {
        release(buffer);
    } else {
        buffer.clear();
    }
}

void append_number(std::string& out, uint64_t n) {
    char digits[20];
    size_t i = sizeof digits;
    do {
        digits[--i] = static_cast<char>('0' + n % 10);
        n /= 10;
    } while (n != 0);
    out.append(digits + i, sizeof digits - i);
}

}  // namespace

HttpConnection::HttpConnection(HttpServer& server, Loop& loop, int fd, uint16_t local_port)
    : server_(server), loop_(loop), conn_(loop, fd), local_port_(local_port) {}

HttpConnection::~HttpConnection() = default;

void HttpConnection::close_if_idle() {
    if (idle_) {
        conn_.close();
    }
}

Task<void> HttpConnection::serve() {
    Mono until{};
    http::ParseError error;
    while (true) {
        const Got got_head = take_head(until, error);
        if (got_head == Got::nothing) {
            const Wake wake = co_await conn_.readable(until);
            if (wake == Wake::ready) {
                continue;
            }
            if (wake == Wake::timeout && !in_.empty()) {
                co_await refuse(408, "the request head did not arrive in time");
            }
            break;
        }
        if (got_head == Got::refused) {
            co_await refuse(error.status, error.reason);
        }
        if (got_head != Got::yes) {
            break;
        }
        until = Mono{};
        HttpRequest request;
        if (!is_admitted(request)) {
            const Got after = co_await answer_refusal();
            if (after != Got::yes) {
                break;
            }
            continue;
        }
        if (!take_body(request)) {
            const Got got = co_await read_body(request);
            if (got != Got::yes) {
                break;
            }
        }
        request.path = head_.target.substr(0, path_size_);
        if (path_size_ < head_.target.size()) {
            request.query = head_.target.substr(path_size_ + 1);
        }
        server_.in_flight_.fetch_add(1, std::memory_order_relaxed);
        HttpResponder responder(*this);
        co_await server_.handler_.handle(request, responder);
        conn_.on_peer_gone(nullptr, nullptr);
        if (!answered_) {
            co_await answer_nothing();
        }
        server_.in_flight_.fetch_sub(1, std::memory_order_relaxed);
        if (!keep_alive_ || gone_ || conn_.closed()) {
            break;
        }
        finish_request();
    }
    if (counted_body_ != 0) {
        server_.body_bytes_.fetch_sub(std::exchange(counted_body_, 0));
    }
    conn_.close();
}

bool HttpConnection::is_admitted(HttpRequest& request) {
    request.received = loop_.now();
    request.local_port = local_port_;
    request.head = &head_;
    begun_ = answered_ = streaming_ = gone_ = false;
    keep_alive_ = head_.keep_alive && !server_.draining_.load(std::memory_order_relaxed);
    auto path = safe_path(head_.target);
    if (!path) {
        refusal_ = std::make_unique<HttpHandler::Refusal>();
        refusal_->status = 400;
        refusal_->body = error_body(400, path.error().message);
        keep_alive_ = false;
        return false;
    }
    path_size_ = path->size();
    auto refusal = server_.handler_.admit(head_, *path, local_port_);
    if (!refusal) {
        return true;
    }
    refusal_ = std::make_unique<HttpHandler::Refusal>(std::move(*refusal));
    if (head_.body != http::BodyKind::none) {
        keep_alive_ = false;
    }
    return false;
}

Task<HttpConnection::Got> HttpConnection::answer_refusal() {
    const std::unique_ptr<HttpHandler::Refusal> refusal = std::move(refusal_);
    refusal->headers.emplace_back("Content-Type", refusal->content_type);
    HttpResponder responder(*this);
    const bool sent = co_await responder.send(refusal->status, refusal->headers, refusal->body);
    if (!sent || !keep_alive_) {
        co_await linger();
        co_return Got::refused;
    }
    finish_request();
    co_return Got::yes;
}

// A handler that returned without an answer.
Task<void> HttpConnection::answer_nothing() {
    if (begun_ || streaming_) {
        keep_alive_ = false;
        co_return;
    }
    HttpResponder responder(*this);
    co_await responder.send(
        500, "application/json",
        R"({"error":{"message":"Internal server error","type":"internal_server_error"}})");
}

// Drops the request's bytes; what was pipelined after it stays.
void HttpConnection::finish_request() {
    if (counted_body_ != 0) {
        server_.body_bytes_.fetch_sub(std::exchange(counted_body_, 0));
    }
    if (!next_.empty()) {
        in_ = std::move(next_);
        next_.clear();
    } else if (request_size_ >= in_.size()) {
        shrink(in_);
    } else {
        in_.erase(0, request_size_);
    }
    request_size_ = 0;
    shrink(body_);
    shrink(out_);
}

Task<bool> HttpConnection::read_more(std::string& into, Mono until) {
    timed_out_ = false;
    while (true) {
        const ssize_t n = conn_.read_if_ready(loop_.scratch(), Loop::kScratch);
        if (n > 0) {
            into.append(loop_.scratch(), static_cast<size_t>(n));
            co_return true;
        }
        if (n != Conn::kBlocked) {
            co_return false;
        }
        const Wake wake = co_await conn_.readable(until);
        if (wake != Wake::ready) {
            timed_out_ = wake == Wake::timeout;
            co_return false;
        }
    }
}

// A head out of what has come; reads in place, as the common request arrives whole.
HttpConnection::Got HttpConnection::take_head(Mono& until, http::ParseError& error) {
    while (true) {
        if (!in_.empty()) {
            const auto parsed = http::parse_request(in_, server_.limits_.head, head_, error);
            if (parsed == http::Parse::done) {
                idle_ = false;
                request_size_ = head_.size;
                return Got::yes;
            }
            if (parsed == http::Parse::bad) {
                return Got::refused;
            }
        }
        if (in_.empty()) {
            idle_ = true;
            until = deadline(server_.limits_.idle_keep_alive);
            release(in_);
            release(out_);
        } else if (idle_ || until == Mono{}) {
            idle_ = false;
            until = deadline(server_.limits_.header_time);
        }
        const ssize_t n = conn_.read_if_ready(loop_.scratch(), Loop::kScratch);
        if (n <= 0) {
            return n == Conn::kBlocked ? Got::nothing : Got::closed;
        }
        in_.append(loop_.scratch(), static_cast<size_t>(n));
    }
}

bool HttpConnection::reparse_head() {
    http::ParseError error;
    return http::parse_request(in_, server_.limits_.head, head_, error) == http::Parse::done;
}

// The usual request's body has come with its head: nothing to wait for.
bool HttpConnection::take_body(HttpRequest& request) {
    if (head_.body == http::BodyKind::none) {
        return true;
    }
    const uint64_t size = head_.content_length;
    if (head_.body != http::BodyKind::length || size > server_.limits_.body ||
        in_.size() < head_.size + size) {
        return false;
    }
    request_size_ = head_.size + size;
    request.body = std::string_view(in_).substr(head_.size, size);
    return true;
}

std::string HttpConnection::too_large() const {
    return "the request body is larger than " + std::to_string(server_.limits_.body >> 20) + " MiB";
}

Task<HttpConnection::Got> HttpConnection::read_body(HttpRequest& request) {
    if (head_.body == http::BodyKind::length && head_.content_length > server_.limits_.body) {
        const std::string reason = too_large();
        co_await refuse(413, reason);
        co_return Got::refused;
    }
    if (server_.body_bytes_.load(std::memory_order_relaxed) > server_.limits_.bodies_in_flight) {
        co_await refuse(503, "too many large requests are in flight, try again shortly");
        co_return Got::refused;
    }
    if (head_.expect_continue && in_.size() <= head_.size) {
        static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
        const Wake wake =
            co_await conn_.write_all(kContinue, deadline(server_.limits_.write_stall));
        if (wake != Wake::ready) {
            co_return Got::closed;
        }
    }
    if (head_.body == http::BodyKind::length) {
        co_return co_await read_sized_body(request);
    }
    co_return co_await read_chunked_body(request);
}

Task<HttpConnection::Got> HttpConnection::read_sized_body(HttpRequest& request) {
    const size_t head_size = head_.size;
    const size_t size = static_cast<size_t>(head_.content_length);
    request_size_ = head_size + size;
    counted_body_ = size;
    server_.body_bytes_.fetch_add(size, std::memory_order_relaxed);
    if (in_.size() < request_size_) {
        const Mono started = loop_.now();
        while (in_.size() < request_size_) {
            const auto earned = seconds((in_.size() - head_size) >> 10);
            const bool more = co_await read_more(in_, started + milliseconds(10'000) + earned);
            if (!more) {
                if (timed_out_) {
                    co_await refuse(408, "the request body did not arrive in time");
                }
                co_return Got::closed;
            }
        }
        if (!reparse_head()) {  // the buffer has moved
            co_return Got::closed;
        }
    }
    request.body = std::string_view(in_).substr(head_size, size);
    co_return Got::yes;
}

Task<HttpConnection::Got> HttpConnection::read_chunked_body(HttpRequest& request) {
    http::ChunkedReader chunks;
    std::string raw = in_.substr(head_.size);
    in_.resize(head_.size);
    if (!reparse_head()) {
        co_return Got::closed;
    }
    request_size_ = in_.size();
    body_.clear();
    const Mono started = loop_.now();
    while (true) {
        std::string_view left = raw;
        while (true) {
            const auto step = chunks.feed(left);
            if (step.state == http::ChunkedReader::State::bad) {
                co_await refuse(400, "the chunked request body is malformed");
                co_return Got::refused;
            }
            if (body_.size() + step.data.size() > server_.limits_.body) {
                const std::string reason = too_large();
                co_await refuse(413, reason);
                co_return Got::refused;
            }
            body_.append(step.data);
            left.remove_prefix(step.consumed);
            if (step.state == http::ChunkedReader::State::done) {
                next_.assign(left);
                counted_body_ = body_.size();
                server_.body_bytes_.fetch_add(counted_body_, std::memory_order_relaxed);
                request.body = body_;
                co_return Got::yes;
            }
            if (step.consumed == 0) {
                break;
            }
        }
        raw.assign(left);
        const auto earned = seconds(body_.size() >> 10);
        const bool more = co_await read_more(raw, started + milliseconds(10'000) + earned);
        if (!more) {
            if (timed_out_) {
                co_await refuse(408, "the request body did not arrive in time");
            }
            co_return Got::closed;
        }
    }
}

Task<void> HttpConnection::refuse(int status, std::string_view reason) {
    idle_ = false;
    keep_alive_ = false;
    begun_ = answered_ = streaming_ = false;
    const std::string body = error_body(status, reason);
    head_ = http::Head();
    HttpResponder responder(*this);
    co_await responder.send(status, "application/json", body);
    co_await linger();
}

// Closing a socket with unread bytes resets it and may take the reply with it, so a refused
// request's bytes are read for a moment first.
Task<void> HttpConnection::linger() {
    ::shutdown(conn_.fd(), SHUT_WR);
    size_t drained = 0;
    const Mono until = deadline(milliseconds(1000));
    std::string sink;
    while (drained < (64u << 10)) {
        const bool more = co_await read_more(sink, until);
        if (!more) {
            break;
        }
        drained += sink.size();
        sink.clear();
    }
}

void HttpConnection::append_head(std::string& out, int status, std::string_view header_lines) {
    if (head_.minor_version == 0 && !streaming_) {
        keep_alive_ = keep_alive_ && head_.keep_alive;
    }
    http::write_status_line(out, status);
    out += date_line();
    out += header_lines;
    if (!keep_alive_) {
        out += "Connection: close\r\n";
    } else if (head_.minor_version == 0) {
        out += "Connection: keep-alive\r\n";
    }
}

// One chunk and what is written behind it, behind what out_ holds: to the socket at once, without a
// copy. False when some of it is left in out_.
bool HttpConnection::push_chunk(std::string_view data, std::string_view after) {
    if (data.empty() || gone_ || head_.method == "HEAD") {
        return false;
    }
    if (!chunked_) {
        out_ += data;
        return false;
    }
    begun_ = true;
    http::ChunkSize size(data.size());
    const iovec parts[] = {{out_.data(), out_.size()},
                           {size.begin(), size.size()},
                           {const_cast<char*>(data.data()), data.size()},
                           {const_cast<char*>(after.data()), after.size()}};
    const size_t whole = out_.size() + size.size() + data.size() + after.size();
    const ssize_t sent = conn_.try_write(parts, std::size(parts));
    if (sent == static_cast<ssize_t>(whole)) {
        drop_output();
        return true;
    }
    out_.reserve(whole);
    out_.append(size.begin(), size.size()).append(data).append(after);
    out_.erase(0, sent > 0 ? static_cast<size_t>(sent) : 0);
    return false;
}

// Writes what out_ holds. Usually the socket takes all of it at once and no coroutine is needed.
Task<bool> HttpConnection::flush() {
    if (gone_) {
        return Task<bool>::ready(false);
    }
    begun_ = true;
    const ssize_t sent = conn_.try_write(out_);
    if (sent == static_cast<ssize_t>(out_.size())) {
        drop_output();
        return Task<bool>::ready(true);
    }
    return flush_rest(sent > 0 ? static_cast<size_t>(sent) : 0);
}

Task<bool> HttpConnection::flush_rest(size_t sent) {
    const Wake wake = co_await conn_.write_all(std::string_view(out_).substr(sent),
                                               deadline(server_.limits_.write_stall));
    drop_output();
    gone_ = gone_ || wake != Wake::ready;
    co_return !gone_;
}

void HttpConnection::drop_output() {
    if (out_.capacity() > kKeepBuffer || streaming_) {
        release(out_);
    } else {
        out_.clear();
    }
}

// --- HttpResponder

Task<bool> HttpResponder::send(int status, std::string_view content_type, std::string_view body,
                               std::string_view more) {
    std::string lines;
    lines.reserve(256);
    if (!content_type.empty()) {
        http::write_header(lines, "Content-Type", content_type);
    }
    lines += more;
    return send_raw(status, lines, body);
}

Task<bool> HttpResponder::send(int status,
                               const std::vector<std::pair<std::string, std::string>>& headers,
                               std::string_view body) {
    std::string lines;
    for (const auto& [name, value] : headers) {
        http::write_header(lines, name, value);
    }
    return send_raw(status, lines, body);
}

Task<bool> HttpResponder::send_raw(int status, std::string_view header_lines,
                                   std::string_view body) {
    HttpConnection& c = connection_;
    c.answered_ = true;
    c.out_.clear();
    c.out_.reserve(header_lines.size() + body.size() + kHeadRoom);
    c.append_head(c.out_, status, header_lines);
    if (status >= 200 && status != 204 && status != 304) {
        c.out_ += "Content-Length: ";
        append_number(c.out_, body.size());
        c.out_ += "\r\n";
    }
    c.out_ += "\r\n";
    if (c.head_.method != "HEAD" && status != 204 && status != 304) {
        c.out_ += body;
    }
    return c.flush();
}

void HttpResponder::begin(int status, std::string header_lines) {
    HttpConnection& c = connection_;
    c.streaming_ = true;
    c.chunked_ = c.head_.minor_version == 1;
    if (!c.chunked_) {
        c.keep_alive_ = false;
    }
    c.out_.clear();
    c.out_.reserve(header_lines.size() + kHeadRoom);
    c.append_head(c.out_, status, header_lines);
    c.out_ += c.chunked_ ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n";
}

Task<bool> HttpResponder::write(std::string_view data) {
    if (connection_.push_chunk(data, "\r\n")) {
        return Task<bool>::ready(true);
    }
    return connection_.flush();
}

bool HttpResponder::write_now(std::string_view data) {
    return connection_.push_chunk(data, "\r\n");
}

Task<bool> HttpResponder::write_rest() { return connection_.flush(); }

Task<bool> HttpResponder::end(std::string_view data) {
    static constexpr std::string_view kEnd = "\r\n0\r\n\r\n";
    HttpConnection& c = connection_;
    c.answered_ = true;
    if (c.push_chunk(data, kEnd)) {
        return Task<bool>::ready(true);
    }
    if (data.empty() && c.chunked_ && c.head_.method != "HEAD") {
        c.out_ += http::kLastChunk;
    }
    return c.flush();
}

void HttpResponder::abort() {
    connection_.answered_ = true;
    connection_.keep_alive_ = false;
}

Task<bool> HttpResponder::write_raw(std::string_view bytes) {
    HttpConnection& c = connection_;
    c.streaming_ = true;
    c.keep_alive_ = false;
    c.out_ += bytes;
    return c.flush();
}

void HttpResponder::close_after() { connection_.keep_alive_ = false; }

void HttpResponder::reset_connection() {
    connection_.answered_ = true;
    connection_.keep_alive_ = false;
    connection_.conn_.close_with_reset();
}

bool HttpResponder::begun() const { return connection_.begun_; }

bool HttpResponder::client_gone() const {
    return connection_.gone_ || connection_.conn_.closed() || connection_.conn_.peer_gone();
}

void HttpResponder::on_client_gone(void (*callback)(void*), void* arg) {
    connection_.conn_.on_peer_gone(callback, arg);
}

void HttpResponder::release_request() {
    HttpConnection& c = connection_;
    if (c.counted_body_ != 0) {
        c.server_.body_bytes_.fetch_sub(std::exchange(c.counted_body_, 0));
    }
    if (c.next_.empty() && c.request_size_ < c.in_.size()) {
        c.next_.assign(c.in_, c.request_size_);
    }
    const bool head_only = c.head_.method == "HEAD";
    const int minor = c.head_.minor_version;
    c.head_ = http::Head();
    c.head_.minor_version = minor;
    c.head_.method = head_only ? "HEAD" : "POST";
    c.request_size_ = 0;
    release(c.in_);
    release(c.body_);
}

Loop& HttpResponder::loop() { return connection_.loop_; }

std::string HttpResponder::peer() const {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    char text[INET6_ADDRSTRLEN] = "";
    if (getpeername(connection_.conn_.fd(), reinterpret_cast<sockaddr*>(&address), &size) == 0) {
        if (address.ss_family == AF_INET) {
            inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(&address)->sin_addr, text,
                      sizeof text);
        } else if (address.ss_family == AF_INET6) {
            inet_ntop(AF_INET6, &reinterpret_cast<sockaddr_in6*>(&address)->sin6_addr, text,
                      sizeof text);
        }
    }
    return text;
}

}  // namespace belay::net

#include "net/conn.h"

#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

namespace belay::net {

Conn::Conn(Loop& loop, int fd) : loop_(loop), fd_(fd) {
    reader_.wake = writer_.wake = Wake::ready;
    loop_.watch(fd_, this, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

Conn::~Conn() { close(); }

ssize_t Conn::try_read(char* data, size_t size) {
    if (fd_ < 0) {
        return kFailed;
    }
    if (ssl_ != nullptr) {
        ERR_clear_error();
        const int n = SSL_read(ssl_, data, static_cast<int>(std::min<size_t>(size, INT_MAX)));
        if (n > 0) {
            return n;
        }
        switch (SSL_get_error(ssl_, n)) {
            case SSL_ERROR_WANT_READ:
            case SSL_ERROR_WANT_WRITE:
                readable_ = false;
                return kBlocked;
            case SSL_ERROR_ZERO_RETURN:
                return 0;
            default:
                return kFailed;
        }
    }
    while (true) {
        const ssize_t n = ::recv(fd_, data, size, 0);
        if (n >= 0) {
            // A short read has drained the socket: the next edge will tell of more.
            if (static_cast<size_t>(n) < size && n > 0 && !peer_gone_) {
                readable_ = false;
            }
            return n;
        }
        if (errno == EINTR) {
            continue;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            readable_ = false;
            return kBlocked;
        }
        return kFailed;
    }
}

ssize_t Conn::try_write(const iovec* parts, size_t count) {
    if (fd_ < 0) {
        return kFailed;
    }
    if (ssl_ != nullptr) {
        return kBlocked;
    }
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(parts);  // sendmsg() does not write to it
    message.msg_iovlen = count;
    ssize_t n = 0;
    do {
        n = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    // What has failed fails again when the rest is written.
    return n < 0 ? kBlocked : n;
}

ssize_t Conn::try_write(std::string_view data) {
    if (fd_ < 0) {
        return kFailed;
    }
    if (ssl_ != nullptr) {
        ERR_clear_error();
        const int n =
            SSL_write(ssl_, data.data(), static_cast<int>(std::min<size_t>(data.size(), INT_MAX)));
        if (n > 0) {
            return n;
        }
        switch (SSL_get_error(ssl_, n)) {
            case SSL_ERROR_WANT_READ:
            case SSL_ERROR_WANT_WRITE:
                writable_ = false;
                return kBlocked;
            default:
                return kFailed;
        }
    }
    while (true) {
        const ssize_t n = ::send(fd_, data.data(), data.size(), MSG_NOSIGNAL);
        if (n >= 0) {
            return n;
        }
        if (errno == EINTR) {
            continue;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            writable_ = false;
            return kBlocked;
        }
        return kFailed;
    }
}

void Conn::Readable::await_suspend(std::coroutine_handle<> h) {
    conn.loop_.suspend(conn.reader_, h, deadline);
}

Wake Conn::Readable::await_resume() {
    if (conn.closed()) {
        return Wake::cancelled;
    }
    return std::exchange(conn.reader_.wake, Wake::ready);
}

bool Conn::continue_write() {
    while (!pending_.empty()) {
        const ssize_t n = try_write(pending_);
        if (n == kBlocked) {
            return false;
        }
        if (n < 0) {
            write_failed_ = true;
            return true;
        }
        pending_.remove_prefix(static_cast<size_t>(n));
    }
    return true;
}

bool Conn::WriteAll::await_ready() {
    conn.pending_ = data;
    conn.write_failed_ = false;
    if (conn.closed()) {
        conn.write_failed_ = true;
        return true;
    }
    conn.writer_.wake = Wake::ready;
    return conn.continue_write();
}

void Conn::WriteAll::await_suspend(std::coroutine_handle<> h) {
    conn.loop_.suspend(conn.writer_, h, deadline);
}

Wake Conn::WriteAll::await_resume() {
    conn.pending_ = {};
    if (conn.write_failed_ || conn.closed()) {
        return Wake::cancelled;
    }
    return conn.writer_.wake;
}

void Conn::Connected::await_suspend(std::coroutine_handle<> h) {
    conn.connecting_ = true;
    conn.loop_.suspend(conn.writer_, h, deadline);
}

Wake Conn::Connected::await_resume() {
    conn.connecting_ = false;
    return conn.closed() ? Wake::cancelled : conn.writer_.wake;
}

void Conn::on_events(uint32_t events) {
    if (fd_ < 0) {
        return;
    }
    if (connecting_) {
        loop_.wake(writer_, Wake::ready);
        return;
    }
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
        readable_ = true;
    }
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
        peer_gone_ = true;
    }
    if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0 || (ssl_ != nullptr && readable_)) {
        writable_ = true;
        if (writer_.waiting() && continue_write()) {
            loop_.wake(writer_, Wake::ready);
        }
    }
    if (readable_ && reader_.waiting()) {
        loop_.wake(reader_, Wake::ready);
    }
    if (peer_gone_ && gone_callback_ != nullptr) {
        report_gone();
    }
}

void Conn::report_gone() {
    auto* callback = std::exchange(gone_callback_, nullptr);
    callback(gone_arg_);
}

void Conn::close() {
    if (fd_ < 0) {
        return;
    }
    if (ssl_ != nullptr) {
        SSL_set_shutdown(ssl_, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        SSL_free(ssl_);
        ssl_ = nullptr;
        ERR_clear_error();
    }
    ::close(fd_);  // leaves epoll by itself: the descriptor is never duplicated
    fd_ = -1;
    loop_.wake(reader_, Wake::cancelled);
    loop_.wake(writer_, Wake::cancelled);
}

void Conn::close_with_reset() {
    if (fd_ >= 0) {
        const linger hard{1, 0};
        (void)setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    }
    close();
}

Task<Result<void>> Conn::start_tls(ssl_ctx_st* context, const std::string& host,
                                   ssl_session_st* session, Mono deadline) {
    ssl_ = SSL_new(context);
    if (ssl_ == nullptr || SSL_set_fd(ssl_, fd_) != 1) {
        co_return gateway_error(Kind::internal, "TLS could not be started");
    }
    const bool literal = host.find_first_not_of("0123456789.") == std::string::npos ||
                         host.find(':') != std::string::npos;
    if (literal) {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_), host.c_str());
    } else {
        SSL_set_tlsext_host_name(ssl_, host.c_str());
        SSL_set1_host(ssl_, host.c_str());
    }
    if (session != nullptr) {
        SSL_set_session(ssl_, session);
    }
    while (true) {
        ERR_clear_error();
        const int n = SSL_connect(ssl_);
        if (n == 1) {
            co_return Result<void>();
        }
        const int why = SSL_get_error(ssl_, n);
        Wake wake = Wake::ready;
        if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
            // Handshake writes are a few hundred bytes: a full send buffer cannot happen here, so
            // waiting for the peer's answer is enough in both cases.
            readable_ = false;
            wake = co_await readable(deadline);
            if (wake == Wake::ready && ssl_ != nullptr) {
                continue;
            }
            co_return upstream_error(wake == Wake::timeout ? Kind::timeout : Kind::cancelled,
                                     "TLS handshake with " + host + " did not finish");
        }
        const long verify = SSL_get_verify_result(ssl_);
        std::string reason = verify != X509_V_OK ? X509_verify_cert_error_string(verify)
                                                 : "connection closed or refused by the peer";
        if (verify == X509_V_OK) {
            if (const unsigned long code = ERR_peek_error(); code != 0) {
                if (const char* text = ERR_reason_error_string(code); text != nullptr) {
                    reason = text;
                }
            }
        }
        co_return upstream_error(Kind::upstream_unavailable,
                                 "TLS handshake with " + host + " failed: " + reason);
    }
}

}  // namespace belay::net

#pragma once
// One TCP connection on one loop, plain or TLS. Reads and writes are tried first and wait only when
// the socket has nothing; awaiting costs no coroutine frame. At most one reader and one writer wait
// at a time. Closing wakes both with Wake::cancelled.
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "net/loop.h"
#include "net/task.h"

struct ssl_st;
struct ssl_ctx_st;
struct ssl_session_st;

namespace belay::net {

class Conn final : public Watched {
  public:
    static constexpr ssize_t kBlocked = -1;
    static constexpr ssize_t kFailed = -2;

    Conn(Loop& loop, int fd);  // takes the descriptor, which must be non-blocking
    ~Conn();
    Conn(const Conn&) = delete;
    Conn& operator=(const Conn&) = delete;

    // > 0 bytes read, 0 at the end, kBlocked, kFailed.
    ssize_t try_read(char* data, size_t size);
    // The same, but asks the kernel only when epoll has told of something since the last time.
    ssize_t read_if_ready(char* data, size_t size) {
        return readable_ || closed() ? try_read(data, size) : kBlocked;
    }
    ssize_t try_write(std::string_view data);
    // Several pieces in one call; kBlocked over TLS, which has no such call.
    ssize_t try_write(const iovec* parts, size_t count);

    // co_await readable(deadline): Wake::ready when a read is worth trying.
    struct Readable {
        Conn& conn;
        Mono deadline;
        [[nodiscard]] bool await_ready() const { return conn.readable_ || conn.closed(); }
        void await_suspend(std::coroutine_handle<> h);
        Wake await_resume();
    };
    [[nodiscard]] Readable readable(Mono deadline) { return {*this, deadline}; }

    // co_await write_all(bytes, deadline): Wake::ready when every byte was taken by the socket,
    // timeout when it stalled, cancelled when the connection failed. The bytes must live until
    // then.
    struct WriteAll {
        Conn& conn;
        std::string_view data;
        Mono deadline;
        bool failed = false;
        [[nodiscard]] bool await_ready();
        void await_suspend(std::coroutine_handle<> h);
        Wake await_resume();
    };
    [[nodiscard]] WriteAll write_all(std::string_view data, Mono deadline) {
        return {*this, data, deadline};
    }

    // co_await connected(deadline): after a non-blocking connect(), Wake::ready when it has ended
    // one way or the other (SO_ERROR tells which).
    struct Connected {
        Conn& conn;
        Mono deadline;
        [[nodiscard]] bool await_ready() const { return conn.closed(); }
        void await_suspend(std::coroutine_handle<> h);
        Wake await_resume();
    };
    [[nodiscard]] Connected connected(Mono deadline) { return {*this, deadline}; }

    // Client side of TLS. `host` is verified and sent as SNI; `session` may be resumed.
    Task<Result<void>> start_tls(ssl_ctx_st* context, const std::string& host,
                                 ssl_session_st* session, Mono deadline);
    [[nodiscard]] bool is_tls() const { return ssl_ != nullptr; }
    [[nodiscard]] ssl_st* ssl() { return ssl_; }

    // Wakes waiters with cancelled and closes the descriptor. Safe to call twice.
    void close();
    void close_with_reset();  // RST instead of FIN
    [[nodiscard]] bool closed() const { return fd_ < 0; }
    // The peer has closed or reset its side (seen by epoll, even when nobody reads).
    [[nodiscard]] bool peer_gone() const { return peer_gone_; }
    void on_peer_gone(void (*callback)(void*), void* arg) {
        gone_callback_ = callback;
        gone_arg_ = arg;
        if (peer_gone_ && callback != nullptr) {
            report_gone();
        }
    }
    // Something has arrived that nobody has read (or may have: see try_read).
    [[nodiscard]] bool maybe_readable() const { return readable_; }
    [[nodiscard]] Loop& loop() { return loop_; }
    [[nodiscard]] int fd() const { return fd_; }

    void on_events(uint32_t events) override;

  private:
    void report_gone();
    [[nodiscard]] bool continue_write();  // true when done or failed

    Loop& loop_;
    int fd_;
    ssl_st* ssl_ = nullptr;
    bool readable_ = true;
    bool writable_ = true;
    bool peer_gone_ = false;
    bool write_failed_ = false;
    bool connecting_ = false;
    Waiter reader_;
    Waiter writer_;
    std::string_view pending_;  // what the waiting writer still has to send
    void (*gone_callback_)(void*) = nullptr;
    void* gone_arg_ = nullptr;
};

}  // namespace belay::net

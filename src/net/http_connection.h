#pragma once
// One client connection of HttpServer: its buffers and its coroutine. Internal to net.
#include <memory>
#include <string>
#include <string_view>

#include "net/conn.h"
#include "net/http_server.h"
#include "net/loop.h"
#include "wire/http.h"

namespace belay::net {

class HttpConnection {
  public:
    HttpConnection(HttpServer& server, Loop& loop, int fd, uint16_t local_port);
    ~HttpConnection();
    HttpConnection(const HttpConnection&) = delete;
    HttpConnection& operator=(const HttpConnection&) = delete;

    // Serves requests until the connection ends. Owns `self` through the coroutine that calls it.
    Task<void> serve();
    void close_if_idle();
    void close() { conn_.close(); }

    HttpConnection* prev = nullptr;  // the listener's list
    HttpConnection* next = nullptr;

  private:
    friend class HttpResponder;
    enum class Got : uint8_t { yes, nothing, closed, refused };

    // What has come of the next request's head: nothing means wait until `until`.
    [[nodiscard]] Got take_head(Mono& until, http::ParseError& error);
    // Rare paths are kept out of line: a coroutine that is inlined lays its frame into its
    // caller's, and serve()'s stays as long as the connection.
    [[nodiscard]] bool take_body(HttpRequest& request);
    [[gnu::noinline]] Task<Got> read_body(HttpRequest& request);
    [[gnu::noinline]] Task<Got> read_sized_body(HttpRequest& request);
    [[gnu::noinline]] Task<Got> read_chunked_body(HttpRequest& request);
    // Reads once; false when the connection ended or the deadline passed (`timed_out_` says which).
    Task<bool> read_more(std::string& into, Mono deadline);
    [[gnu::noinline]] Task<void> refuse(int status, std::string_view reason);
    [[gnu::noinline]] Task<void> linger();
    // Whether the request whose head has been read may go on; what it is answered if not.
    [[nodiscard]] bool is_admitted(HttpRequest& request);
    [[gnu::noinline]] Task<Got> answer_refusal();
    [[gnu::noinline]] Task<void> answer_nothing();
    [[nodiscard]] std::string too_large() const;
    [[nodiscard]] bool reparse_head();
    [[nodiscard]] Mono deadline(milliseconds from_now) const { return loop_.now() + from_now; }
    void append_head(std::string& out, int status, std::string_view header_lines);
    [[nodiscard]] bool push_chunk(std::string_view data, std::string_view after);
    void finish_request();
    Task<bool> flush();
    [[gnu::noinline]] Task<bool> flush_rest(size_t sent);
    void drop_output();

    HttpServer& server_;
    Loop& loop_;
    Conn conn_;
    std::string in_;    // unread bytes; while a request runs, its head and sized body
    std::string body_;  // a chunked body, decoded
    std::string next_;  // bytes after a chunked body
    std::string out_;   // reply bytes not yet taken by the socket
    http::Head head_;
    std::unique_ptr<HttpHandler::Refusal> refusal_;  // of the current request
    size_t path_size_ = 0;                           // of head_.target
    size_t request_size_ = 0;  // bytes of in_ that belong to the current request
    size_t counted_body_ = 0;  // what this request added to bodies_in_flight
    uint16_t local_port_;
    bool idle_ = true;
    bool keep_alive_ = true;
    bool begun_ = false;     // a byte of the reply was handed to the socket
    bool answered_ = false;  // send() or end() or abort() was called
    bool streaming_ = false;
    bool chunked_ = true;  // false for HTTP/1.0 streams
    bool gone_ = false;
    bool timed_out_ = false;
};

}  // namespace belay::net

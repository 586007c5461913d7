#pragma once
// One signed-in connection to a Redis: opened, written to, read from. On one loop; one reader.
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "net/conn.h"
#include "net/http_client.h"
#include "net/loop.h"
#include "net/task.h"
#include "redis/address.h"
#include "redis/reply.h"

namespace belay::redis {

class Link {
  public:
    // `context`: the process's resolver and trusted certificates.
    Link(net::Loop& loop, std::shared_ptr<net::ClientContext> context, Address address);
    ~Link();

    // Connects, signs in, selects the database and learns which server this is. Closes what was
    // open before.
    net::Task<Result<void>> open(Mono deadline);
    // The next reply. Kind::timeout leaves the connection as it is; another error ends it.
    net::Task<Result<Reply>> read(Mono deadline);
    // Sends in order; what the socket does not take at once goes out as soon as it does. False when
    // more than kMostUnsent bytes wait, or nothing is open.
    [[nodiscard]] bool write(std::string_view bytes);
    // Ends the connection: a reader gets an error.
    void close();

    [[nodiscard]] bool is_open() const { return conn_ != nullptr && !conn_->closed(); }
    [[nodiscard]] const Address& address() const { return address_; }
    // Another one after each start of the server.
    [[nodiscard]] const std::string& run_id() const { return run_id_; }

  private:
    static constexpr size_t kMostUnsent = 4 << 20;
    net::Task<Result<void>> sign_in(Mono deadline);
    net::Task<Result<Reply>> ask(std::string command, Mono deadline);
    net::Task<void> send_rest();

    net::Loop& loop_;
    std::shared_ptr<net::ClientContext> context_;
    Address address_;
    std::unique_ptr<net::Conn> conn_;
    std::unique_ptr<Parser> parser_;
    std::string unsent_;
    bool sending_ = false;
    std::string run_id_;
};

}  // namespace belay::redis

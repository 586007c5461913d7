#pragma once
// A World on a port: plays its replies with all their waits, cuts and stalls over HTTP/1.1. Has its
// own loops and threads, so it may live in the process of what it serves. Listens on loopback
// unless told otherwise: whoever reaches the port controls the world.
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "sim/scenario.h"
#include "sim/world.h"

namespace belay::sim {

struct ServerOptions {
    std::string host = "127.0.0.1";
    uint16_t port = 0;  // 0 = a free one
    int loops = 1;
    Scenario scenario = default_scenario();
    std::string base_url;  // announced in endpoints.api; "" = http://127.0.0.1:<port>
};

class Server {
  public:
    ~Server();  // stops: open replies are cut
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    [[nodiscard]] uint16_t port() const { return port_; }
    [[nodiscard]] std::string base_url() const;
    [[nodiscard]] World& world();

  private:
    friend Result<std::unique_ptr<Server>> start(ServerOptions options);
    class Player;
    Server() = default;
    std::unique_ptr<Player> player_;
    std::string base_url_;
    uint16_t port_ = 0;
};

[[nodiscard]] Result<std::unique_ptr<Server>> start(ServerOptions options);

}  // namespace belay::sim

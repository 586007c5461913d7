#pragma once
// `belay serve --demo`: the simulator in this process, a throw-away home for credentials and data,
// and an environment that points the account at them. Nothing of the user's is read or written.
#include <memory>
#include <string>

#include "app/config.h"
#include "base/result.h"
#include "sim/server.h"

namespace belay::app {

class Demo {
  public:
    [[nodiscard]] static Result<std::unique_ptr<Demo>> start();
    ~Demo();
    Demo(const Demo&) = delete;
    Demo& operator=(const Demo&) = delete;

    [[nodiscard]] Env wrap(Env env) const;
    [[nodiscard]] std::string url() const;

  private:
    Demo() = default;
    std::string home_;
    std::unique_ptr<sim::Server> server_;
};

}  // namespace belay::app

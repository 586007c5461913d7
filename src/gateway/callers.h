#pragma once
// Which caller a presented key is, and whether it may come in: one per loop. Keys that are known
// are kept by their text for as long as the directory does not change, so that the usual request
// pays for no hash. Texts that are nobody's key leave nothing behind.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret.h"
#include "gateway/auth.h"
#include "gateway/snapshot.h"
#include "governance/directory.h"

namespace belay::gateway {

// A caller, or the answer that turns the request away.
struct Judged {
    governance::CallerPtr caller;
    int status = 0;
    std::string body;  // LiteLLM's words
};

class Callers {
  public:
    // `directory` may be null: then the master key is the only one.
    explicit Callers(const governance::Directory* directory);

    // `path` without the query; `now_ms` unix milliseconds.
    [[nodiscard]] Judged judge(const PresentedKey& presented, const Snapshot& snapshot,
                               std::string_view path, int64_t now_ms);

  private:
    struct Known {
        size_t hash = 0;
        Secret key;
        governance::CallerPtr caller;
    };
    static constexpr size_t kSlots = 1024;  // a power of two
    static constexpr size_t kMostKnown = kSlots / 2;

    [[nodiscard]] governance::CallerPtr find(std::string_view key);
    [[nodiscard]] const governance::CallerPtr& master();

    const governance::Directory* directory_;
    governance::CallerPtr master_;
    std::vector<Known> known_;  // open addressing; empty until a virtual key is used
    size_t count_ = 0;
    uint64_t generation_ = 0;
    uint64_t master_generation_ = 0;
};

// True when one of `routes` (LiteLLM's allowed_routes: paths, "/prefix/*", and the names of groups:
// "llm_api_routes", "info_routes", "management_routes") covers the path.
[[nodiscard]] bool covers_route(const std::vector<std::string>& routes, std::string_view path);

}  // namespace belay::gateway

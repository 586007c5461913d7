#pragma once
// Requests come in kinds: same deployment, same credential, same parameters, another prompt. What
// prepare() said of one holds for the next of its kind, so it is kept and shared. The kind is
// everything that prepare() looks at; a request that prepare() may see as one of its own (an odd
// value, a repeat, a fallback's overrides) is prepared each time. Belongs to one loop.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "providers/provider.h"
#include "providers/registry.h"

namespace belay::providers {

class PreparedCache {
  public:
    static constexpr size_t kMax = 64;

    // What a kept result refers to: held, so that nothing else comes to its address.
    struct Held {
        std::shared_ptr<const routing::Deployment> deployment;
        accounts::CredentialPtr credential;  // may be null
        accounts::CataloguePtr catalogue;    // may be null
    };

    // Provider::prepare(), or what it said last time.
    [[nodiscard]] Result<std::shared_ptr<const Prepared>> prepare(Provider& provider,
                                                                  const Job& job, const Held& held);

  private:
    struct Kept {
        Held held;
        const accounts::Model* model = nullptr;
        uint64_t lessons = 0;
        uint32_t shape = 0;
        std::string upstream_model;
        std::string values;
        std::shared_ptr<const Prepared> prepared;
    };

    // False when the job is not to be kept or found.
    [[nodiscard]] bool describe(const Job& job);

    std::vector<Kept> kept_;
    size_t next_ = 0;  // to be replaced
    // Of the job that was described last.
    uint32_t shape_ = 0;
    std::string values_;
};

}  // namespace belay::providers

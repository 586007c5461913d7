#pragma once
// The header lines of a request to Copilot. Nearly all of them are the same for every request of
// one deployment and one token, so they are laid out once and kept until the token changes; only
// the initiator and the ids are written each time. Thread-safe.
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "providers/provider.h"

namespace belay::providers {

class CopilotHeaders {
  public:
    static constexpr size_t kMax = 32;
    // `job.credential` must be there.
    void write(std::string& out, const Job& job, protocols::Api api,
               protocols::Initiator initiator);

  private:
    // Lines, and all they were made from: compared by value, so a block never outlives its reasons.
    struct Block {
        uint32_t shape = 0;
        std::shared_ptr<const accounts::Profile> profile;
        std::string betas;
        std::vector<std::pair<std::string, std::string>> extra;
        std::string token;
        std::string lines;
        bool own_request_id = false;
        bool own_interaction_id = false;
    };
    [[nodiscard]] const Block& block_of(const Job& job, protocols::Api api);

    std::mutex mutex_;
    std::vector<Block> blocks_;
    size_t next_ = 0;
};

// The honest rule: an internal repeat is the agent's; else what the client says of itself, else
// whether the last message is a person's.
[[nodiscard]] protocols::Initiator initiator_of(const Job& job);

// Those of a client's anthropic-beta values that Copilot is known to take, comma-separated.
[[nodiscard]] std::string allowed_betas(std::string_view betas);

}  // namespace belay::providers

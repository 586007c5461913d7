#pragma once
// The most that a request can cost, before it is made: the dearest model that the chain may reach.
// Kept per catalogue and asked name for the configuration in use. Belongs to one loop.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "accounts/catalogue.h"
#include "gateway/snapshot.h"
#include "protocols/chat_request.h"

namespace belay::gateway {

// The highest of every price over the deployments of the asked group and its fallbacks.
struct Ceiling {
    PricePerMillion input, output;
    int64_t max_output = 0;     // tokens of one answer
    int64_t premium_milli = 0;  // premium requests x 1000 of a user-initiated call
    // From what was seen lately: how the guess of the prompt must be stretched or shrunk, and the
    // longest answer; 0 = nothing was seen.
    double stretch = 0;
    double longest = 0;
    bool unknown = false;        // some deployment has no price
    bool asked_unknown = false;  // one of the asked group
    bool free = false;           // every price is known to be 0
};

class Bounds {
  public:
    [[nodiscard]] const Ceiling& of(const SnapshotPtr& snapshot,
                                    const accounts::CataloguePtr& catalogue,
                                    std::string_view model);
    // What a request of that name turned out to take; `guess` is what text_tokens() had said.
    void learn(std::string_view model, int64_t guess, int64_t prompt, int64_t output);

  private:
    struct Kept {
        accounts::CataloguePtr catalogue;
        std::string model;
        Ceiling ceiling;
    };
    static constexpr size_t kMax = 64;
    SnapshotPtr snapshot_;
    std::vector<Kept> kept_;
};

// Whether what the deployment charges for that upstream model is known.
[[nodiscard]] bool is_priced(const routing::Deployment& deployment, const std::string& model,
                             const accounts::Catalogue* catalogue);

// Two bytes a token hold for prose in every alphabet, with a few tokens for each message's frame;
// images cost what the dearest detail level does.
[[nodiscard]] int64_t text_tokens(const protocols::ChatFacts& facts);
// The prompt's tokens at most: the guess, corrected by what was seen lately.
[[nodiscard]] int64_t prompt_bound(const Ceiling& ceiling, int64_t guess);
// What an answer may take of a limit on tokens a minute, corrected when it has come.
[[nodiscard]] int64_t likely_output(const protocols::ChatFacts& facts, const Ceiling& ceiling);
// An answer below this many tokens is not worth asking for: what was seen tells; without that, any.
[[nodiscard]] int64_t least_output(const Ceiling& ceiling);
// The tokens that may come back: what the client asks for, else the ceiling's.
[[nodiscard]] int64_t output_bound(const protocols::ChatFacts& facts, const Ceiling& ceiling);
[[nodiscard]] NanoCredits cost_bound(const Ceiling& ceiling, int64_t prompt, int64_t output);
// How many tokens may come back for an amount; 0 when not even the prompt is paid for.
[[nodiscard]] int64_t output_for(const Ceiling& ceiling, NanoCredits amount, int64_t prompt);

}  // namespace belay::gateway

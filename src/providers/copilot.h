#pragma once
// GitHub Copilot's model service: which of its three APIs serves a model, the identity headers of
// the account's profile, who is said to have started the call, and the parameters each model family
// takes. Everything here was seen on the wire or in public clients (see copilot_models.h); the live
// catalogue comes first wherever it says something.
#include "providers/copilot_headers.h"
#include "providers/learned.h"
#include "providers/provider.h"
#include "providers/urls.h"

namespace belay::providers {

class Copilot final : public Provider {
  public:
    [[nodiscard]] std::string_view name() const override { return "github_copilot"; }
    [[nodiscard]] bool needs_account() const override { return true; }
    [[nodiscard]] std::string canonical_model(std::string_view model) const override;
    [[nodiscard]] Result<Prepared> prepare(const Job& job) override;
    [[nodiscard]] Own add_own(const Job& job, std::string& lines) const override;
    [[nodiscard]] uint64_t lessons() const override { return learned_.count(); }
    void learn(const Job& job, protocols::Api api, const routing::Outcome& outcome) override;

  private:
    Learned learned_;
    Urls urls_;
};

}  // namespace belay::providers

#pragma once
// Anthropic's own API: messages only, x-api-key, a dated version header.
#include "providers/learned.h"
#include "providers/provider.h"
#include "providers/urls.h"

namespace belay::providers {

class Anthropic final : public Provider {
  public:
    [[nodiscard]] std::string_view name() const override { return "anthropic"; }
    [[nodiscard]] bool needs_account() const override { return false; }
    [[nodiscard]] std::string_view key_env() const override { return "ANTHROPIC_API_KEY"; }
    [[nodiscard]] Result<Prepared> prepare(const Job& job) override;
    [[nodiscard]] uint64_t lessons() const override { return learned_.count(); }
    void learn(const Job& job, protocols::Api api, const routing::Outcome& outcome) override;

  private:
    Learned learned_;
    Urls urls_;
};

}  // namespace belay::providers

#pragma once
// Upstreams that speak OpenAI's API plainly: a row each, no code of their own. Azure is one of them
// with another address scheme and key header.
#include <optional>
#include <span>
#include <string_view>

#include "providers/learned.h"
#include "providers/provider.h"
#include "providers/urls.h"

namespace belay::providers {

struct PlainRow {
    std::string_view name;       // LiteLLM's provider name
    std::string_view base;       // default address; "" = api_base is needed
    std::string_view key_env;    // where LiteLLM looks for a key; "" = none is needed
    bool openai_models = false;  // OpenAI's own models: their families' parameter rules hold
    bool stream_usage = true;    // takes stream_options.include_usage
    bool adds_v1 = false;        // an api_base without a path means its /v1
};

[[nodiscard]] std::span<const PlainRow> plain_rows();

class OpenAiCompatible final : public Provider {
  public:
    explicit OpenAiCompatible(const PlainRow& row) : row_(row) {}
    [[nodiscard]] std::string_view name() const override { return row_.name; }
    [[nodiscard]] bool needs_account() const override { return false; }
    [[nodiscard]] std::string_view key_env() const override { return row_.key_env; }
    [[nodiscard]] Result<Prepared> prepare(const Job& job) override;
    [[nodiscard]] uint64_t lessons() const override { return learned_.count(); }
    void learn(const Job& job, protocols::Api api, const routing::Outcome& outcome) override;

  private:
    [[nodiscard]] Result<void> set_address(const Job& job, Prepared& out);
    const PlainRow& row_;
    Learned learned_;
    Urls urls_;
};

}  // namespace belay::providers

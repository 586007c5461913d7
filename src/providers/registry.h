#pragma once
// The list of upstreams. A provider that speaks OpenAI's (or Anthropic's) API plainly is a row in
// openai_compatible.cpp; one with quirks is a file of its own and one line in registry.cpp.
#include <memory>
#include <string_view>
#include <vector>

#include "providers/provider.h"

namespace belay::providers {

class Registry {
  public:
    Registry();
    // nullptr when no provider has that name. LiteLLM's aliases are understood ("custom_openai").
    [[nodiscard]] Provider* find(std::string_view name) const;
    [[nodiscard]] std::vector<std::string_view> names() const;

  private:
    std::vector<std::unique_ptr<Provider>> providers_;
};

}  // namespace belay::providers

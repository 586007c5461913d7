#pragma once
// Parsed base addresses, kept: the same few texts come with every request. Thread-safe, bounded.
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "wire/url.h"

namespace belay::providers {

class Urls {
  public:
    static constexpr size_t kMax = 64;
    [[nodiscard]] Result<std::shared_ptr<const Url>> parse(std::string_view text);

  private:
    std::mutex mutex_;
    std::vector<std::pair<std::string, std::shared_ptr<const Url>>> known_;
};

}  // namespace belay::providers

#pragma once
// What upstreams taught by refusing: per provider and model, parameters to drop or to rename and
// APIs that do not serve it. Bounded, forgotten after ten minutes (models change under a stable
// name), shared by all loops.
#include <atomic>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "protocols/stream.h"
#include "routing/outcome.h"

namespace belay::providers {

class Learned {
  public:
    static constexpr std::chrono::minutes kLifetime{10};
    static constexpr size_t kMaxModels = 256;
    static constexpr size_t kMaxRules = 16;  // per model and kind

    struct Lesson {
        std::vector<std::string> drops;
        std::vector<std::pair<std::string, std::string>> renames;
        uint8_t refused_apis = 0;  // bit 1 << Api
        [[nodiscard]] bool refuses(protocols::Api api) const {
            return (refused_apis >> static_cast<unsigned>(api)) & 1U;
        }
        [[nodiscard]] bool empty() const {
            return drops.empty() && renames.empty() && refused_apis == 0;
        }
        bool operator==(const Lesson&) const = default;
    };

    // What is known now; empty when nothing is. Takes no lock while nothing has ever been learned.
    [[nodiscard]] Lesson look(std::string_view model, Mono now) const;
    // Reads wrong_endpoint and bad_parameter outcomes; others teach nothing.
    void report(std::string_view model, protocols::Api api, const routing::Outcome& outcome,
                Mono now);
    void clear();
    // How often something was learned.
    [[nodiscard]] uint64_t count() const { return count_.load(std::memory_order_acquire); }

  private:
    struct Row {
        Lesson lesson;
        Mono until{};
    };
    mutable std::mutex mutex_;
    std::atomic<bool> any_{false};
    std::atomic<uint64_t> count_{0};
    std::unordered_map<std::string, Row> rows_;
};

}  // namespace belay::providers

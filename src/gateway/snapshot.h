#pragma once
// The configuration that one request sees: immutable, replaced whole by a reload. A request keeps
// its own reference, so it never sees two configurations.
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/secret.h"
#include "chat/usage.h"
#include "routing/table.h"

namespace belay::gateway {

// Who may spend the process's own Copilot account, the operator's seat.
enum class DefaultSeat : uint8_t {
    without_own,  // callers who have no account of their own
    always,       // them, and the others while their own account is signed out or used up
    never,        // the master key alone
};

struct Snapshot {
    std::shared_ptr<const routing::Table> table;
    Secret master_key;                         // never empty: the default is the example key
    std::string key_header;                    // general_settings.litellm_key_header_name
    std::vector<std::string> allowed_hosts;    // beside IP addresses, localhost and one-label names
    std::vector<std::string> allowed_origins;  // exact, for browsers
    bool expand_wildcards = false;             // /v1/models lists what a wildcard stands for
    bool always_include_stream_usage = false;
    DefaultSeat default_seat = DefaultSeat::without_own;
    int budget_status = 422;  // of a refusal for an exhausted budget
    // A model without a known price, asked for by a caller with a budget: refused, charged at the
    // assumed price when there is one, else free (as LiteLLM has it).
    bool refuse_unpriced = true;
    std::optional<chat::PriceCard> assumed_price;
    bool store_prompts = false;  // where neither key nor team says otherwise
    std::string version;         // of the program
};

using SnapshotPtr = std::shared_ptr<const Snapshot>;

// Where the current one is found. publish() from any thread; look() costs one atomic load as long
// as nothing has changed.
class SnapshotStore {
  public:
    struct Seen {  // one per loop
        SnapshotPtr snapshot;
        uint64_t generation = 0;
    };
    void publish(SnapshotPtr snapshot) {
        std::lock_guard lock(mutex_);
        current_ = std::move(snapshot);
        generation_.fetch_add(1, std::memory_order_release);
    }
    [[nodiscard]] const SnapshotPtr& look(Seen& seen) const {
        const uint64_t generation = generation_.load(std::memory_order_acquire);
        if (seen.generation != generation) {
            std::lock_guard lock(mutex_);
            seen.snapshot = current_;
            seen.generation = generation_.load(std::memory_order_relaxed);
        }
        return seen.snapshot;
    }
    [[nodiscard]] SnapshotPtr current() const {
        std::lock_guard lock(mutex_);
        return current_;
    }

  private:
    mutable std::mutex mutex_;
    SnapshotPtr current_;
    std::atomic<uint64_t> generation_{0};
};

}  // namespace belay::gateway

#pragma once
// All meters of a governor, found by scope: through the hint that a scope keeps, else by name.
// Bounded: what is idle and remembers nothing goes, and of the scopes that requests can make up the
// oldest gives way. For the governor, who locks.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "governance/governor.h"
#include "governance/meter.h"

namespace belay::governance {

class MeterTable {
  public:
    [[nodiscard]] Meter* find(ScopeKind kind, std::string_view id, std::string_view model) const;
    Meter* find_or_make(ScopeKind kind, std::string_view id, std::string_view model, bool& made);
    // The meter of a scope (of a model within it), made when it is new, its windows taken over.
    // Inline, since every request asks for every scope and the hint nearly always holds.
    Meter* meter_of(const Scope& scope, int64_t now_ms) {
        Meter* known = hinted(scope.meter.load());
        return known != nullptr ? known : bind(scope, now_ms);
    }
    Meter* meter_of(const Scope& scope, const ModelLimit& limit, int64_t now_ms) {
        Meter* known = hinted(limit.meter.load());
        return known != nullptr ? known : bind(scope, limit, now_ms);
    }

    // Begins the window anew, and keeps that to be told.
    void roll(Meter& meter, uint8_t window, int64_t now_ms);
    // Begins the windows of one slot that have ended, and drops the meter when nothing is lost.
    void keep_up(size_t slot, int64_t now_ms, int64_t second);
    [[nodiscard]] std::vector<Governor::Reset> take_resets();
    void forget(ScopeKind kind, std::string_view id);
    void set_zone(std::string_view iana) { zone_ = std::string(iana); }

    [[nodiscard]] size_t slots() const { return meters_.size(); }
    [[nodiscard]] const Meter* at(size_t slot) const { return meters_[slot].get(); }
    [[nodiscard]] size_t size() const { return by_name_.size(); }

  private:
    static constexpr int kIndexBits = 24;  // of a MeterHint; the stamp above it
    static constexpr uint64_t kIndexMask = (uint64_t{1} << kIndexBits) - 1;

    [[nodiscard]] Meter* hinted(uint64_t hint) const {
        const uint64_t index = hint & kIndexMask;
        if (index >= meters_.size()) {
            return nullptr;
        }
        Meter* meter = meters_[index].get();
        return meter != nullptr && meter->stamp == hint >> kIndexBits ? meter : nullptr;
    }
    Meter* bind(const Scope& scope, int64_t now_ms);
    Meter* bind(const Scope& scope, const ModelLimit& limit, int64_t now_ms);
    [[nodiscard]] uint64_t hint_of(const Meter& meter) const;
    void make_room();
    void drop(size_t slot);

    std::vector<std::unique_ptr<Meter>> meters_;
    std::vector<uint32_t> free_slots_;
    std::unordered_map<std::string, uint32_t> by_name_;
    std::vector<Governor::Reset> resets_;  // not yet told
    std::string zone_ = "UTC";
    size_t clock_hand_ = 0;
};

}  // namespace belay::governance

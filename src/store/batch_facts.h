#pragma once
// What the database says of a batch beside its rows, so that a question passes over it without
// reading them: the times it spans, sums, the ends of what pages are sorted by, the requests' id
// keys, and a summary of which values occur how often.
//
//   summary = entry*, ascending; entry = hash:u64 (of a field and its value) count:u32
//   mixes   = mix*, ascending; mix = hash:u32[8] (one per field from key to model_group)
//             count:u32[3] (of requests by their status)
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/money.h"

namespace belay::store {

// Of which fields a summary counts the values. Numbers on disk.
enum class Field : uint8_t {
    key = 1,
    key_alias,
    user,
    team,
    organization,
    model,
    model_id,
    model_group,  // up to here: what a mix tells
    status,       // its number, one byte
    end_user,
    session,
    error_code,
};

// The four bytes that `batch` keeps of a request id: its first eight characters when they are hex
// digits (as a UUID's), else a hash of them.
[[nodiscard]] uint32_t id_key(std::string_view id);
void write_id_key(std::string& out, std::string_view id);
inline constexpr size_t kIdKeyChars = 8;

[[nodiscard]] uint64_t hash_text(std::string_view text, uint64_t seed);
[[nodiscard]] inline uint64_t hash_of(Field field, std::string_view value) {
    return hash_text(value, static_cast<uint64_t>(field));
}

// Counts values, then writes the summary.
class Tally {
  public:
    void add(Field field, std::string_view value, uint32_t count = 1) {
        if (!value.empty()) {
            entries_.push_back({hash_of(field, value), count});
        }
    }
    void add_hash(uint64_t hash, uint32_t count) { entries_.push_back({hash, count}); }
    void add_summary(std::string_view summary);
    // Leaves the tally empty.
    [[nodiscard]] std::string take();

  private:
    struct Entry {
        uint64_t hash;
        uint32_t count;
    };
    std::vector<Entry> entries_;
};
[[nodiscard]] uint32_t count_in(std::string_view summary, uint64_t hash);

// How often one combination of values occurs in a batch. Questions with several conditions are
// counted by these.
inline constexpr size_t kMixFields = 8;
inline constexpr size_t kStatuses = 3;
struct Mix {
    std::array<uint32_t, kMixFields> hashes{};
    std::array<uint32_t, kStatuses> uses{};
};
[[nodiscard]] constexpr Field mix_field(size_t index) { return static_cast<Field>(index + 1); }
[[nodiscard]] constexpr uint32_t mix_hash(uint64_t hash) {
    return static_cast<uint32_t>(hash >> 32U);
}
// Equal ones become one. Sorts the argument.
[[nodiscard]] std::string write_mixes(std::vector<Mix>& mixes);
[[nodiscard]] std::vector<Mix> read_mixes(std::string_view text);

struct Range {
    int64_t low = INT64_MAX;
    int64_t high = INT64_MIN;
    void add(int64_t value) {
        low = value < low ? value : low;
        high = value > high ? value : high;
    }
    void add(const Range& other) {
        low = other.low < low ? other.low : low;
        high = other.high > high ? other.high : high;
    }
};

struct BatchFacts {
    int64_t requests = 0;
    int64_t failures = 0;
    int64_t prompt_tokens = 0;
    int64_t output_tokens = 0;
    NanoCredits cost;
    int64_t cost_unknown = 0;
    Range received_ms, cost_each, tokens_each, total_us, first_token_us;
    std::string id_keys;
    std::string common;  // summary of the fields of which a batch has few values
    std::string varied;  // and of end_user, session, error_code
    std::string mixes;

    // Becomes what is said of its rows with those of `next` behind them.
    void absorb(const BatchFacts& next);
};

}  // namespace belay::store

#pragma once
// SpendRecord and Trace as one flat row of bytes: how they stand in the journal, wait in memory,
// and how the database keeps a commit's rows together. Encoding copies once and allocates nothing
// but a string's growth; decoding gives views. This is a format on disk (kRowFormat): integers are
// little-endian.
//
//   row    = size:u32 (of what follows) fixed:RowFixed lengths:u32[5] id upstream_id route rest
//            trace
//   route  = call_type client_api api (one byte each, '0' + value), then size:u16 and bytes of
//            asked model_group deployment_id provider upstream_model api_base key_fingerprint
//            key_alias user user_agent team organization. Rows share routes: where
//            fixed.route_back is not 0, this row's route is the fixed.route_size bytes that begin
//            so many bytes before the row does
//   rest   = nothing, or size:u16 labels extra
//   labels = nothing, or size:u16 and bytes of end_user session_id error_code tag*
//   extra  = JSON of the seldom fields, or nothing
//   trace  = JSON, or nothing when it follows from the record
//
// The texts of route and labels are valid UTF-8 without control bytes. Rows of format 1 (no
// kFormat2 in their flags) have routes without team and organization, and a rest that is all JSON;
// they are read, and rewritten on their way into the database.
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ledger/ledger.h"

namespace belay::store {

inline constexpr int64_t kRowFormat = 2;

struct RowFixed {
    int64_t received_ms = 0;
    int64_t queue_us = 0;
    int64_t first_byte_us = 0;
    int64_t first_token_us = 0;
    int64_t total_us = 0;
    int64_t input = 0;
    int64_t cache_read = 0;
    int64_t cache_write = 0;
    int64_t output = 0;
    int64_t reasoning = 0;
    int64_t cost = 0;
    int64_t premium_milli = 0;
    int32_t http_status = 0;
    uint32_t route_back = 0;
    uint8_t status = 0;
    uint8_t cost_source = 0;
    uint8_t initiator = 0;
    uint8_t flags = 0;           // kStream | ...
    uint32_t route_size = 0;     // with route_back
    int64_t attempt_end_us = 0;  // of a trace that is not written
};
static_assert(sizeof(RowFixed) == 120);

inline constexpr uint8_t kStream = 1;
inline constexpr uint8_t kCacheHit = 2;
inline constexpr uint8_t kEstimated = 4;
inline constexpr uint8_t kFellBack = 8;  // attempted_fallbacks is not 0
inline constexpr uint8_t kFormat2 = 0x80;

struct RowView {
    RowFixed fixed;
    std::string_view id;
    std::string_view upstream_id;
    std::string_view route;
    std::string_view labels;
    std::string_view extra;
    std::string_view trace;
};

// What a route says of every row that has it.
struct RouteView {
    ledger::Api client_api = ledger::Api::other;
    std::string_view asked, model_group, deployment_id, provider, upstream_model, api_base;
    std::string_view key, key_alias, user, user_agent, team, organization;
};
[[nodiscard]] RouteView read_route(std::string_view route);

// What labels say. Tags are stepped through: `while (!tags.empty()) next_label(tags)`.
struct LabelView {
    std::string_view end_user, session_id, error_code;
    std::string_view tags;
};
[[nodiscard]] LabelView read_labels(std::string_view labels);
[[nodiscard]] std::string_view next_label(std::string_view& rest);

// Writes rows one behind the other into one buffer and remembers where its routes stand. clear()
// before another buffer, or the same one emptied, is written to.
class RowWriter {
  public:
    void write(std::string& rows, const ledger::SpendRecord& record, const ledger::Trace& trace);
    // Writes behind the first `used` of the `capacity` bytes at `rows`. The row's size; 0 when it
    // does not fit, then nothing is written.
    [[nodiscard]] size_t write(char* rows, size_t used, size_t capacity,
                               const ledger::SpendRecord& record, const ledger::Trace& trace);
    void clear() { recent_ = {}; }

  private:
    struct Plan;
    [[nodiscard]] Plan plan(std::string_view rows, const ledger::SpendRecord& record,
                            const ledger::Trace& trace);
    void put(char* rows, const Plan& plan, const ledger::SpendRecord& record);

    [[nodiscard]] bool find_route(std::string_view rows, Plan& plan) const;
    void clean_texts(Plan& plan);

    // Positions + 1 of routes in the buffer, by a hash of what tells routes apart; 0 = none.
    std::array<uint32_t, 128> recent_{};
    std::string seldom_;   // rest and trace of the row at hand
    std::string cleaned_;  // texts that were not fit to be kept as they came
};

// Steps through rows; stops at the end or at the first row that is cut short or no row.
class RowReader {
  public:
    explicit RowReader(std::string_view rows) : rows_(rows) {}
    [[nodiscard]] std::optional<RowView> next();
    // Where the next row begins.
    [[nodiscard]] size_t position() const { return at_; }

  private:
    std::string_view rows_;
    size_t at_ = 0;
};

// The whole entry again, its texts cleaned. An extra or a trace that does not read back is left
// empty.
[[nodiscard]] ledger::Entry restore_entry(const RowView& row);
// The message of a failure alone, as it is kept.
[[nodiscard]] std::string restore_error_message(const RowView& row);

// The same rows in the format of today, when some are not: nullopt when there is nothing to do.
[[nodiscard]] std::optional<std::string> renew_rows(std::string_view rows);

}  // namespace belay::store

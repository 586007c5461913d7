#pragma once
// SpendRecord and Trace as one flat row of bytes: how they wait in memory for the writer and in the
// spool for a store that refuses. Encoding copies and allocates nothing but the buffer's growth;
// decoding gives views. Little-endian, this machine's own: rows never leave it.
//
//   row    = size:u32 (of what follows) fixed:RowFixed lengths:u32[4] id route extra trace
//   route  = call_type client_api api (one byte each, '0' + value) then asked model_group
//   deployment_id
//            provider upstream_model api_base key_fingerprint key_alias user user_agent, each ended
//            by 0x1F
//   extra  = JSON of the seldom fields, or nothing
//   trace  = JSON, or nothing when it follows from the record
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ledger/ledger.h"

namespace belay::store {

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
    uint8_t status = 0;
    uint8_t cost_source = 0;
    uint8_t flags = 0;  // kStream | kCacheHit | kEstimated | initiator << kInitiatorShift
    uint8_t unused = 0;
};

inline constexpr uint8_t kStream = 1;
inline constexpr uint8_t kCacheHit = 2;
inline constexpr uint8_t kEstimated = 4;
inline constexpr unsigned kInitiatorShift = 3;

struct RowView {
    RowFixed fixed;
    std::string_view id;
    std::string_view route;
    std::string_view extra;
    std::string_view trace;
};

struct RouteView {
    char call_type = '0';
    char client_api = '0';
    char api = '0';
    // asked, model_group, deployment_id, provider, upstream_model, api_base, key_fingerprint,
    // key_alias, user, user_agent
    std::array<std::string_view, 10> texts;
};

void encode_row(std::string& out, const ledger::SpendRecord& record, const ledger::Trace& trace);
// Takes the first row off `rows`; nullopt when it is cut short or no row.
[[nodiscard]] std::optional<RowView> decode_row(std::string_view& rows);
[[nodiscard]] RouteView split_route(std::string_view route);
// The whole entry again. A trace or an extra that does not read back is left empty.
[[nodiscard]] ledger::Entry restore_entry(const RowView& row);

}  // namespace belay::store

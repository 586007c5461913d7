#pragma once
// What was said, kept only where it was asked for: a request's body and its reply beside the
// record. The relay gathers the bytes as they pass (Payload); a writer in the background cuts,
// redacts and compresses them and hands them to a PayloadStore.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace belay::ledger {

// The bytes as they passed. Bounded: what is beyond is not kept, and that is noted.
struct Payload {
    static constexpr size_t kRequestMost = 8U << 20;
    static constexpr size_t kReplyMost = 4U << 20;

    std::string request;  // the client's body
    std::string reply;    // one JSON object, or the frames of an event stream
    size_t request_bytes = 0;
    size_t reply_bytes = 0;
    bool stream = false;

    void put_request(std::string_view body) {
        request_bytes = body.size();
        if (body.size() <= kRequestMost) {
            request = body;
        }
    }
    void add_reply(std::string_view bytes) {
        reply_bytes += bytes.size();
        if (reply_bytes <= kReplyMost) {
            reply += bytes;
        }
    }
};

// A payload as it is kept: JSON texts, cut and redacted. `key`, `user` and `team` are the record's.
struct KeptPayload {
    std::string request_id;
    int64_t received_ms = 0;
    std::string key, user, team;
    std::string request;   // the client's body
    std::string response;  // of a stream: assembled
    bool operator==(const KeptPayload&) const = default;
};

// Where payloads are kept. Calls wait for a disk: never from an event loop. Thread-safe.
class PayloadStore {
  public:
    virtual ~PayloadStore() = default;
    // All or none; one with a known request_id takes the old one's place.
    [[nodiscard]] virtual Result<void> save(const std::vector<KeptPayload>& payloads) = 0;
    [[nodiscard]] virtual Result<std::optional<KeptPayload>> find(std::string_view request_id) = 0;
    // Deletes what was received before `ms`; how many.
    [[nodiscard]] virtual Result<uint64_t> drop_before(int64_t ms) = 0;
};

}  // namespace belay::ledger

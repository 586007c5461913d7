#pragma once
// A scenario: everything of the simulated world that can be chosen. The default is a healthy Pro+
// account billed by tokens, beside one account of every other plan, and the catalogue of mid 2026.
// docs/simulator.md describes the JSON form that parse_scenario reads.
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "sim/account.h"
#include "sim/catalogue.h"
#include "sim/fault.h"
#include "sim/quirks.h"
#include "wire/json.h"

namespace belay::sim {

struct DeviceSpec {
    int64_t interval_s = 5;
    int64_t expires_in_s = 900;
    bool enforce_interval = true;  // an early poll is answered with slow_down
    std::vector<std::string>
        script;  // answers to valid polls, the last one repeats; empty = a human
    std::string account = "pro_plus";  // whose account the human signs in with
};

// A client application (or integration) that sees fewer models.
struct AllowList {
    std::string id;
    std::vector<std::string> models;  // empty = all
};

// Prebuilt answers for benchmarks: no parsing, no log, no quota.
struct BenchSpec {
    bool enabled = false;
    int64_t chunks = 16;        // content events of a stream
    int64_t reply_bytes = 800;  // of the plain reply, about
    int64_t chunk_ms = 0;       // pause between events
    int64_t hold_s = 0;         // keep a stream open so long before its end
};

struct Scenario {
    uint64_t seed = 1;
    std::vector<Model> models;
    std::vector<AccountSpec> accounts;
    DeviceSpec device;
    int64_t token_lifetime_s = 1800;
    int64_t refresh_in_s = 0;  // 0 = lifetime - 300, or half of a short lifetime
    std::string token_host =
        "announced";  // "announced": endpoints.api is there; "absent": left out
    bool require_editor_version = true;
    std::string api_version_oldest = "2025-04-01";
    std::string api_version_newest = "2026-12-31";
    std::vector<AllowList> integrations;  // Copilot-Integration-Id; empty = every id, all models
    std::vector<AllowList> clients;       // OAuth client ids
    int64_t body_limit = 8 << 20;
    bool plan_hosts = false;    // endpoints.api = base URL + /individual, /business or /enterprise
    bool strict_hosts = false;  // the generic host (no prefix) answers 421 too
    bool json_errors_as_text = true;
    bool strict_max_tokens = false;  // chat: max_tokens above the model's limit is refused
    bool strict_opaque = false;      // Gemini: a tool turn must bring its reasoning_opaque back
    bool web_search = false;         // responses: the hosted web_search tool is accepted
    int64_t log_entries = 1000;      // calls that GET /_sim/requests remembers
    int64_t head_ms = 0;             // wait before the head of a model call's answer
    int64_t chunk_ms = 0;            // wait between stream events
    std::array<Quirks, 3> quirks{};  // by Family
    std::vector<FaultRule> faults;
    BenchSpec bench;

    [[nodiscard]] const Quirks& quirks_of(Family family) const {
        return quirks[static_cast<size_t>(family)];
    }
};

[[nodiscard]] Scenario default_scenario();
// Every member is optional and changes the default; unknown members and wrong types are refused
// with the place.
[[nodiscard]] Result<Scenario> parse_scenario(const json::Value& value);
[[nodiscard]] Result<std::vector<FaultRule>> parse_faults(const json::Value& list);

}  // namespace belay::sim

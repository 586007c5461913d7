#pragma once
// The inside of the world: what it remembers between calls, and one call on its way through.
// Private to the simulator's own files; users see world.h.
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "sim/message.h"
#include "sim/prompt.h"
#include "sim/random.h"
#include "sim/scenario.h"

namespace belay::sim {

struct DeviceCode {
    std::string device_code;
    std::string user_code;
    std::string client_id;
    std::string scope;
    Wall created{};
    Wall last_poll{};
    int64_t interval_s = 5;
    size_t step = 0;  // of the script
    enum class Decision : uint8_t {
        open,
        authorized,
        denied,
        expired,
        used
    } decision = Decision::open;
    std::string account;  // who pressed Authorize
};

struct GithubToken {
    std::string account;
    std::string client_id;
    bool exchange = true;  // may call /copilot_internal/v2/token
    bool direct = true;    // is accepted as bearer on CAPI
};

// One line of the truth log. No credential is kept, only whose it was.
struct LogEntry {
    int64_t number = 0;
    Wall at{};
    std::string method;
    std::string target;
    Headers headers;
    std::string body;
    std::string credential;  // "none", "github", "copilot", "invalid"
    std::string account;
    std::string model;
    std::vector<std::string> faults;
    int status = 0;
    Usage usage;
    int64_t charged = 0;  // nano-units
};

// What one account was told it used of one model, by the request's `user`.
struct Sum {
    int64_t calls = 0;
    Usage usage;
    int64_t charged = 0;  // nano-units
};
using SumKey = std::tuple<std::string, std::string, std::string>;  // account, model, user

struct State {
    Scenario scenario;
    std::string base_url;
    std::vector<Account> accounts;
    std::map<std::string, GithubToken, std::less<>> github_tokens;
    std::vector<DeviceCode> devices;
    std::unordered_map<uint64_t, int64_t> prompt_cache;
    std::deque<LogEntry> log;
    std::map<std::string, int64_t, std::less<>>
        counters;  // "token_exchanges", "POST /responses", ...
    std::map<std::string, int64_t, std::less<>> statuses;
    std::map<std::string, int64_t, std::less<>> model_calls;  // "gpt-4.1 /chat/completions"
    Usage usage;
    int64_t charged = 0;
    std::map<SumKey, Sum> sums;
    milliseconds clock_offset{0};
    uint64_t ordinal = 0;

    [[nodiscard]] Account* find_account(std::string_view name);
    [[nodiscard]] const Model* find_model(std::string_view id) const;
    // The key of seals of one kind.
    [[nodiscard]] uint64_t key(std::string_view kind) const {
        return keyed_hash(scenario.seed, kind);
    }
};

enum class Credential : uint8_t { none, github, copilot, invalid };

// One request inside the world.
struct Call {
    State& state;
    const Request& request;
    Wall now;
    std::string_view path;  // without query and host prefix
    std::string_view query;
    std::string_view host;  // host prefix: "", "individual", "business", "enterprise"
    Random random;
    LogEntry& entry;
    Credential credential = Credential::none;
    Account* account = nullptr;
    json::Value body;
    bool body_is_json = false;
    const Model* model = nullptr;
    std::string model_id;  // as asked
    bool stream = false;
    Quirks quirks;
    std::vector<Fault> faults;
    bool quota_shown_empty = false;

    [[nodiscard]] std::string api_url(std::string_view host_name) const;
};

// Adds a call's usage and price to all that counts them.
void count_usage(Call& call, const Usage& usage, int64_t price);

// Replies.
[[nodiscard]] Reply json_reply(int status, const json::Value& body);
[[nodiscard]] Reply text_reply(int status, std::string_view text);
// CAPI's envelope {"error":{"message","code"[,"param","type"]}}.
[[nodiscard]] Reply capi_error(const Call& call, int status, std::string_view code,
                               std::string message, std::string_view param = {},
                               std::string_view type = {});
// A named fault as the answer.
[[nodiscard]] Reply named_error(const Call& call, std::string_view fault);
[[nodiscard]] Reply stream_reply();

// The surfaces. Each answers one request; nullopt-like results mean "go on".
[[nodiscard]] Reply serve_device_code(Call& call);
[[nodiscard]] Reply serve_access_token(Call& call);
[[nodiscard]] Reply serve_device_page(Call& call);
[[nodiscard]] Reply serve_exchange(Call& call);
[[nodiscard]] Reply serve_copilot_user(Call& call);
[[nodiscard]] Reply serve_github_user(Call& call);
[[nodiscard]] Reply serve_capi(Call& call);
[[nodiscard]] Reply serve_control(Call& call);

// Authorization: decides whose call it is. False leaves account null.
bool read_github_credential(Call& call);
bool read_capi_credential(Call& call);

[[nodiscard]] std::string decide_device(State& state, std::string_view user_code,
                                        DeviceCode::Decision decision, std::string_view account);
void load_scenario(State& state, Scenario scenario);
// A Copilot token of the account, valid for the scenario's lifetime; "" when there is none.
[[nodiscard]] std::string make_copilot_token(State& state, std::string_view account, Wall now);
// The first http fault of the call that stands instead of its answer; nullptr when there is none.
[[nodiscard]] const Fault* fault_before(const Call& call);

}  // namespace belay::sim

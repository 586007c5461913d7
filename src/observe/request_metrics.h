#pragma once
// What finished requests add up to, under LiteLLM's metric names and labels (LiteLLM docs,
// "Prometheus metrics"), and a few of our own. Fed from records, never from the data path itself.
// One thread. No label ever holds a key, a token or text of a prompt: keys are named by their hash
// and alias.
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/record.h"
#include "ledger/trace.h"
#include "observe/label_table.h"

namespace belay::observe {

// What records do not say. Called on the metrics' thread; may be empty functions.
struct Names {
    std::function<std::string(std::string_view team)> team_alias;
    std::function<std::string(std::string_view user)> user_email;
    // LiteLLM's hash of the key that is stored under this id: what its API shows.
    std::function<std::string(const std::string& key_id)> key_hash = {};
};

struct MetricOptions {
    bool end_user = false;  // the end_user label is filled (else "None", as LiteLLM does)
    size_t rows_most = LabelTable::kRowsMost;
    bool operator==(const MetricOptions&) const = default;
};

class RequestMetrics {
  public:
    explicit RequestMetrics(Names names, MetricOptions options = {});

    void add(const ledger::SpendRecord& record, const ledger::Trace& trace);
    // A deployment has begun to rest.
    void cooled_down(std::string_view model, std::string_view id, std::string_view provider,
                     std::string_view cause);
    void collect(std::vector<Family>& into) const;
    // The address that a deployment was last reached at, and whether its last attempt failed.
    struct Seen {
        std::string api_base;
        bool failed = false;
    };
    [[nodiscard]] const Seen* seen(const std::string& deployment) const;

  private:
    struct Facts;  // of one record, laid out once
    void add_proxy(const Facts& f);
    void add_tokens(const Facts& f);
    void add_latency(const Facts& f);
    void add_attempts(const Facts& f);
    void add_fallback(const Facts& f);
    [[nodiscard]] std::string_view bounded(std::set<std::string, std::less<>>& known,
                                           std::string_view value) const;

    Names names_;
    MetricOptions options_;
    LabelTable proxy_, failed_, spend_, tokens_, total_, upstream_, overhead_, attempt_,
        attempt_failed_, per_token_, fallback_, cooled_, own_;
    size_t requests_c_, failed_c_, spend_requests_c_, spend_c_, total_tokens_c_, input_c_,
        output_c_, cached_c_, cache_write_c_, reasoning_c_, total_h_, upstream_h_, first_token_h_,
        overhead_h_, success_c_, attempts_c_, failures_c_, per_token_h_, fallback_ok_c_,
        fallback_bad_c_, cooled_c_, own_requests_c_, own_cost_c_, own_premium_c_, own_aborted_c_,
        own_unknown_c_, own_estimated_c_, own_queue_h_;
    std::set<std::string, std::less<>> agents_, end_users_, asked_;
    std::unordered_map<std::string, Seen> seen_;
};

// LiteLLM's class of an error, with the provider before it: "Github_copilot.RateLimitError".
[[nodiscard]] std::string exception_class(const ledger::SpendRecord& record);

}  // namespace belay::observe

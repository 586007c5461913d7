#include "ledger/intents.h"

#include <algorithm>
#include <utility>

namespace belay::ledger {

Entry interrupted(SpendRecord record, NanoCredits held, int attempt) {
    record.status = Status::failure;
    record.error_kind = Kind::internal;
    record.error_code = "interrupted";
    record.error_message =
        "the gateway was stopped while this request was on its way; what the model answered is "
        "not known";
    record.cost = held;
    record.cost_source = chat::CostSource::unknown;
    record.attempted_retries = std::max(attempt - 1, 0);
    Trace trace;
    trace.asked = record.asked;
    Attempt& last = trace.attempts.emplace_back();
    last.group = record.model_group;
    last.deployment_id = record.deployment_id;
    last.model = record.upstream_model;
    last.start_us = record.queue_us;
    last.end_us = record.queue_us;
    last.cause = "interrupted";
    if (attempt > 1) {
        trace.warnings.push_back("attempt " + std::to_string(attempt) +
                                 ": nothing is kept of the earlier ones");
    }
    if (held.value > 0) {
        trace.warnings.push_back("charged with what was reserved for it");
    }
    return {std::move(record), std::move(trace)};
}

}  // namespace belay::ledger

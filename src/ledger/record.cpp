#include "ledger/record.h"

#include <array>

namespace belay::ledger {

namespace {

constexpr std::array<std::string_view, 3> kStatuses{"success", "failure", "client_aborted"};
constexpr std::array<std::string_view, 6> kApis{"other",    "chat",       "responses",
                                                "messages", "embeddings", "completions"};
constexpr std::array<std::string_view, 6> kCallTypes{
    "other", "acompletion", "atext_completion", "aembedding", "aresponses", "anthropic_messages"};
constexpr std::array<std::string_view, 3> kInitiators{"unknown", "user", "agent"};

template <class Enum, size_t N>
std::string_view name_in(const std::array<std::string_view, N>& names, Enum value) {
    const auto index = static_cast<size_t>(value);
    return index < N ? names[index] : std::string_view{};
}

template <class Enum, size_t N>
Enum value_in(const std::array<std::string_view, N>& names, std::string_view name, Enum fallback) {
    for (size_t i = 0; i < N; ++i) {
        if (names[i] == name) {
            return static_cast<Enum>(i);
        }
    }
    return fallback;
}

}  // namespace

std::string_view status_name(Status status) { return name_in(kStatuses, status); }
std::string_view api_name(Api api) { return name_in(kApis, api); }
std::string_view call_type_name(CallType type) { return name_in(kCallTypes, type); }
std::string_view initiator_name(Initiator initiator) { return name_in(kInitiators, initiator); }

Status parse_status(std::string_view name) { return value_in(kStatuses, name, Status::failure); }
Api parse_api(std::string_view name) { return value_in(kApis, name, Api::other); }
CallType parse_call_type(std::string_view name) {
    return value_in(kCallTypes, name, CallType::other);
}
Initiator parse_initiator(std::string_view name) {
    return value_in(kInitiators, name, Initiator::unknown);
}

std::string_view SpendRecord::shown_account() const {
    return !account.empty()               ? std::string_view(account)
           : provider == "github_copilot" ? std::string_view("default")
                                          : std::string_view();
}

void SpendRecord::clear() {
    for (std::string* text :
         {&request_id,     &asked,      &model_group, &deployment_id,   &provider,
          &upstream_model, &api_base,   &error_code,  &error_message,   &key_fingerprint,
          &key_alias,      &user,       &team,        &organization,    &account,
          &end_user,       &session_id, &user_agent,  &fallback_reason, &upstream_request_id}) {
        text->clear();
    }
    tags.clear();
    call_type = CallType::other;
    client_api = api = Api::other;
    status = Status::failure;
    http_status = 0;
    error_kind.reset();
    stream = false;
    received_ms = queue_us = first_byte_us = first_token_us = total_us = 0;
    usage = {};
    cost = {};
    cost_source = chat::CostSource::unknown;
    premium_milli = 0;
    attempted_retries = attempted_fallbacks = 0;
    initiator = Initiator::unknown;
    cache_hit = usage_estimated = false;
}

}  // namespace belay::ledger

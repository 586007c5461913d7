#pragma once
// The columns of the tables of sums, in their order, and the fields that they are: for those who
// write them and those who read them, in either database.
#include <algorithm>
#include <array>
#include <initializer_list>
#include <string>
#include <string_view>

#include "ledger/query.h"

namespace belay::store {

// What a series' name is joined with.
inline constexpr char kNameJoint = '\x1F';
inline constexpr std::string_view kNameColumns =
    "\"key\",key_alias,\"user\",team,organization,end_user,tag,model,model_group,provider,"
    "endpoint";
inline constexpr int kNames = 11;
inline constexpr std::string_view kMetricColumns =
    "cost,prompt_tokens,completion_tokens,cache_read_tokens,cache_write_tokens,requests,successes,"
    "failures,premium_milli,fallbacks,total_us,first_token_us,unknown_cost";

// In the order of kMetricColumns.
template <class M>
auto counts_of(M& metrics) {
    return std::array{
        &metrics.cost.value,        &metrics.prompt_tokens,      &metrics.completion_tokens,
        &metrics.cache_read_tokens, &metrics.cache_write_tokens, &metrics.requests,
        &metrics.successes,         &metrics.failures,           &metrics.premium_milli,
        &metrics.fallbacks,         &metrics.total_us,           &metrics.first_token_us,
        &metrics.unknown_cost};
}

// In the order of kNameColumns.
inline auto names_of(ledger::DaySum& sum) {
    return std::array{&sum.key,          &sum.key_alias, &sum.user,    &sum.team,
                      &sum.organization, &sum.end_user,  &sum.tag,     &sum.model,
                      &sum.model_group,  &sum.provider,  &sum.endpoint};
}

// The texts that a series' name joins.
[[nodiscard]] inline std::array<std::string_view, kNames> split_name(std::string_view name) {
    std::array<std::string_view, kNames> parts;
    for (std::string_view& part : parts) {
        part = name.substr(0, name.find(kNameJoint));
        name.remove_prefix(std::min(part.size() + 1, name.size()));
    }
    return parts;
}

[[nodiscard]] inline std::string join_sql(std::initializer_list<std::string_view> parts) {
    std::string text;
    for (const std::string_view part : parts) {
        text += part;
    }
    return text;
}

}  // namespace belay::store

#pragma once
// Did you mean: how far a name is from a known one. Pure. Used for keys, model names, providers and
// choices; it forgives case, dashes, camelCase, plurals, word order, missing or transposed letters
// and names that are cut short.
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace belay::app {

// Lower case, '-', ' ' and '.' as '_', camelCase split: "maxTokens" and "MAX-TOKENS" are
// max_tokens.
[[nodiscard]] std::string normal_name(std::string_view name);

// Damerau-Levenshtein (optimal string alignment), in bytes.
[[nodiscard]] size_t edit_distance(std::string_view a, std::string_view b);

// 0 = the same but for spelling conventions, about 0.1 per typing error in a name of ordinary
// length; nullopt = no resemblance worth telling.
[[nodiscard]] std::optional<double> name_distance(std::string_view typed, std::string_view known);

// The nearest candidate, or "" when none resembles.
[[nodiscard]] std::string suggest(std::string_view typed, std::span<const std::string> candidates);

// For model names: "github_copilot/gpt-5-mini". Digits count double (gpt-4.1 is not gpt-5.1
// mistyped) and a missing provider prefix is forgiven.
[[nodiscard]] std::string suggest_model(std::string_view typed,
                                        std::span<const std::string> candidates);

}  // namespace belay::app

#pragma once
// Paths that name members of a request body, as LiteLLM's additional_drop_params does:
//   path  = name *( "." name | "[" ( "*" / digits ) "]" )
// Used by chat_edit for nested drops. Pure.
#include <string>
#include <string_view>
#include <vector>

#include "wire/scan.h"

namespace belay::protocols {

struct PathStep {
    enum class What : uint8_t { member, every_item, item };
    What what = What::member;
    std::string name;  // for member
    size_t index = 0;  // for item
    bool operator==(const PathStep&) const = default;
};

// Empty when the text is no path.
[[nodiscard]] std::vector<PathStep> parse_path(std::string_view text);

// `text` (validated JSON) without what the paths name. One pass per path; overlapping paths are
// fine.
[[nodiscard]] std::string drop_paths(std::string text, const std::vector<std::string>& paths);

}  // namespace belay::protocols

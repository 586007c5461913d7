#pragma once
// The answers every Ledger of this module gives when a question has no single answer.
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace belay::store {

[[nodiscard]] inline Error no_id() {
    return caller_error(Kind::invalid_request, "a request id is needed");
}

[[nodiscard]] inline Error not_found(std::string_view id) {
    return gateway_error(Kind::not_found,
                         "the ledger has no request \"" + std::string(id.substr(0, 64)) + "\"");
}

[[nodiscard]] inline Error ambiguous(std::string_view id, const std::vector<std::string>& ids) {
    constexpr size_t kShown = 5;
    std::string message = "several requests begin with \"" + std::string(id.substr(0, 64)) + "\":";
    for (size_t i = 0; i < ids.size() && i < kShown; ++i) {
        message += (i == 0 ? " " : ", ") + ids[i];
    }
    message += ids.size() > kShown ? ", ...; give more of it" : "; give more of it";
    return gateway_error(Kind::invalid_request, std::move(message));
}

}  // namespace belay::store

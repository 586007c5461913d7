#include "providers/headers.h"

#include <algorithm>

#include "wire/http.h"

namespace belay::providers {

bool is_reserved_header(std::string_view name) {
    for (const std::string_view reserved :
         {"authorization", "api-key", "x-api-key", "proxy-authorization", "host", "content-length",
          "content-type", "transfer-encoding", "connection", "te", "trailer", "upgrade",
          "accept-encoding", "expect", "cookie"}) {
        if (http::iequals(name, reserved)) {
            return true;
        }
    }
    return false;
}

std::string_view HeaderLines::configured(std::string_view name) const {
    for (const auto& [key, value] : extra_) {
        if (http::iequals(key, name) && !is_reserved_header(key)) {
            return value;
        }
    }
    return {};
}

void HeaderLines::add(std::string_view name, std::string_view value) {
    if (!is_settled(name) && configured(name).empty()) {
        http::write_header(out_, name, value);
    }
}

bool HeaderLines::is_settled(std::string_view name) const {
    return std::any_of(insisted_.begin(), insisted_.end(),
                       [name](std::string_view settled) { return http::iequals(settled, name); });
}

void HeaderLines::insist(std::string_view name, std::string_view value) {
    insisted_.push_back(name);
    http::write_header(out_, name, value);
}

std::string HeaderLines::finish() {
    for (const auto& [key, value] : extra_) {
        if (!is_settled(key) && !value.empty() && !is_reserved_header(key)) {
            http::write_header(out_, key, value);
        }
    }
    return std::move(out_);
}

}  // namespace belay::providers

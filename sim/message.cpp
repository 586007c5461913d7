#include "sim/message.h"

#include <algorithm>

#include "wire/http.h"

namespace belay::sim {

std::string_view find_header(const Headers& headers, std::string_view name) {
    for (const auto& h : headers) {
        if (http::iequals(h.name, name)) {
            return h.value;
        }
    }
    return {};
}

bool has_header(const Headers& headers, std::string_view name) {
    return std::any_of(headers.begin(), headers.end(),
                       [name](const Header& h) { return http::iequals(h.name, name); });
}

void set_header(Headers& headers, std::string_view name, std::string_view value) {
    std::erase_if(headers, [name](const Header& h) { return http::iequals(h.name, name); });
    headers.push_back({std::string(name), std::string(value)});
}

std::string Reply::body() const {
    std::string all;
    for (const auto& part : parts) {
        all += part.bytes;
    }
    return all;
}

}  // namespace belay::sim

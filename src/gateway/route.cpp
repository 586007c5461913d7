#include "gateway/gateway.h"

namespace belay::gateway {
namespace {

struct Fixed {
    std::string_view path;
    Route route;
    bool is_public;
    std::string_view method;
};

constexpr Fixed kFixed[] = {
    {"/v1/chat/completions", Route::chat, false, "POST"},
    {"/chat/completions", Route::chat, false, "POST"},
    {"/cursor/chat/completions", Route::chat, false, "POST"},
    {"/v1/embeddings", Route::embeddings, false, "POST"},
    {"/embeddings", Route::embeddings, false, "POST"},
    {"/v1/models", Route::models, false, "GET"},
    {"/models", Route::models, false, "GET"},
    {"/health", Route::health, false, "GET"},
    {"/health/liveliness", Route::liveliness, true, "GET"},
    {"/health/liveness", Route::liveliness, true, "GET"},
    {"/health/readiness", Route::readiness, true, "GET"},
    {"/v1/responses", Route::responses_socket, true, "GET"},
    {"/responses", Route::responses_socket, true, "GET"},
};

}  // namespace

Routed route(std::string_view path) {
    if (path.size() > 1 && path.back() == '/') {
        path.remove_suffix(1);
    }
    for (const Fixed& fixed : kFixed) {
        if (path == fixed.path) {
            return {fixed.route, {}, fixed.is_public, fixed.method};
        }
    }
    // The model between a prefix and a suffix may hold slashes.
    for (const std::string_view prefix : {"/engines/", "/openai/deployments/"}) {
        if (!path.starts_with(prefix)) {
            continue;
        }
        const auto rest = path.substr(prefix.size());
        for (const auto& [suffix, target] :
             {std::pair<std::string_view, Route>{"/chat/completions", Route::chat},
              {"/embeddings", Route::embeddings}}) {
            if (rest.size() > suffix.size() && rest.ends_with(suffix)) {
                return {target, rest.substr(0, rest.size() - suffix.size()), false, "POST"};
            }
        }
    }
    for (const std::string_view prefix : {"/v1/models/", "/models/"}) {
        if (path.starts_with(prefix) && path.size() > prefix.size()) {
            return {Route::model, path.substr(prefix.size()), false, "GET"};
        }
    }
    return {};
}

}  // namespace belay::gateway

#include "gateway/callers.h"

#include <functional>

#include "base/clock.h"
#include "gateway/gateway.h"
#include "governance/keys.h"

namespace belay::gateway {
namespace {

std::string refusal(std::string_view message, std::string_view type, std::string_view param = {},
                    std::string_view code = "401") {
    return error_envelope(message, type, param, code);
}

bool is_model_call(std::string_view path) {
    const Routed routed = route(path);
    return routed.route == Route::chat || routed.route == Route::embeddings ||
           routed.route == Route::models || routed.route == Route::model;
}

bool is_info(std::string_view path) {
    for (const std::string_view part : {"/info", "/health", "/v1/models", "/models", "/list"}) {
        if (path.find(part) != std::string_view::npos) {
            return true;
        }
    }
    return false;
}

// Why a known key may not come in now; an empty body: it may.
Judged judge_known(governance::CallerPtr caller, std::string_view path, int64_t now_ms) {
    if (caller->blocked) {
        return {nullptr, 401,
                refusal("Authentication Error, Key is blocked. Update via `/key/unblock` if you're "
                        "an admin.",
                        "auth_error")};
    }
    if (caller->team_blocked) {
        return {nullptr, 401,
                refusal("Authentication Error, Team=" + caller->team_id +
                            " is blocked. Update via `/team/unblock` if your admin.",
                        "auth_error")};
    }
    if (caller->expires_ms != 0 && caller->expires_ms <= now_ms) {
        const auto at = [](int64_t ms) { return render_utc(Wall(milliseconds(ms))); };
        return {nullptr, 401,
                refusal("Authentication Error - Expired Key. Key Expiry time " +
                            at(caller->expires_ms) + " and current time " + at(now_ms),
                        "expired_key")};
    }
    if (!caller->allowed_routes.empty() && !covers_route(caller->allowed_routes, path)) {
        std::string list;
        for (const auto& one : caller->allowed_routes) {
            list += (list.empty() ? "'" : ", '") + one + "'";
        }
        return {nullptr, 403,
                refusal("Virtual key is not allowed to call this route. Only allowed to call "
                        "routes: [" +
                            list + "]. Tried to call route: " + std::string(path),
                        "auth_error", {}, "403")};
    }
    return {std::move(caller), 0, {}};
}

}  // namespace

bool covers_route(const std::vector<std::string>& routes, std::string_view path) {
    for (const std::string_view one : routes) {
        const bool named = (one == "llm_api_routes" && is_model_call(path)) ||
                           (one == "info_routes" && is_info(path)) ||
                           (one == "management_routes" && !is_model_call(path));
        const bool prefix =
            one.size() > 1 && one.back() == '*' && path.starts_with(one.substr(0, one.size() - 1));
        if (named || prefix || one == path) {
            return true;
        }
    }
    return false;
}

Callers::Callers(const governance::Directory* directory) : directory_(directory) {
    if (directory != nullptr) {
        return;  // it has a master with the global budget
    }
    auto master = std::make_shared<governance::Caller>();
    master->is_master = true;
    master->role = governance::Role::proxy_admin;
    master->key_alias = "litellm_proxy_master_key";
    master->user_id = "default_user_id";
    master_ = std::move(master);
}

Judged Callers::judge(const PresentedKey& presented, const Snapshot& snapshot,
                      std::string_view path, int64_t now_ms) {
    if (!presented.malformed && !presented.key.empty()) {
        if (snapshot.master_key.equals(presented.key)) {
            return {master(), 0, {}};
        }
        if (auto caller = find(presented.key)) {
            return judge_known(std::move(caller), path, now_ms);
        }
        if (directory_ != nullptr && presented.key.starts_with("sk-") &&
            !directory_->is_current()) {
            return {nullptr, 503,
                    refusal("The database of keys cannot be reached, and this key is not among "
                            "those known here. Try again soon.",
                            "no_db_connection", {}, "503")};
        }
    }
    return {nullptr, 401, check_key(presented, snapshot).value_or(std::string())};
}

const governance::CallerPtr& Callers::master() {
    if (directory_ != nullptr && master_generation_ != directory_->generation()) {
        master_generation_ = directory_->generation();
        master_ = directory_->master();
    }
    return master_;
}

governance::CallerPtr Callers::find(std::string_view key) {
    if (directory_ == nullptr || !key.starts_with("sk-")) {
        return nullptr;
    }
    if (const uint64_t generation = directory_->generation(); generation != generation_) {
        known_.clear();
        count_ = 0;
        generation_ = generation;
    }
    const size_t hash = std::hash<std::string_view>()(key);
    size_t slot = hash & (kSlots - 1);
    if (!known_.empty()) {
        while (known_[slot].caller != nullptr) {
            if (known_[slot].hash == hash && known_[slot].key.equals(key)) {
                return known_[slot].caller;
            }
            slot = (slot + 1) & (kSlots - 1);
        }
    }
    auto caller = directory_->caller(directory_->key_id(key));
    if (caller == nullptr) {
        return nullptr;
    }
    if (known_.empty() || count_ == kMostKnown) {
        known_.assign(kSlots, Known());
        count_ = 0;
        slot = hash & (kSlots - 1);
    }
    known_[slot] = {hash, Secret(std::string(key)), caller};
    ++count_;
    return caller;
}

}  // namespace belay::gateway

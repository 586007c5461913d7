#include "admin/secrets.h"

#include <algorithm>
#include <array>

// GCC 12 takes inlined moves of std::variant for reads of what was never set (GCC bug 105562).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace belay::admin {
namespace {

using json::Value;

bool ends_with(std::string_view text, std::string_view end) {
    return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

std::string member_place(std::string_view place, std::string_view name) {
    return std::string(place) + "/" + std::string(name);
}

Result<Value> seal_value(const Value& value, const Seal* seal, const std::string& place) {
    if (value.is_object()) {
        Value out = Value::object();
        for (const json::Member& member : value.members()) {
            out.set(member.key, TRY(seal_value(member.value, seal, place + "/" + member.key)));
        }
        return out;
    }
    const std::string_view text = value.as_string();
    if (!value.is_string() || text.empty() || is_sealed(text) ||
        text.substr(0, 11) == "os.environ/") {
        return value;
    }
    if (seal == nullptr) {
        return gateway_error(Kind::invalid_request,
                             "secrets cannot be stored without a key outside the database: set "
                             "LITELLM_SALT_KEY or a master key");
    }
    return Value(TRY(seal->seal(text, place)));
}

Result<Value> open_value(const Value& value, const Seal& seal, const std::string& place) {
    if (value.is_object()) {
        Value out = Value::object();
        for (const json::Member& member : value.members()) {
            out.set(member.key, TRY(open_value(member.value, seal, place + "/" + member.key)));
        }
        return out;
    }
    if (!is_sealed(value.as_string())) {
        return value;
    }
    return Value(TRY(seal.open(value.as_string(), place)).reveal());
}

}  // namespace

bool is_secret_name(std::string_view name) {
    constexpr std::array<std::string_view, 9> kEnds = {
        "_key",      "_token",       "_secret",
        "_password", "_credentials", "_key_id",
        "_headers",  "_pem",         "_private_key_passphrase"};
    constexpr std::array<std::string_view, 7> kWhole = {
        "key", "token", "secret", "password", "credentials", "headers", "authorization"};
    if (name.find("cost_per_") != std::string_view::npos) {
        return false;  // input_cost_per_token
    }
    return std::find(kWhole.begin(), kWhole.end(), name) != kWhole.end() ||
           std::any_of(kEnds.begin(), kEnds.end(),
                       [&](std::string_view end) { return ends_with(name, end); });
}

Result<Value> seal_members(const Value& object, Which which, const Seal* seal,
                           std::string_view place) {
    Value out = Value::object();
    for (const json::Member& member : object.members()) {
        if (which == Which::all || is_secret_name(member.key)) {
            Value sealed = TRY(seal_value(member.value, seal, member_place(place, member.key)));
            out.set(member.key, std::move(sealed));
        } else {
            out.set(member.key, member.value);
        }
    }
    return out;
}

Result<Value> open_members(const Value& object, const Seal& seal, std::string_view place) {
    Value out = Value::object();
    for (const json::Member& member : object.members()) {
        out.set(member.key, TRY(open_value(member.value, seal, member_place(place, member.key))));
    }
    return out;
}

Value without_secrets(const Value& object) {
    Value out = Value::object();
    for (const json::Member& member : object.members()) {
        if (!is_secret_name(member.key)) {
            out.set(member.key, member.value);
        }
    }
    return out;
}

}  // namespace belay::admin

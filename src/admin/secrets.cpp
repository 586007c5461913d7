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

// Wide on purpose: a misspelt "master_keyy" must not lie in the database in clear either.
bool is_secret_name(std::string_view name) {
    constexpr std::array<std::string_view, 8> kWords = {
        "key", "token", "secret", "passw", "credential", "headers", "authorization", "_pem"};
    constexpr std::array<std::string_view, 5> kHarmless = {"cost_per_", "tokens", "tokenizer",
                                                           "_alias", "_name"};
    const auto has = [&](std::string_view word) { return name.find(word) != name.npos; };
    return std::any_of(kWords.begin(), kWords.end(), has) &&
           std::none_of(kHarmless.begin(), kHarmless.end(), has);
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
        const bool plain = member.value.is_number() || member.value.is_bool();
        if (plain || !is_secret_name(member.key)) {
            out.set(member.key, member.value);
        }
    }
    return out;
}

}  // namespace belay::admin

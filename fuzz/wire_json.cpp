// The JSON document: parse agrees with validate, and what parses prints and parses back the same.
#include <cstdint>
#include <cstdlib>

#include "wire/json.h"
#include "wire/scan.h"

using namespace belay;

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

// Readers must cope with every value, and a value must equal what is rebuilt through them.
json::Value rebuild(const json::Value& value) {
    (void)value.as_int();
    (void)value.as_double();
    if (value.is_array()) {
        json::Value out = json::Value::array();
        for (const json::Value& item : value.items()) {
            out.push(rebuild(item));
        }
        return out;
    }
    if (value.is_object()) {
        json::Value out = json::Value::object();
        for (const json::Member& member : value.members()) {
            require(value.find(member.key) == &member.value);  // no duplicates were let through
            out.set(member.key, rebuild(member.value));
        }
        return out;
    }
    return value;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto value = json::parse(text);
    require(value.ok() == json::validate(text).ok());
    if (!value.ok()) {
        // Any bytes can be carried inside a string.
        std::string quoted;
        json::write_string(quoted, text);
        require(json::parse(quoted).ok());
        return 0;
    }
    const std::string compact = json::dump(value.value());
    const auto again = json::parse(compact);
    require(again.ok());
    require(again.value() == value.value());
    require(json::dump(again.value()) == compact);
    require(json::parse(json::dump_pretty(value.value())).value() == value.value());
    require(rebuild(value.value()) == value.value());
    return 0;
}

#include "sim/fields.h"

#include <algorithm>

namespace belay::sim {

Fields::Fields(const json::Value& object, std::string where)
    : object_(object), where_(std::move(where)) {
    if (!object.is_object()) {
        problem_ = where_ + " must be an object";
    }
}

const json::Value* Fields::any(std::string_view key) {
    known_.push_back(key);
    return object_.find(key);
}

void Fields::fail(std::string_view key, std::string_view problem) {
    if (problem_.empty()) {
        problem_ = where_ + "." + std::string(key) + " " + std::string(problem);
    }
}

void Fields::text(std::string_view key, std::string& out) {
    if (const json::Value* v = any(key)) {
        v->is_string() ? void(out = v->as_string()) : fail(key, "must be a string");
    }
}

void Fields::texts(std::string_view key, std::vector<std::string>& out) {
    const json::Value* v = any(key);
    if (v == nullptr) {
        return;
    }
    out.clear();
    for (const auto& item : v->items()) {
        out.emplace_back(item.as_string());
        if (!item.is_string()) {
            fail(key, "must be a list of strings");
        }
    }
    if (!v->is_array()) {
        fail(key, "must be a list of strings");
    }
}

void Fields::flag(std::string_view key, bool& out) {
    if (const json::Value* v = any(key)) {
        v->is_bool() ? void(out = v->as_bool()) : fail(key, "must be true or false");
    }
}

void Fields::integer(std::string_view key, int64_t& out) {
    if (const json::Value* v = any(key)) {
        const auto n = v->as_int();
        n&&* n >= 0 ? void(out = *n) : fail(key, "must be a whole number, 0 or more");
    }
}

void Fields::number(std::string_view key, double& out) {
    if (const json::Value* v = any(key)) {
        const auto n = v->as_double();
        n&&* n >= 0 ? void(out = *n) : fail(key, "must be a number, 0 or more");
    }
}

void Fields::choice(std::string_view key, std::string& out,
                    std::initializer_list<std::string_view> of) {
    const json::Value* v = any(key);
    if (v == nullptr) {
        return;
    }
    out = v->as_string();
    if (std::find(of.begin(), of.end(), out) == of.end()) {
        std::string names;
        for (const auto name : of) {
            names += (names.empty() ? "" : ", ") + std::string(name);
        }
        fail(key, "must be one of " + names);
    }
}

Result<void> Fields::finish() {
    for (const auto& member : object_.members()) {
        if (std::find(known_.begin(), known_.end(), member.key) == known_.end()) {
            fail(member.key, "is not known here");
        }
    }
    if (!problem_.empty()) {
        return caller_error(Kind::invalid_request, problem_, where_);
    }
    return {};
}

}  // namespace belay::sim

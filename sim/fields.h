#pragma once
// Reads the members of one JSON object of a scenario into variables: absent members leave the
// variable as it is, wrong types and unknown members are collected into one error that names the
// place.
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "wire/json.h"

namespace belay::sim {

class Fields {
  public:
    // `where` names the object in messages ("device", "faults[2]"). The value must outlive the
    // reader.
    Fields(const json::Value& object, std::string where);

    void text(std::string_view key, std::string& out);
    void texts(std::string_view key, std::vector<std::string>& out);
    void flag(std::string_view key, bool& out);
    void integer(std::string_view key, int64_t& out);  // >= 0
    void number(std::string_view key, double& out);    // >= 0
    void choice(std::string_view key, std::string& out, std::initializer_list<std::string_view> of);
    // Any value, marked as known; nullptr when absent.
    [[nodiscard]] const json::Value* any(std::string_view key);
    void fail(std::string_view key, std::string_view problem);

    // The first problem found, or the first member nobody asked for.
    [[nodiscard]] Result<void> finish();

  private:
    const json::Value& object_;
    std::string where_;
    std::vector<std::string_view> known_;
    std::string problem_;
};

}  // namespace belay::sim

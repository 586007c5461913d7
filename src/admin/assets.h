#pragma once
// Files of src/<module>/assets, compiled into the program (cmake/embed.cmake).
#include <cstddef>
#include <string_view>

namespace belay::admin {

struct Asset {
    std::string_view name;
    std::string_view data;
};

extern const Asset kAssets[];
extern const size_t kAssetCount;

// Null when there is none of that name.
[[nodiscard]] inline const Asset* find_asset(std::string_view name) {
    for (size_t i = 0; i < kAssetCount; ++i) {
        if (kAssets[i].name == name) {
            return &kAssets[i];
        }
    }
    return nullptr;
}

}  // namespace belay::admin

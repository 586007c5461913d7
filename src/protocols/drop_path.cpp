#include "protocols/drop_path.h"

#include <charconv>
#include <span>

namespace belay::protocols {
namespace {

// Removes what `steps` name below `container`. Steps of one path never overlap, so one Splice does.
void drop_below(std::string_view text, json::Span container, std::span<const PathStep> steps,
                json::Splice& splice) {
    const PathStep& step = steps.front();
    bool last = steps.size() == 1;
    size_t index = 0;
    json::Item item;
    bool object = json::type_at(text, container) == json::Type::object;
    if (object != (step.what == PathStep::What::member)) {
        return;
    }
    for (json::Walker walk(text, container); walk.next(item); index++) {
        bool hit = step.what == PathStep::What::every_item ||
                   (step.what == PathStep::What::item && step.index == index) ||
                   (step.what == PathStep::What::member && step.name == item.key);
        if (!hit) {
            continue;
        }
        if (last) {
            splice.remove(container, item);
        } else if (item.type == json::Type::object || item.type == json::Type::array) {
            drop_below(text, item.value, steps.subspan(1), splice);
        }
    }
}

}  // namespace

std::vector<PathStep> parse_path(std::string_view text) {
    std::vector<PathStep> steps;
    while (!text.empty()) {
        if (text.front() == '[') {
            size_t close = text.find(']');
            if (close == std::string_view::npos || steps.empty()) {
                return {};
            }
            std::string_view inside = text.substr(1, close - 1);
            PathStep step;
            step.what = inside == "*" ? PathStep::What::every_item : PathStep::What::item;
            if (inside != "*") {
                auto [end, code] =
                    std::from_chars(inside.data(), inside.data() + inside.size(), step.index);
                if (code != std::errc() || end != inside.data() + inside.size()) {
                    return {};
                }
            }
            steps.push_back(std::move(step));
            text.remove_prefix(close + 1);
        } else {
            if (text.front() == '.' && !steps.empty()) {
                text.remove_prefix(1);
            }
            size_t end = std::min(text.find_first_of(".["), text.size());
            if (end == 0) {
                return {};
            }
            steps.push_back({PathStep::What::member, std::string(text.substr(0, end)), 0});
            text.remove_prefix(end);
        }
    }
    return steps;
}

std::string drop_paths(std::string text, const std::vector<std::string>& paths) {
    for (const auto& path : paths) {
        auto steps = parse_path(path);
        if (steps.empty()) {
            continue;
        }
        json::Splice splice(text);
        drop_below(text, json::root(text), steps, splice);
        if (!splice.empty()) {
            text = splice.apply();
        }
    }
    return text;
}

}  // namespace belay::protocols

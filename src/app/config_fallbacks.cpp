// Fallback lists in every shape LiteLLM's users write them:
//
//   ["a", "b"]                       names
//   [{model: a, temperature: 0}]     a name with request fields that it overrides
//   [{group: ["a", "b"]}]            names by model, the shape of router_settings.fallbacks
//   {group: ["a", "b"]}, "a"         the same without the list
#include "app/config_load.h"

namespace belay::app {
namespace {

using routing::FallbackMap;
using routing::FallbackTarget;

constexpr size_t kMostTargets = 100;

class ListReader {
  public:
    ListReader(Load& load, std::string owner, FallbackMap* others)
        : load_(load), owner_(std::move(owner)), others_(others) {}

    std::vector<FallbackTarget> read(const yaml::Node& node) {
        if (node.is_sequence()) {
            for (const yaml::Node& item : node.items) {
                read_item(item);
            }
        } else {
            read_item(node);
        }
        return std::move(targets_);
    }

  private:
    void read_item(const yaml::Node& item) {
        if (item.is_null()) {
            return;
        }
        if (auto name = to_text(item)) {
            add(*name, nullptr, item.place);
        } else if (item.is_mapping() && item.find("model") != nullptr) {
            read_object(item);
        } else if (item.is_mapping()) {
            read_groups(item);
        } else {
            load_.diagnostics.fail(item.place,
                                   "a fallback must be a model name or {model: name}, not " +
                                       std::string(yaml::describe(item.type)),
                                   "write it like [\"first\", \"second\"]");
        }
    }

    void read_object(const yaml::Node& item) {
        auto name = to_text(*item.find("model"));
        if (!name) {
            load_.diagnostics.fail(item.place, "the model of this fallback must be a name", "");
            return;
        }
        json::Value overrides = json::Value::object();
        for (const yaml::Entry& entry : item.entries) {
            if (entry.key != "model") {
                overrides.set(entry.key, to_json(entry.value));
            }
        }
        add(*name, overrides.size() == 0 ? json::Value() : std::move(overrides),
            item.find("model")->place);
    }

    void read_groups(const yaml::Node& item) {
        for (const yaml::Entry& entry : item.entries) {
            if (entry.key == owner_) {
                for (FallbackTarget& target : read_fallbacks(load_, entry.value, owner_, nullptr)) {
                    targets_.push_back(std::move(target));
                }
                continue;
            }
            if (others_ == nullptr) {
                load_.diagnostics.fail(entry.place,
                                       "'" + entry.key + "' is not the name of a fallback",
                                       "write a name, or {model: name}");
                continue;
            }
            load_.diagnostics.warn(
                entry.place,
                "these fallbacks of '" + entry.key + "' stand in the entry of '" + owner_ + "'",
                "they are used for '" + entry.key + "'; router_settings.fallbacks is their place");
            load_.names.push_back({entry.key, "fallbacks", "", entry.place, NameUse::Role::source});
            others_->try_emplace(entry.key, read_fallbacks(load_, entry.value, entry.key, nullptr));
        }
    }

    void add(const std::string& name, json::Value overrides, yaml::Place place) {
        if (targets_.size() >= kMostTargets) {
            return;
        }
        if (name == owner_) {
            load_.diagnostics.warn(place, "'" + name + "' falls back to itself", "remove it here");
            return;
        }
        std::string where = owner_ == "*" ? "the default fallbacks" : "the fallbacks of " + owner_;
        load_.names.push_back({name, std::move(where), owner_, place, NameUse::Role::target});
        targets_.push_back({name, std::move(overrides)});
    }

    Load& load_;
    std::string owner_;
    FallbackMap* others_;
    std::vector<FallbackTarget> targets_;
};

void read_map_entries(Load& load, const yaml::Node& map, const std::string& where,
                      FallbackMap& out) {
    for (const yaml::Entry& entry : map.entries) {
        if (entry.key != "*") {
            load.names.push_back({entry.key, where, "", entry.place, NameUse::Role::source});
        }
        auto targets = read_fallbacks(load, entry.value, entry.key, nullptr);
        if (!out.try_emplace(entry.key, std::move(targets)).second) {
            load.diagnostics.warn(entry.place,
                                  "'" + entry.key + "' has fallbacks already in " + where,
                                  "the first list counts; join the two");
        }
    }
}

}  // namespace

std::vector<FallbackTarget> read_fallbacks(Load& load, const yaml::Node& node,
                                           const std::string& owner, FallbackMap* others) {
    return ListReader(load, owner, others).read(node);
}

FallbackMap read_fallback_map(Load& load, const yaml::Node& node, const std::string& where) {
    FallbackMap out;
    if (node.is_mapping()) {
        read_map_entries(load, node, where, out);
        return out;
    }
    if (node.is_scalar() && !node.is_null()) {
        load.diagnostics.fail(node.place, where + " must say whose fallbacks they are",
                              "write '- some-model: [\"" + node.text +
                                  "\"]', or use "
                                  "default_fallbacks for all models");
        return out;
    }
    for (const yaml::Node& item : node.items) {
        if (item.is_mapping()) {
            read_map_entries(load, item, where, out);
        } else if (!item.is_null()) {
            std::string name = to_text(item).value_or("next-model");
            load.diagnostics.fail(item.place,
                                  "an entry of " + where + " must be {model: [next, ...]}, not " +
                                      std::string(yaml::describe(item.type)),
                                  "write '- some-model: [\"" + name +
                                      "\"]', or use "
                                      "default_fallbacks for all models");
        }
    }
    return out;
}

}  // namespace belay::app

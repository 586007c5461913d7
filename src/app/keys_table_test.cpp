#include "app/keys_table.h"

#include <doctest/doctest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "app/config_values.h"

using namespace belay;
using namespace belay::app;

// A key stands once in its section, has a line of documentation, and choices exactly when it is
// one.
TEST_CASE("the table is well formed") {
    std::set<std::pair<Section, std::string>> seen;
    for (const Key& key : keys()) {
        CAPTURE(dotted(key));
        CHECK(seen.emplace(key.section, std::string(key.name)).second);
        CHECK_FALSE(key.doc.empty());
        CHECK((key.type == KeyType::choice) == !key.choices.empty());
        CHECK(find_key(key.section, key.name) == &key);
    }
    CHECK(find_key(Section::root, "nothing") == nullptr);
}

// What the table states as the default of a typed key is a valid value of that type.
TEST_CASE("defaults are valid values") {
    for (const Key& key : keys()) {
        bool literal =
            !key.fallback.empty() && (key.type == KeyType::boolean || key.type == KeyType::count ||
                                      key.type == KeyType::port || key.type == KeyType::choice);
        yaml::Node node;
        node.type = yaml::resolve_plain(key.fallback, node.text);
        bool word = key.fallback.find_first_of(" .'") != std::string_view::npos ||
                    key.fallback == "unknown" || key.fallback == "timeout";
        if (literal && !word) {
            CAPTURE(dotted(key));
            CHECK_FALSE(check_value(key, node));
        }
    }
}

// The committed reference page is the one the table makes.
TEST_CASE("docs/reference/configuration.md is up to date") {
    std::ifstream file(std::string(BELAY_SOURCE_DIR) + "/docs/reference/configuration.md");
    std::stringstream text;
    text << file.rdbuf();
    CHECK_MESSAGE(text.str() == render_reference(),
                  "run: belay check --reference > docs/reference/configuration.md");
}

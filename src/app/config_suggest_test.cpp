#include "app/config_suggest.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace belay::app;

TEST_CASE("edit distance counts a transposition once") {
    CHECK(edit_distance("abc", "abc") == 0);
    CHECK(edit_distance("abc", "acb") == 1);
    CHECK(edit_distance("", "abc") == 3);
    CHECK(edit_distance("kitten", "sitting") == 3);
}

// Spelling conventions are no distance at all; word order and plurals nearly none.
TEST_CASE("name distance forgives conventions") {
    CHECK(name_distance("Drop-Params", "drop_params") == 0);
    CHECK(name_distance("dropParams", "drop_params") == 0);
    CHECK(*name_distance("dropparams", "drop_params") <= 0.05);
    CHECK(*name_distance("drop_param", "drop_params") <= 0.05);
    CHECK(*name_distance("params_drop", "drop_params") < 0.2);
    CHECK(*name_distance("drop_prams", "drop_params") < 0.3);
    CHECK_FALSE(name_distance("unrelated", "drop_params"));
    CHECK_FALSE(name_distance("", "drop_params"));
    CHECK_FALSE(name_distance("___", "drop_params"));
}

// Model names: a digit that differs is another model, a missing prefix is not.
TEST_CASE("model suggestions") {
    const std::vector<std::string> known = {"github_copilot/claude-opus-4.6",
                                            "github_copilot/gemini-3-pro-preview",
                                            "github_copilot/gpt-5-mini", "gpt-4o", "local-llama"};
    CHECK(suggest_model("gpt-5-mini", known) == "github_copilot/gpt-5-mini");
    CHECK(suggest_model("github_copilot/claude-opus-4-6", known) == known[0]);
    CHECK(suggest_model("github-copilot/gpt-5-mini", known) == known[2]);
    CHECK(suggest_model("github_copilot/gemini-3-pro-preveiw", known) == known[1]);
    CHECK(suggest_model("gemini-3-pro", known) == known[1]);
    CHECK(suggest_model("GPT-4o", known) == "gpt-4o");
    CHECK(suggest_model("mistral-large", known).empty());
}

#include "routing/resolve.h"

#include <doctest/doctest.h>

#include "routing/test_world.h"

namespace belay::routing {
namespace {

using test::list;
using test::TableMaker;

std::string upstream_of(const Table& table, const char* name) {
    const auto match = resolve(table, name);
    return match ? upstream_model(*match->deployments.at(0), *match) : "-";
}

std::string group_of(const Table& table, const char* name) {
    const auto match = resolve(table, name);
    return match ? match->group : "-";
}

TEST_CASE(
    "names are looked up in LiteLLM's order: exact, id, alias, pattern, provider, *, upstream") {
    TableMaker maker;
    maker.add("opus", "claude-opus-4.6", "dep-opus");
    maker.add("github_copilot/gpt-5-mini", "gpt-5-mini");
    maker.add("openai/*", "*").provider = "openai";
    maker.add("openai/gpt-*", "mini-*").provider = "openai";
    maker.add("dep-clash", "clash");
    maker.add("other", "other-upstream", "dep-clash");
    maker.table->aliases["smart"] = {"opus", false};
    maker.table->aliases["smarter"] = {"smart", false};
    maker.table->aliases["via-pattern"] = {"openai/o9", false};
    maker.table->aliases["round"] = {"robin", false};
    maker.table->aliases["robin"] = {"round", false};
    struct Row {
        const char* asked;
        const char* upstream;
        const char* group;
    };
    const Row rows[] = {
        {"opus", "claude-opus-4.6", "opus"},
        {"dep-opus", "claude-opus-4.6", "opus"},
        {"dep-clash", "clash", "dep-clash"},  // a name beats an id
        {"smart", "claude-opus-4.6", "opus"},
        {"smarter", "claude-opus-4.6", "opus"},
        {"via-pattern", "o9", "openai/o9"},
        {"openai/o1", "o1", "openai/o1"},
        {"openai/gpt-5", "mini-5", "openai/gpt-5"},  // the most specific pattern
        {"gpt-5-mini", "gpt-5-mini", "github_copilot/gpt-5-mini"},
        {"o3", "o3", "openai/o3"},
        {"claude-opus-4.6", "claude-opus-4.6", "openai/claude-opus-4.6"},
    };
    for (const Row& row : rows) {
        CHECK_MESSAGE(upstream_of(*maker.table, row.asked) == row.upstream, row.asked);
        CHECK_MESSAGE(group_of(*maker.table, row.asked) == row.group, row.asked);
    }
    CHECK_FALSE(resolve(*maker.table, "").has_value());
}

TEST_CASE("without patterns an upstream name is the last resort, with and without its provider") {
    TableMaker maker;
    maker.add("opus", "claude-opus-4.6");
    CHECK(group_of(*maker.table, "claude-opus-4.6") == "opus");
    CHECK(group_of(*maker.table, "github_copilot/claude-opus-4.6") == "opus");
    CHECK(group_of(*maker.table, "claude-opus") == "-");
    CHECK(group_of(*maker.table, "openai/claude-opus-4.6") == "-");
}

TEST_CASE("an alias circle ends") {
    TableMaker maker;
    maker.add("opus");
    maker.table->aliases["a"] = {"b", false};
    maker.table->aliases["b"] = {"a", false};
    CHECK_FALSE(resolve(*maker.table, "a").has_value());
}

TEST_CASE("the catch-all in front of one model is itself the group; in front of any, the name is") {
    TableMaker fixed;
    fixed.add("*", "gpt-5-mini");
    CHECK(group_of(*fixed.table, "whatever") == "*");
    CHECK(upstream_of(*fixed.table, "whatever") == "gpt-5-mini");
    TableMaker open;
    open.add("*", "*");
    CHECK(group_of(*open.table, "whatever") == "whatever");
    CHECK(upstream_of(*open.table, "whatever") == "whatever");
    CHECK(upstream_of(*open.table, "github_copilot/whatever") == "whatever");
    CHECK(upstream_of(*open.table, "openai/whatever") == "openai/whatever");
}

TEST_CASE("patterns match head and tail without letting them overlap") {
    TableMaker maker;
    maker.add("ab*ba", "x-*");
    CHECK(upstream_of(*maker.table, "abba") == "x-");
    CHECK(upstream_of(*maker.table, "ab1ba") == "x-1");
    CHECK(upstream_of(*maker.table, "aba") == "-");
    CHECK(upstream_of(*maker.table, "xab1ba") == "-");
}

TEST_CASE("a group gathers all its deployments in file order") {
    TableMaker maker;
    maker.add("g", "m1");
    maker.add("h", "m2");
    maker.add("g", "m3");
    const auto match = resolve(*maker.table, "g");
    REQUIRE(match);
    REQUIRE(match->deployments.size() == 2);
    CHECK(match->deployments[0]->model == "m1");
    CHECK(match->deployments[1]->model == "m3");
}

std::vector<std::string> falls(const Table& table, const char* name,
                               Reason reason = Reason::general) {
    std::vector<std::string> out;
    for (const auto& target : fallbacks_of(table, *resolve(table, name), reason).targets) {
        out.push_back(target.group);
    }
    return out;
}

using Names = std::vector<std::string>;

TEST_CASE("fallbacks are found by name, by bare name, by '*', and a deployment's own list wins") {
    TableMaker maker;
    maker.add("github_copilot/opus", "opus");
    maker.add("plain");
    maker.add("own").fallbacks = list({"x", "y"});
    maker.add("own").fallbacks = list({"y", "z"});
    maker.table->aliases["nick"] = {"plain", false};
    maker.table->fallbacks["opus"] = list({"gemini"});
    maker.table->fallbacks["own"] = list({"never"});
    maker.table->fallbacks["*"] = list({"mini"});
    CHECK(falls(*maker.table, "github_copilot/opus") == Names{"gemini"});
    CHECK(falls(*maker.table, "opus") == Names{"gemini"});
    CHECK(falls(*maker.table, "plain") == Names{"mini"});
    CHECK(falls(*maker.table, "own") == Names{"x", "y", "z"});
    maker.table->fallbacks["nick"] = list({"for-the-alias"});
    CHECK(falls(*maker.table, "nick") == Names{"for-the-alias"});
    CHECK(falls(*maker.table, "plain") == Names{"mini"});
}

TEST_CASE("the special maps answer their own reason, and LiteLLM's missing-entry rule holds") {
    TableMaker maker;
    maker.add("a");
    maker.add("b");
    maker.table->fallbacks["*"] = list({"general"});
    SUBCASE("no map: context falls back in general, content does not") {
        CHECK(falls(*maker.table, "a", Reason::context_window) == Names{"general"});
        CHECK(falls(*maker.table, "a", Reason::content_policy).empty());
        CHECK(fallbacks_of(*maker.table, *resolve(*maker.table, "a"), Reason::content_policy)
                  .blocked);
    }
    SUBCASE("an entry wins, a map without an entry blocks") {
        maker.table->context_window_fallbacks["a"] = list({"long"});
        maker.table->content_policy_fallbacks["a"] = list({"lenient"});
        CHECK(falls(*maker.table, "a", Reason::context_window) == Names{"long"});
        CHECK(falls(*maker.table, "a", Reason::content_policy) == Names{"lenient"});
        CHECK(falls(*maker.table, "b", Reason::context_window).empty());
        CHECK(fallbacks_of(*maker.table, *resolve(*maker.table, "b"), Reason::context_window)
                  .blocked);
        CHECK(falls(*maker.table, "b") == Names{"general"});
    }
}

TEST_CASE("chain() lists every group that may follow, once, in the order they are tried") {
    TableMaker maker;
    for (const char* name : {"a", "b", "c", "d", "e"}) {
        maker.add(name);
    }
    maker.table->fallbacks["a"] = list({"b", "c", "a", "gone"});
    maker.table->fallbacks["b"] = list({"d", "a"});
    maker.table->fallbacks["*"] = list({"e"});
    CHECK(chain(*maker.table, "a") == Names{"b", "d", "e", "c"});
    CHECK(chain(*maker.table, "e").empty());
    CHECK(chain(*maker.table, "nobody").empty());
}

}  // namespace
}  // namespace belay::routing

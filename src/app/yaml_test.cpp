#include "app/yaml.h"

#include <doctest/doctest.h>

#include <string>

using namespace belay;
using yaml::Type;

namespace {

yaml::Node value_of(std::string_view text) {
    yaml::Parsed parsed = yaml::parse(text);
    REQUIRE_MESSAGE(parsed.ok, parsed.problem.message);
    return parsed.root;
}

std::string shape(const yaml::Node& node) {
    if (node.is_sequence()) {
        std::string out = "[";
        for (const yaml::Node& item : node.items) {
            out += (out.size() > 1 ? "," : "") + shape(item);
        }
        return out + "]";
    }
    if (node.is_mapping()) {
        std::string out = "{";
        for (const yaml::Entry& entry : node.entries) {
            out += (out.size() > 1 ? "," : "") + entry.key + "=" + shape(entry.value);
        }
        return out + "}";
    }
    return node.is_null() ? "null" : node.is_text() ? "'" + node.text + "'" : node.text;
}

}  // namespace

// A scalar has the type and the value that PyYAML 6 gives it (checked against PyYAML by hand).
TEST_CASE("plain scalars are typed by YAML 1.1") {
    struct Row {
        const char* text;
        Type type;
        const char* normal;
    };
    const Row rows[] = {
        {"true", Type::boolean, "true"},
        {"Yes", Type::boolean, "true"},
        {"ON", Type::boolean, "true"},
        {"off", Type::boolean, "false"},
        {"No", Type::boolean, "false"},
        {"y", Type::text, "y"},
        {"tRue", Type::text, "tRue"},
        {"~", Type::null, ""},
        {"Null", Type::null, ""},
        {"nULL", Type::text, "nULL"},
        {"0", Type::integer, "0"},
        {"-0", Type::integer, "0"},
        {"1_000", Type::integer, "1000"},
        {"+12", Type::integer, "12"},
        {"-7", Type::integer, "-7"},
        {"012", Type::integer, "10"},
        {"08", Type::text, "08"},
        {"0x1F", Type::integer, "31"},
        {"0b101", Type::integer, "5"},
        {"1:30", Type::integer, "90"},
        {"1:30:05", Type::integer, "5405"},
        {"1:60", Type::text, "1:60"},
        {"4.5", Type::real, "4.5"},
        {".5", Type::real, "0.5"},
        {"3.", Type::real, "3.0"},
        {"-1_0.5", Type::real, "-10.5"},
        {"1.5e-6", Type::real, "1.5e-6"},
        {"1.5e6", Type::text, "1.5e6"},
        {"5e-06", Type::text, "5e-06"},
        {"1e5", Type::text, "1e5"},
        {".inf", Type::text, ".inf"},
        {"4.1.2", Type::text, "4.1.2"},
        {"00.5", Type::real, "0.5"},
        {"1.5e-", Type::text, "1.5e-"},
        {".", Type::text, "."},
        {"-", Type::text, "-"},
        {"2024-10-21", Type::text, "2024-10-21"},
        {"0x", Type::text, "0x"},
        {"0xFFFFFFFFFFFFFFFFF", Type::text, "0xFFFFFFFFFFFFFFFFF"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.text);
        std::string normal;
        CHECK(yaml::resolve_plain(row.text, normal) == row.type);
        CHECK(normal == row.normal);
    }
}

// Quotes and tags decide the type before the spelling does.
TEST_CASE("quoted scalars are text") {
    CHECK(shape(value_of("a: \"1\"\nb: '*'\nc: |\n  true\n")) == "{a='1',b='*',c='true\n'}");
    CHECK(shape(value_of("a: !!str 12\nb: !!int \"12\"\n")) == "{a='12',b=12}");
}

// Every key and value knows its line and column, from 1, in characters.
TEST_CASE("places are kept") {
    yaml::Node root = value_of("# comment\nmodel_list:\n  - model_name: \"ä\"\n    é: [1, xy]\n");
    const yaml::Entry* list = root.find_entry("model_list");
    CHECK(list->place == yaml::Place{0, 2, 1});
    const yaml::Node& row = list->value.items.at(0);
    CHECK(row.find_entry("model_name")->place == yaml::Place{0, 3, 5});
    CHECK(row.find("model_name")->place == yaml::Place{0, 3, 17});
    CHECK(row.find("é")->items.at(1).place == yaml::Place{0, 4, 12});
}

// Anchors, aliases and merge keys mean what YAML 1.1 says: explicit members win.
TEST_CASE("aliases and merge keys") {
    CHECK(shape(value_of("a: &x [1, 2]\nb: *x\n")) == "{a=[1,2],b=[1,2]}");
    CHECK(shape(value_of("a: &x {p: 1, q: 2}\nb:\n  <<: *x\n  q: 3\n")) ==
          "{a={p=1,q=2},b={q=3,p=1}}");
    CHECK(shape(value_of("a: &x {p: 1}\nb: &y {p: 2, r: 4}\nc: {<<: [*x, *y]}\n")) ==
          "{a={p=1},b={p=2,r=4},c={p=1,r=4}}");
    CHECK(shape(value_of("a: {\"<<\": 1}\n")) == "{a={<<=1}}");
    CHECK_FALSE(yaml::parse("a: {<<: 1}\n").ok);
    CHECK_FALSE(yaml::parse("a: &x {b: *x}\n").ok);
}

// A few hundred bytes cannot become millions of nodes or gigabytes of text.
TEST_CASE("alias bombs are refused") {
    std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n";
    for (int i = 1; i < 12; ++i) {
        std::string n = std::to_string(i), m = std::to_string(i - 1);
        bomb += "a" + n + ": &a" + n + " [";
        for (int k = 0; k < 9; ++k) {
            bomb += (k > 0 ? ",*a" : "*a") + m;
        }
        bomb += "]\n";
    }
    yaml::Parsed parsed = yaml::parse(bomb);
    CHECK_FALSE(parsed.ok);
    CHECK(parsed.problem.message.find("aliases") != std::string::npos);

    std::string wide = "a: &a \"" + std::string(1 << 20, 'x') + "\"\nb: [";
    for (int i = 0; i < 100; ++i) {
        wide += "*a, ";
    }
    CHECK_FALSE(yaml::parse(wide + "*a]\n").ok);
}

// Depth is bounded before it can exhaust the stack, also through aliases.
TEST_CASE("deep nesting is refused") {
    CHECK(yaml::parse(std::string(60, '[') + std::string(60, ']')).ok);
    CHECK_FALSE(yaml::parse(std::string(70, '[') + std::string(70, ']')).ok);
    CHECK_FALSE(yaml::parse(std::string(100'000, '[')).ok);
    std::string chain = "a0: &a0 [x]\n";
    for (int i = 1; i < 100; ++i) {
        chain += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" +
                 std::to_string(i - 1) + "]\n";
    }
    CHECK_FALSE(yaml::parse(chain).ok);
}

// Both places of a duplicate key are told; the last value counts.
TEST_CASE("duplicate keys") {
    yaml::Parsed parsed = yaml::parse("a: 1\nb: 2\na: 3\n");
    REQUIRE(parsed.ok);
    REQUIRE(parsed.duplicates.size() == 1);
    CHECK(parsed.duplicates[0].key == "a");
    CHECK(parsed.duplicates[0].first.line == 1);
    CHECK(parsed.duplicates[0].second.line == 3);
    CHECK(shape(parsed.root) == "{a=3,b=2}");
}

// What is no document we read is refused at its place.
TEST_CASE("refusals name their place") {
    struct Row {
        const char* text;
        int line, column;
    };
    const Row rows[] = {
        {"a: 1\nb: [1, 2\nc: 3\n", 3, 2},
        {"a: 1\n\tb: 2\n", 2, 1},
        {"a: *\n", 1, 5},
        {"a: *nowhere\n", 1, 4},
        {"a: !!python/object:os.system x\n", 1, 4},
        {"a: !mine x\n", 1, 4},
        {"a: 1\n---\nb: 2\n", 2, 1},
        {"? [a]\n: 1\n", 1, 3},
        {"a: b: c\n", 1, 5},
    };
    for (const Row& row : rows) {
        CAPTURE(row.text);
        yaml::Parsed parsed = yaml::parse(row.text);
        CHECK_FALSE(parsed.ok);
        CHECK(parsed.problem.place.line == row.line);
        CHECK(parsed.problem.place.column == row.column);
        CHECK_FALSE(parsed.problem.message.empty());
    }
}

TEST_CASE("empty documents, byte order marks and bad bytes") {
    CHECK(value_of("").is_null());
    CHECK(value_of("# nothing\n").is_null());
    CHECK(shape(value_of("\xEF\xBB\xBF"
                         "a: 1\n")) == "{a=1}");
    CHECK_FALSE(yaml::parse("a: \xff\xfe\n").ok);
    CHECK_FALSE(yaml::parse(std::string_view("a: \0\n", 5)).ok);
    CHECK_FALSE(yaml::parse(std::string((4u << 20) + 1, '#')).ok);
}

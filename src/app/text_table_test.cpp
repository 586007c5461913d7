#include "app/text_table.h"

#include <doctest/doctest.h>

namespace belay::app {
namespace {

TEST_CASE("columns are as wide as their texts; empty optional ones are left out") {
    TextTable table({{"NAME"}, {"TEAM", Align::left, 0, true}, {"SPENT", Align::right}});
    table.add({"a", "", "$1"});
    table.add({"longer", "", "$12.50"});
    CHECK(table.render(80, Colour::off) == "NAME     SPENT\na           $1\nlonger  $12.50\n");
}

TEST_CASE("what does not fit gives way in the columns that may shrink") {
    TextTable table({{"NAME", Align::left, 4}, {"N", Align::right}});
    table.add({"abcdefghijklmnop", "12345"});
    table.add_rule();
    table.add({"total", "12345"});
    const std::string text = table.render(15, Colour::off);
    CHECK(text.find("12345") != std::string::npos);
    CHECK(text.find("…") != std::string::npos);
    CHECK(text.find("───────────────\n") != std::string::npos);
}

TEST_CASE("money is shown to the cent, and small money to what matters") {
    const auto shown = [](std::string_view usd) { return show_usd(*parse_usd(usd)); };
    CHECK(shown("0") == "$0");
    CHECK(shown("1.005") == "$1.01");
    CHECK(shown("1234567.1") == "$1,234,567.10");
    CHECK(shown("0.1") == "$0.10");
    CHECK(shown("0.000034567") == "$0.000034");
    CHECK(shown("0.09") == "$0.09");
    CHECK(shown("-2.5") == "-$2.50");
    CHECK(shown("0.999999") == "$1.00");
}

TEST_CASE("numbers and shares") {
    CHECK(show_number(0) == "0");
    CHECK(show_number(999) == "999");
    CHECK(show_number(-1234567) == "-1,234,567");
    CHECK(show_share(1, 4) == "████");
    CHECK(show_share(0.5, 4) == "██");
    CHECK(show_share(0.000001, 4) == "▏");
    CHECK(show_share(0, 4).empty());
}

}  // namespace
}  // namespace belay::app

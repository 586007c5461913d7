// Replies read from any split of their bytes; what is no reply, or too large, ends the connection.
#include <doctest/doctest.h>

#include "redis/reply.h"

using namespace belay;
using namespace belay::redis;

TEST_CASE("a reply is the same however its bytes arrive") {
    const std::string bytes =
        "*5\r\n:42\r\n$5\r\nhello\r\n$-1\r\n*2\r\n+OK\r\n-ERR no\r\n*0\r\n:-7\r\n";
    for (size_t cut = 0; cut <= bytes.size(); ++cut) {
        CAPTURE(cut);
        Parser parser;
        std::vector<Reply> replies;
        for (const std::string_view part :
             {std::string_view(bytes).substr(0, cut), std::string_view(bytes).substr(cut)}) {
            REQUIRE(parser.feed(part));
            while (true) {
                auto next = parser.next();
                REQUIRE(next.ok());
                if (!next->has_value()) {
                    break;
                }
                replies.push_back(std::move(**next));
            }
        }
        REQUIRE(replies.size() == 2);
        const Reply& list = replies[0];
        REQUIRE(list.items.size() == 5);
        CHECK(list.at(0).as_int() == 42);
        CHECK(list.at(1).text == "hello");
        CHECK(list.at(2).kind == Reply::Kind::nil);
        CHECK(list.at(3).at(0).text == "OK");
        CHECK(list.at(3).at(1).is_error());
        CHECK(list.at(4).items.empty());
        CHECK(list.at(9).kind == Reply::Kind::nil);
        CHECK(replies[1].as_int() == -7);
    }
}

TEST_CASE("what is no reply, or one beyond the bounds, is an error") {
    for (const char* bytes :
         {"HTTP/1.1 400 Bad Request\r\n\r\n", "*1000000\r\n", ":12x\r\n",
          "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n"}) {
        CAPTURE(bytes);
        Parser parser;
        REQUIRE(parser.feed(bytes));
        CHECK(!parser.next().ok());
    }
    Parser parser;
    CHECK(!parser.feed(std::string(Parser::kMostBytes + 1, 'x')));
}

TEST_CASE("a command carries any bytes") {
    std::string out;
    write_command(out, {"SET", "", std::string_view("a\r\n\0b", 5)});
    CHECK(out == std::string("*3\r\n$3\r\nSET\r\n$0\r\n\r\n$5\r\na\r\n\0b\r\n", 30));
}

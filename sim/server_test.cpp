#include "sim/server.h"

#include <doctest/doctest.h>

#include <future>
#include <thread>

#include "net/http_client.h"
#include "net/loops.h"
#include "wire/json.h"

using namespace belay;
using namespace belay::sim;

namespace {

struct Got {
    int status = 0;
    std::string body;
    std::string error;  // what the client's reading ended with
};

net::Task<void> ask(net::HttpClient& client, Url url, std::string header_lines, std::string body,
                    std::promise<Got>& done) {
    Got got;
    net::Exchange exchange(client);
    net::Exchange::Request request;
    request.target = url.path;
    request.header_lines = header_lines;
    request.body = body;
    const Mono deadline = client.loop().now() + seconds(20);
    auto sent = co_await exchange.send(url, request, deadline);
    if (!sent.ok()) {
        got.error = std::string(kind_name(sent.error().kind));
    } else {
        got.status = exchange.head().status;
        while (true) {
            auto piece = co_await exchange.read(deadline);
            if (!piece.ok()) {
                got.error = std::string(kind_name(piece.error().kind));
                break;
            }
            if (piece->empty()) {
                break;
            }
            got.body += *piece;
        }
    }
    done.set_value(std::move(got));
}

// A running simulator and a client on a loop of its own.
struct Rig {
    explicit Rig(std::string_view scenario = "{}") {
        ServerOptions options;
        options.scenario = *parse_scenario(*json::parse(scenario));
        auto started = start(std::move(options));
        REQUIRE(started.ok());
        server = std::move(*started);
        loops.start();
        loops.run_on(0, [this] {
            client = std::make_unique<net::HttpClient>(
                loops[0], std::make_shared<net::ClientContext>(net::ClientOptions{}));
        });
    }
    ~Rig() {
        loops.stop();
        loops.join();
        client.reset();
    }

    Got post(std::string_view path, std::string body) {
        const std::string token = server->world().issue_token("pro_plus", system_clock().wall());
        const std::string lines = "Authorization: Bearer " + token +
                                  "\r\nEditor-Version: vscode/1.104.3\r\nContent-Type: "
                                  "application/json\r\nAccept: application/json\r\n";
        std::promise<Got> done;
        auto result = done.get_future();
        const Url url = *parse_url(server->base_url() + std::string(path));
        loops[0].post([&] { loops[0].spawn(ask(*client, url, lines, std::move(body), done)); });
        return result.get();
    }

    std::unique_ptr<Server> server;
    net::Loops loops{1};
    std::unique_ptr<net::HttpClient> client;
};

std::string chat(bool stream) {
    return R"({"model":"gpt-4.1","messages":[{"role":"user","content":"Hello"}],"stream":)" +
           std::string(stream ? "true}" : "false}");
}

}  // namespace

// The world behind a socket answers like the world itself.
TEST_CASE("server: plain and streamed answers over HTTP") {
    Rig rig;
    const Got plain = rig.post("/chat/completions", chat(false));
    CHECK(plain.status == 200);
    CHECK(plain.error.empty());
    CHECK(plain.body.find("Hello! I am GPT-4.1") != std::string::npos);
    const Got streamed = rig.post("/chat/completions", chat(true));
    CHECK(streamed.body.ends_with("data: [DONE]\n\n"));
    CHECK(rig.post("/nowhere", "{}").status == 404);
}

// Cuts are seen by a client as broken bodies, never as clean ends.
TEST_CASE("server: wire faults break the connection where they say") {
    struct Row {
        std::string_view fault;
        bool stream;
        int status;            // 0: no reply at all
        std::string_view has;  // the last thing that still arrives
    };
    for (const Row& row :
         {Row{"drop_before_headers", true, 0, ""}, Row{"reset_before_headers", false, 0, ""},
          Row{"cut_after_headers", true, 200, ""}, Row{"cut_after_headers", false, 200, ""},
          Row{"cut_after_handshake", true, 200, "prompt_filter_results"},
          Row{"cut_mid_sse", true, 200, "data: "}, Row{"cut_mid_utf8", true, 200, "\xc3"},
          Row{"reset_after_content", true, 200, ""},
          Row{"cut_after_finish", true, 200, "\"finish_reason\":\"stop\""},
          Row{"truncate_body", false, 200, "choices"}}) {
        CAPTURE(row.fault);
        CAPTURE(row.stream);
        Rig rig(R"({"faults":[{"fault":")" + std::string(row.fault) + R"("}]})");
        const Got got = rig.post("/chat/completions", chat(row.stream));
        CHECK(got.status == row.status);
        CHECK(!got.error.empty());
        CHECK(got.body.find(row.has) != std::string::npos);
        CHECK(got.body.find("[DONE]") == std::string::npos);
    }
}

// Other spellings of the same bytes still carry the whole answer.
TEST_CASE("server: one-byte writes, gzip and CRLF deliver everything") {
    for (const char* fault : {"one_byte_writes", "gzip", "crlf", "comments"}) {
        for (const bool stream : {true, false}) {
            CAPTURE(fault);
            CAPTURE(stream);
            Rig rig(R"({"faults":[{"fault":")" + std::string(fault) + R"("}]})");
            const Got got = rig.post("/chat/completions", chat(stream));
            CHECK(got.status == 200);
            CHECK(got.error.empty());
            CHECK(got.body.find(stream ? "[DONE]" : "Hello! I am GPT-4.1") != std::string::npos);
        }
    }
}

// A server that stops while a reply stalls ends at once instead of waiting for the client.
TEST_CASE("server: stops while a reply stalls") {
    Rig rig(R"({"faults":[{"fault":"stall"}]})");
    std::promise<Got> done;
    auto result = done.get_future();
    const std::string lines = "Authorization: Bearer " +
                              rig.server->world().issue_token("pro_plus", system_clock().wall()) +
                              "\r\nEditor-Version: x/1\r\n";
    const Url url = *parse_url(rig.server->base_url() + "/chat/completions");
    rig.loops[0].post([&] { rig.loops[0].spawn(ask(*rig.client, url, lines, chat(true), done)); });
    while (rig.server->world().calls() < 1) {
        std::this_thread::yield();
    }
    rig.server.reset();
    CHECK(!result.get().error.empty());
}

// A port that is taken is a clear refusal, not a crash.
TEST_CASE("server: the port is taken") {
    Rig rig;
    ServerOptions options;
    options.port = rig.server->port();
    const auto second = start(std::move(options));
    REQUIRE(!second.ok());
    CHECK(second.error().message.find("another program already does") != std::string::npos);
}

// Bench mode: prebuilt bytes for good tokens, both ways.
TEST_CASE("server: bench mode") {
    Rig rig(R"({"bench":{"chunks":3}})");
    const Got plain = rig.post("/chat/completions", chat(false));
    CHECK(plain.status == 200);
    CHECK(json::parse(plain.body).ok());
    const Got streamed = rig.post("/chat/completions", chat(true));
    CHECK(streamed.error.empty());
    CHECK(streamed.body.ends_with("data: [DONE]\n\n"));
}

#include <doctest/doctest.h>

#include "sim/testing.h"

using namespace belay;
using namespace belay::sim;
using belay::sim::testing::Bench;
using belay::sim::testing::kStart;

namespace {

constexpr std::string_view kPlugin = "Iv1.b507a08c87ecfe98";
const Headers kJson = {{"Accept", "application/json"}};

json::Value start_flow(Bench& bench, std::string_view client = kPlugin) {
    return Bench::json_of(
        bench.send("POST", "/login/device/code",
                   R"({"client_id":")" + std::string(client) + R"(","scope":"read:user"})", kJson));
}

json::Value poll(Bench& bench, std::string_view device, std::string_view client = kPlugin) {
    return Bench::json_of(bench.send(
        "POST", "/login/oauth/access_token",
        R"({"client_id":")" + std::string(client) + R"(","device_code":")" + std::string(device) +
            R"(","grant_type":"urn:ietf:params:oauth:grant-type:device_code"})",
        kJson));
}

}  // namespace

// A client that keeps to the interval gets its token once the human has authorised, and only once.
TEST_CASE("device flow: pending until the human authorises, then one token") {
    Bench bench;
    const auto codes = start_flow(bench);
    CHECK(codes["device_code"].as_string().size() == 40);
    CHECK(codes["user_code"].as_string().size() == 9);
    CHECK(codes["verification_uri"].as_string() == "http://127.0.0.1:7000/login/device");
    const std::string device(codes["device_code"].as_string());
    CHECK(poll(bench, device)["error"].as_string() == "authorization_pending");
    bench.now += seconds(5);
    const std::string press =
        R"({"user_code":")" + std::string(codes["user_code"].as_string()) + "\"}";
    CHECK(bench.control("/_sim/authorize", press).status == 200);
    const auto token = poll(bench, device);
    CHECK(token["access_token"].as_string().starts_with("ghu_"));
    CHECK(token["scope"].as_string("?").empty());
    bench.now += seconds(5);
    CHECK(poll(bench, device)["error"].as_string() == "incorrect_device_code");
    CHECK(bench.control("/_sim/authorize", press).status == 400);
}

// An early poll costs five seconds for good: the interval only ever grows.
TEST_CASE("device flow: slow_down raises the interval by five seconds each time") {
    Bench bench;
    const std::string device(start_flow(bench)["device_code"].as_string());
    CHECK(poll(bench, device)["error"].as_string() == "authorization_pending");
    bench.now += seconds(3);
    CHECK(poll(bench, device)["interval"].as_int() == 10);
    bench.now += seconds(9);
    CHECK(poll(bench, device)["interval"].as_int() == 15);
    bench.now += seconds(15);
    CHECK(poll(bench, device)["error"].as_string() == "authorization_pending");
}

// Every end of the flow that GitHub documents can be played.
TEST_CASE("device flow: scripted and timed endings") {
    struct Row {
        std::string_view step;
        std::string_view error;
    };
    for (const Row& row : {Row{"denied", "access_denied"}, Row{"expired", "expired_token"}}) {
        Bench bench(R"({"device":{"script":["pending",")" + std::string(row.step) + R"("]}})");
        const std::string device(start_flow(bench)["device_code"].as_string());
        CHECK(poll(bench, device)["error"].as_string() == "authorization_pending");
        bench.now += seconds(6);
        CHECK(poll(bench, device)["error"].as_string() == row.error);
    }
    Bench late;
    const std::string device(start_flow(late)["device_code"].as_string());
    late.now += seconds(900);
    CHECK(poll(late, device)["error"].as_string() == "expired_token");
    CHECK(start_flow(late, "nonsense")["error"].as_string() == "incorrect_client_credentials");
    CHECK(poll(late, "0000")["error"].as_string() == "incorrect_device_code");
}

// Without Accept: application/json the reply is form-encoded, as GitHub documents.
TEST_CASE("device flow: form-encoded for clients that do not ask for JSON") {
    Bench bench;
    const Reply r = bench.send("POST", "/login/device/code", "client_id=Iv1.b507a08c87ecfe98");
    CHECK(r.header("content-type").starts_with("application/x-www-form-urlencoded"));
    CHECK(r.body().find("device_code=") == 0);
}

// The page is what a browser test clicks: it authorises, and it never echoes markup.
TEST_CASE("device page: a human authorises with the form") {
    Bench bench;
    const auto codes = start_flow(bench);
    const std::string code(codes["user_code"].as_string());
    const Reply form = bench.send("GET", "/login/device?user_code=%3Cscript%3E");
    CHECK(form.body().find("<script>") == std::string::npos);
    const Reply done =
        bench.send("POST", "/login/device", "user_code=" + code + "&action=authorize&account=max");
    CHECK(done.status == 200);
    const auto token = poll(bench, codes["device_code"].as_string());
    const std::string bearer = "token " + std::string(token["access_token"].as_string());
    const auto user = Bench::json_of(
        bench.send("GET", "/copilot_internal/user", "", {{"Authorization", bearer}}));
    CHECK(user["copilot_plan"].as_string() == "individual_max");
}

// The exchanged token opens CAPI until its exp, and the counters prove single flight.
TEST_CASE("exchange: tokens work until they expire") {
    Bench bench(R"({"token_lifetime":3})");
    const Headers auth = {{"Authorization", "token gho_sim_pro_plus"}};
    const auto body = Bench::json_of(bench.send("GET", "/copilot_internal/v2/token", "", auth));
    CHECK(body["expires_at"].as_int() == unix_seconds(kStart) + 3);
    CHECK(body["endpoints"]["api"].as_string() == "http://127.0.0.1:7000");
    const Headers capi = {{"Authorization", "Bearer " + std::string(body["token"].as_string())},
                          {"Editor-Version", "vscode/1.104.3"}};
    CHECK(bench.send("GET", "/models", "", capi).status == 200);
    bench.now += seconds(3);
    const Reply late = bench.send("GET", "/models", "", capi);
    CHECK(late.status == 401);
    CHECK(late.body() == "unauthorized: token expired\n");
    CHECK(bench.state()["token_exchanges"].as_int() == 1);
}

// Each known refusal of the exchange can be met.
TEST_CASE("exchange: refusals") {
    struct Row {
        std::string_view outcome;
        int status;
        std::string_view text;
    };
    for (const Row& row :
         {Row{"bad_credentials", 401, "Bad credentials"}, Row{"not_found", 404, "Not Found"},
          Row{"rate_limited", 403, "API rate limit exceeded"},
          Row{"spammy_user", 403, "\"notification_id\":\"spammy_user\""},
          Row{"not_signed_up", 403, "\"can_signup_for_limited\":true"},
          Row{"server_error", 500, "Internal Server Error"}, Row{"html", 200, "<html>"}}) {
        CAPTURE(row.outcome);
        Bench bench(R"({"accounts":[{"name":"pro_plus","exchange":")" + std::string(row.outcome) +
                    R"("}]})");
        const Reply r = bench.send("GET", "/copilot_internal/v2/token", "",
                                   {{"Authorization", "Bearer gho_sim_pro_plus"}});
        CHECK(r.status == row.status);
        CHECK(r.body().find(row.text) != std::string::npos);
    }
}

// A third-party OAuth app's token is refused by the exchange and works directly instead.
TEST_CASE("exchange: direct-only applications get 404 and may call CAPI themselves") {
    Bench bench;
    const std::string_view app = "Ov23li8tweQw6odWQebz";
    const auto codes = start_flow(bench, app);
    bench.control("/_sim/authorize", "{}");
    const auto token = poll(bench, codes["device_code"].as_string(), app);
    const std::string bearer = "Bearer " + std::string(token["access_token"].as_string());
    CHECK(bench.send("GET", "/copilot_internal/v2/token", "", {{"Authorization", bearer}}).status ==
          404);
    CHECK(bench.send("GET", "/models", "", {{"Authorization", bearer}}).status == 200);
}

// Killing a token makes CAPI answer 401 at once, and a new exchange cures it.
TEST_CASE("revoked tokens are dead, new ones live") {
    Bench bench;
    CHECK(bench
              .call("/chat/completions",
                    R"({"model":"gpt-4.1","messages":[{"role":"user","content":"hi"}]})")
              .status == 200);
    bench.control("/_sim/revoke", R"({"account":"pro_plus"})");
    CHECK(bench.call("/chat/completions", "{}").status == 401);
    bench.token.clear();
    CHECK(bench.call("/chat/completions", "{}").status == 400);
}

// Each plan's user record has the shape that was seen for it.
TEST_CASE("user: shapes by plan") {
    Bench bench(
        R"({"accounts":[{"name":"max","entitlement_as_text":true,"missing_keys":["endpoints"]}]})");
    auto user = [&bench](std::string_view name) {
        return Bench::json_of(
            bench.send("GET", "/copilot_internal/user", "",
                       {{"Authorization", "token gho_sim_" + std::string(name)}}));
    };
    const auto plus = user("pro_plus")["quota_snapshots"]["premium_interactions"];
    CHECK(plus["entitlement"].as_int() == 7000);
    CHECK(plus["token_based_billing"].as_bool());
    CHECK(user("free")["limited_user_quotas"]["chat"].as_int() == 50);
    CHECK(!user("free").has("quota_snapshots"));
    CHECK(user("free_tbb")["quota_snapshots"]["chat"]["entitlement"].as_int() == 200);
    const auto spent = user("pro_exhausted")["quota_snapshots"]["premium_interactions"];
    CHECK(spent["remaining"].as_int() == -1);
    CHECK(spent["percent_remaining"].as_double() == doctest::Approx(-0.333));
    CHECK(user("business")["quota_snapshots"]["premium_interactions"]["unlimited"].as_bool());
    CHECK(user("max")["quota_snapshots"]["premium_interactions"]["entitlement"].is_string());
    CHECK(!user("max").has("endpoints"));
    CHECK(user("no_access")["status"].as_string() == "404");
}

// The catalogue is what the plan, the integration and the policy leave of it.
TEST_CASE("models: filtered by plan and integration, policies shown and switched") {
    Bench bench(R"({"integrations":{"vscode-chat":null,"tiny":["gpt-4.1"]}})");
    auto ids = [&bench](std::string_view account, std::string_view integration) {
        const Reply r = bench.send("GET", "/models", "",
                                   {{"Authorization", "Bearer gho_sim_" + std::string(account)},
                                    {"Copilot-Integration-Id", std::string(integration)}});
        std::string all;
        const auto list = Bench::json_of(r);
        for (const auto& m : list["data"].items()) {
            all += std::string(m["id"].as_string()) + " ";
        }
        return all;
    };
    CHECK(ids("pro_plus", "vscode-chat").find("claude-opus-4.6") != std::string::npos);
    CHECK(ids("pro", "vscode-chat").find("claude-opus-4.6") == std::string::npos);
    CHECK(ids("pro_plus", "tiny") == "gpt-4.1 ");
    CHECK(bench
              .send("GET", "/models", "",
                    {{"Authorization", "Bearer gho_sim_pro"}, {"Copilot-Integration-Id", "who"}})
              .status == 400);
    const std::string_view ask =
        R"({"model":"grok-4.5","messages":[{"role":"user","content":"hi"}]})";
    CHECK(bench.call("/chat/completions", ask).body().find("model_not_supported") !=
          std::string::npos);
    CHECK(bench.call("/models/grok-4.5/policy", R"({"state":"enabled"})").status == 200);
    CHECK(bench.call("/chat/completions", ask).status == 200);
}

// Free accounts under token billing can use the server's choice of model and nothing else.
TEST_CASE("auto: a session token opens the models it names") {
    Bench bench;
    bench.account = "free_tbb";
    const std::string_view ask =
        R"({"model":"gpt-4.1","messages":[{"role":"user","content":"hi"}]})";
    CHECK(bench.call("/chat/completions", ask).status == 400);
    const auto session = Bench::json_of(bench.call("/models/session", R"({"auto_mode":{}})"));
    CHECK(session["selected_model"].as_string() == "gpt-4.1");
    bench.extra = {{"Copilot-Session-Token", std::string(session["session_token"].as_string())}};
    CHECK(bench.call("/chat/completions", ask).status == 200);
    CHECK(bench
              .call("/chat/completions",
                    R"({"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]})")
              .body()
              .find("not available for session") != std::string::npos);
    bench.now += seconds(3601);
    bench.token.clear();
    CHECK(bench.call("/chat/completions", ask).status == 400);
}

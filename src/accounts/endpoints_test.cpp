#include "accounts/endpoints.h"

#include <doctest/doctest.h>

using namespace belay;
using namespace belay::accounts;

TEST_CASE("every address follows from the domain") {
    const Endpoints e = plan_endpoints({}).value();
    CHECK(e.device_code_url == "https://github.com/login/device/code");
    CHECK(e.access_token_url == "https://github.com/login/oauth/access_token");
    CHECK(e.exchange_url == "https://api.github.com/copilot_internal/v2/token");
    CHECK(e.user_url == "https://api.github.com/copilot_internal/user");
    CHECK(e.verification_url == "https://github.com/login/device");
    CHECK(e.api_base == "https://api.githubcopilot.com");
    CHECK_FALSE(e.loopback);

    EndpointSettings tenant;
    tenant.domain = "https://Acme.GHE.com/login/";
    const Endpoints t = plan_endpoints(tenant).value();
    CHECK(t.device_code_url == "https://acme.ghe.com/login/device/code");
    CHECK(t.exchange_url == "https://api.acme.ghe.com/copilot_internal/v2/token");
    CHECK(t.verification_url == "https://acme.ghe.com/login/device");
    CHECK(t.api_base == "https://copilot-api.acme.ghe.com");
}

TEST_CASE("only github.com and tenants of ghe.com are domains") {
    for (const char* bad :
         {"", "github.org", "ghe.com", ".ghe.com", "evilghe.com", "acme.ghe.com.evil.io",
          "a b.ghe.com", "user@acme.ghe.com", "github.com:8443"}) {
        CAPTURE(bad);
        EndpointSettings s;
        s.domain = bad;
        CHECK_FALSE(plan_endpoints(s).ok());
    }
}

TEST_CASE(
    "explicit addresses: https anywhere, plain http on loopback only; the rest follows them") {
    EndpointSettings s;
    s.device_code_url = "http://127.0.0.1:9000/login/device/code";
    s.access_token_url = "http://127.0.0.1:9000/login/oauth/access_token";
    s.exchange_url = "http://localhost:9000/copilot_internal/v2/token";
    s.api_base = "http://[::1]:9000/";
    const auto e = plan_endpoints(s);
    REQUIRE(e.ok());
    CHECK(e->verification_url == "http://127.0.0.1:9000/login/device");
    CHECK(e->user_url == "http://localhost:9000/copilot_internal/user");
    CHECK(e->api_base == "http://[::1]:9000");
    CHECK(e->loopback);

    s.exchange_url = "http://sim.example:9000/copilot_internal/v2/token";
    const auto refused = plan_endpoints(s);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().message.find("GITHUB_COPILOT_API_KEY_URL") != std::string::npos);
    CHECK(refused.error().message.find("https") != std::string::npos);
}

TEST_CASE("a reply can announce only hosts of Copilot: the token goes nowhere else") {
    const Endpoints github = plan_endpoints({}).value();
    struct Case {
        const char* announced;
        bool good;
    } cases[] = {
        {"https://api.individual.githubcopilot.com", true},
        {"https://api.business.githubcopilot.com/", true},
        {"https://copilot-api.github.com", true},
        {"http://api.individual.githubcopilot.com", false},
        {"https://api.individual.githubcopilot.com:8443", false},
        {"https://githubcopilot.com.evil.io", false},
        {"https://evilgithubcopilot.com", false},
        {"https://evil.io/githubcopilot.com", false},
        {"https://copilot-api.acme.ghe.com", false},  // a tenant, but not the configured one
        {"http://127.0.0.1:9000", false},             // loopback only when the exchange is there
        {"https://user@api.githubcopilot.com", false},
        {"https://api.githubcopilot.com?x=1", false},
        {"", false},
        {"gibberish", false},
    };
    for (const Case& c : cases) {
        CAPTURE(c.announced);
        CHECK(check_announced_base(github, c.announced).ok() == c.good);
    }
    CHECK(check_announced_base(github, "https://api.business.githubcopilot.com/").value() ==
          "https://api.business.githubcopilot.com");

    EndpointSettings tenant;
    tenant.domain = "acme.ghe.com";
    const Endpoints acme = plan_endpoints(tenant).value();
    CHECK(check_announced_base(acme, "https://copilot-api.acme.ghe.com").ok());
    CHECK_FALSE(check_announced_base(acme, "https://copilot-api.other.ghe.com").ok());
}

TEST_CASE(
    "an explicit base wins over what is announced; a loopback exchange may announce loopback") {
    EndpointSettings s;
    s.api_base = "https://proxy.example/copilot";
    CHECK(
        check_announced_base(plan_endpoints(s).value(), "https://api.githubcopilot.com").value() ==
        "https://proxy.example/copilot");
    EndpointSettings sim;
    sim.exchange_url = "http://127.0.0.1:9000/copilot_internal/v2/token";
    const Endpoints e = plan_endpoints(sim).value();
    CHECK(check_announced_base(e, "http://127.0.0.1:9100").value() == "http://127.0.0.1:9100");
    CHECK_FALSE(check_announced_base(e, "http://192.168.0.9:9100").ok());
}

TEST_CASE("after a 421 the announced host comes first, then the generic one, then the plans") {
    const Endpoints e = plan_endpoints({}).value();
    const auto bases = candidate_bases(e, "https://api.business.githubcopilot.com");
    REQUIRE(bases.size() == 4);
    CHECK(bases[0] == "https://api.business.githubcopilot.com");
    CHECK(bases[1] == "https://api.githubcopilot.com");
    CHECK(candidate_bases(e, "").size() == 4);
    EndpointSettings s;
    s.api_base = "http://127.0.0.1:1/";
    CHECK(candidate_bases(plan_endpoints(s).value(), "x").size() == 1);
}

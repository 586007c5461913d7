#include "app/litellm_rows.h"

#include <doctest/doctest.h>

#include <algorithm>

namespace belay::app {
namespace {

using governance::EntityKind;

// "sk-openai-secret-0123456789" under the salt "sk-salt", made with PyNaCl's SecretBox.
constexpr std::string_view kSealed =
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX2vBK63qjkpd9ntBcsknGVDisBLBA63FKT0-"
    "s7F-j2TPhXM4HlEr8ErjZuQ==";
constexpr int64_t kNow = 1'795'000'000'000;  // November 2026

struct Reading {
    std::unique_ptr<Seal> seal = std::move(*make_seal({Secret("ours")}));
    LitellmSeal opened;
    LitellmRows rows;

    explicit Reading(std::string salt = "sk-salt")
        : opened({Secret(std::move(salt))}), rows(opened, *seal, kNow) {}
    void add(std::string_view table, std::string_view row) { rows.add(table, *json::parse(row)); }
    // The document, or null.
    json::Value doc(EntityKind kind, std::string_view id) {
        for (const Imported& one : rows.found()) {
            if (one.kind == kind && one.id == id) {
                return one.doc;
            }
        }
        return {};
    }
    std::string why(std::string_view name) {
        for (const LeftOut& one : rows.left_out()) {
            if (one.name.starts_with(name)) {
                return one.why;
            }
        }
        return {};
    }
};

const std::string kHash(64, 'a');

TEST_CASE("a key's row becomes its document: nulls and bookkeeping gone, times with their zone") {
    Reading reading;
    reading.add("LiteLLM_VerificationToken",
                R"({"token":")" + kHash +
                    R"(","key_name":"sk-...wxyz","key_alias":"ci","spend":1.5,"total_spend":9,
        "expires":"2026-12-01T00:00:00.5","models":[],"aliases":{},"user_id":null,"blocked":null,
        "rpm_limit":60,"soft_budget_cooldown":false,"created_at":"2026-11-20T10:00:00",
        "object_permission_id":"p1","a_column_of_tomorrow":"kept"})");
    reading.rows.finish();
    const json::Value doc = reading.doc(EntityKind::key, kHash);
    CHECK(json::dump(doc) ==
          R"({"key_name":"sk-...wxyz","key_alias":"ci","spend":1.5,)"
          R"("expires":"2026-12-01T00:00:00.5Z","rpm_limit":60,)"
          R"("created_at":"2026-11-20T10:00:00Z","a_column_of_tomorrow":"kept"})");
    REQUIRE(reading.rows.notes().size() == 1);
    CHECK(reading.rows.notes()[0].find("MCP") != std::string::npos);
}

TEST_CASE("what cannot work here is left out with its reason") {
    Reading reading;
    reading.add("LiteLLM_VerificationToken",
                R"({"token":"sk-plain","key_name":"sk-...lain","key_alias":"plain"})");
    reading.add("LiteLLM_VerificationToken", R"({"token":")" + kHash +
                                                 R"(","key_alias":"session",
        "team_id":"litellm-dashboard"})");
    reading.add("LiteLLM_DeprecatedVerificationToken",
                R"({"token":"over","active_token_id":"x","revoke_at":"2020-01-01T00:00:00"})");
    reading.add("LiteLLM_UserTable", R"({"user_id":"a/b"})");
    reading.add("LiteLLM_TeamMembership", R"({"user_id":"u","team_id":"gone"})");
    reading.add("LiteLLM_Config", R"({"param_name":"cache_params","param_value":{"a":1}})");
    reading.rows.finish();
    CHECK(reading.rows.found().empty());
    CHECK(reading.why("plain").find("SHA-256") != std::string::npos);
    CHECK(reading.why("session").find("dashboard") != std::string::npos);
    CHECK(reading.why("over").find("grace") != std::string::npos);
    CHECK(reading.why("a/b").find("'/'") != std::string::npos);
    CHECK(reading.why("u in gone").find("no such team") != std::string::npos);
    CHECK(reading.why("cache_params").find("no meaning") != std::string::npos);
}

TEST_CASE("a team's members stand in the team, in the user and in a row of their own") {
    Reading reading;
    reading.add("LiteLLM_UserTable", R"({"user_id":"ann","teams":[]})");
    reading.add("LiteLLM_ModelTable", R"({"id":7,"aliases":"{\"fast\":\"mini\"}"})");
    reading.add("LiteLLM_TeamTable", R"({"team_id":"t","members":[],"model_id":7,
        "members_with_roles":[{"role":"admin","user_id":"ann"},{"role":"user","user_id":"bob"}]})");
    reading.add("LiteLLM_TeamMembership", R"({"team_id":"t","user_id":"bob","budget_id":"b"})");
    reading.rows.finish();
    CHECK(json::dump(reading.doc(EntityKind::team, "t")["members"]) == R"(["ann","bob"])");
    CHECK(json::dump(reading.doc(EntityKind::team, "t")["model_aliases"]) == R"({"fast":"mini"})");
    CHECK(json::dump(reading.doc(EntityKind::user, "ann")["teams"]) == R"(["t"])");
    CHECK(reading.doc(EntityKind::team_member, "t/ann")["role"].as_string() == "admin");
    CHECK(reading.doc(EntityKind::team_member, "t/bob")["budget_id"].as_string() == "b");
}

TEST_CASE("a model's secrets are opened and sealed anew, its other values are plain") {
    const std::string row = R"({"model_id":"m","model_name":"x","model_info":{"mode":"chat"},
        "litellm_params":{"model":"openai/gpt","rpm":10,"api_key":")" +
                            std::string(kSealed) + R"(","api_base":"http://h/v1"}})";
    Reading reading;
    reading.add("LiteLLM_ProxyModelTable", row);
    const json::Value doc = reading.doc(EntityKind::model, "m");
    CHECK(doc["litellm_params"]["model"].as_string() == "openai/gpt");
    CHECK(doc["litellm_params"]["rpm"].as_int() == 10);
    CHECK(doc["litellm_params"]["api_base"].as_string() == "http://h/v1");
    const std::string sealed(doc["litellm_params"]["api_key"].as_string());
    REQUIRE(is_sealed(sealed));
    CHECK(reading.seal->open(sealed, "model/m/api_key")->reveal() == "sk-openai-secret-0123456789");
    CHECK(doc["model_info"]["id"].as_string() == "m");

    Reading wrong("another salt");
    wrong.add("LiteLLM_ProxyModelTable", row);
    CHECK(wrong.rows.found().empty());
    CHECK(wrong.why("x (m)").find("LITELLM_SALT_KEY") != std::string::npos);
}

TEST_CASE("settings come without what the file alone says; the environment stays outside") {
    Reading reading;
    reading.add("LiteLLM_Config", R"({"param_name":"general_settings",
        "param_value":{"store_model_in_db":true,"master_key":"sk-x"}})");
    reading.add("LiteLLM_Config", R"({"param_name":"environment_variables",
        "param_value":{"A":"x","B":"y"}})");
    CHECK(json::dump(reading.doc(EntityKind::config, "general_settings")["param_value"]) ==
          R"({"store_model_in_db":true})");
    CHECK(reading.why("general_settings.master_key") != "");
    CHECK(reading.why("environment_variables").find("A, B") != std::string::npos);
}

TEST_CASE("a digest tells a change, not a store's way of writing or what use alone moves") {
    const auto digest = [](std::string_view text) { return digest_of(*json::parse(text)); };
    const std::string plain = digest(R"({"a":1,"b":{"c":[1.50,"x"]}})");
    CHECK(plain == digest(R"({"b":{"c":[1.5,"x"]},"a":1.0})"));
    CHECK(plain == digest(R"({"a":1,"b":{"c":[1.5,"x"]},"spend":4,"budget_reset_at":"t",
        "spend_offset_nano":-3,"import_digest":"m"})"));
    CHECK(plain != digest(R"({"a":2,"b":{"c":[1.5,"x"]}})"));
    CHECK(plain != digest(R"({"a":1,"b":{"c":["x",1.5]}})"));
    CHECK(plain != digest(R"({"a":1,"b":{"c":[1.5,"x"]},"updated_by":"me"})"));
}

TEST_CASE("use alone does not make a row another one") {
    Reading first;
    Reading later;
    const std::string row = R"({"token":")" + kHash + R"(","rpm_limit":1,)";
    first.add("LiteLLM_VerificationToken",
              row + R"("spend":1,"updated_at":"2026-01-01T00:00:00"})");
    later.add("LiteLLM_VerificationToken",
              row + R"("spend":2,"updated_at":"2026-02-01T00:00:00","last_active":"x"})");
    CHECK(first.rows.found()[0].source == later.rows.found()[0].source);
    Reading changed;
    changed.add("LiteLLM_VerificationToken", R"({"token":")" + kHash + R"(","rpm_limit":2})");
    CHECK(first.rows.found()[0].source != changed.rows.found()[0].source);
}

}  // namespace
}  // namespace belay::app

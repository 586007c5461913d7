"""What the operator decides about money and secrets: statuses, unknown prices, how keys are kept, stored variables,
and what a browser's session may do."""
import hashlib
import json

import pytest

import database
from harness import KEY, MINI, OPUS, fetch, until

BASE = f"""
model_list:
  - model_name: {MINI}
    litellm_params: {{model: {MINI}}}
  - model_name: mystery
    litellm_params: {{model: openai/nobody-knows-this, api_key: gho_sim_pro_plus, api_base: "%s"}}
"""


def manage(belay, path, body=None, key=KEY):
    return fetch(belay.url + path, body, headers={"Authorization": f"Bearer {key}"})


def good(reply):
    assert reply.status == 200, f"{reply.status}: {reply.body!r}"
    return reply.json


def generate(belay, **fields):
    return good(manage(belay, "/key/generate", fields))["key"]


def was_asked(sim):
    return any("nobody-knows-this" in json.dumps(r) for r in sim.requests())


@pytest.mark.parametrize("setting, status", [("", 422), ("litellm_settings: {budget_exceeded_status_code: 429}", 429),
                                             ("litellm_settings: {budget_exceeded_status_code: 400}", 400)])
def test_an_exhausted_budget_has_the_status_that_was_chosen(make, sim, setting, status):
    belay = make.belay(sim, config=BASE % sim.url + setting + "\n")
    refused = belay.chat(MINI, key=generate(belay, max_budget=0))
    assert refused.status == status
    assert refused.json["error"]["type"] == "budget_exceeded" and refused.json["error"]["code"] == str(status)


def test_another_status_is_refused_at_the_start(make, sim):
    belay = make.belay(sim, config=BASE % sim.url)
    belay.config.write_text(BASE % sim.url + "litellm_settings: {budget_exceeded_status_code: 418}\n")
    checked = belay.command("check", "--config", belay.config, check=False)
    assert checked.returncode != 0 and "422, 429 or 400" in checked.stdout + checked.stderr


def test_a_budget_is_not_spent_on_what_has_no_price(make, sim):
    belay = make.belay(sim, config=BASE % sim.url)
    bounded, free = generate(belay, max_budget=5), generate(belay)
    refused = belay.chat("mystery", key=bounded)
    assert refused.status == 400 and "price is not known" in refused.json["error"]["message"]
    assert not was_asked(sim)
    belay.chat("mystery", key=free)  # goes upstream, whatever comes of it there
    assert was_asked(sim)
    assert belay.chat(MINI, key=bounded).status == 200


@pytest.mark.parametrize("policy", ["free", "2.5"])
def test_the_operator_may_let_it_pass_or_assume_a_price(make, sim, policy):
    belay = make.belay(sim, config=BASE % sim.url + f"general_settings: {{unknown_price: {policy}}}\n")
    belay.chat("mystery", key=generate(belay, max_budget=5))
    assert was_asked(sim), "the budget does not forbid it"
    dear = belay.chat("mystery", key=generate(belay, max_budget=0.0000001))
    assert (dear.status == 422) == (policy == "2.5"), dear.body


def stored(belay):
    return b"".join(p.read_bytes() for p in (belay.home / ".local/share/belay").iterdir() if p.is_file())


def test_keys_are_kept_under_a_keyed_hash_and_shown_under_litellms(belay):
    key = generate(belay, key_alias="ci")
    token = hashlib.sha256(key.encode()).hexdigest()
    assert belay.chat(MINI, key=key).status == 200
    assert belay.chat(MINI, key=token).status == 401, "a hash opens nothing"
    rows = good(manage(belay, "/key/list?return_full_object=true"))["keys"]
    assert token in json.dumps(rows)
    assert good(manage(belay, f"/key/info?key={token}"))["info"]["key_alias"] == "ci"

    def logged():
        rows = good(manage(belay, f"/spend/logs/v2?api_key={token}&start_date=2020-01-01&end_date=2100-01-01"))["data"]
        return rows if rows else None
    assert until(logged, "the record is found by the token")[0]["api_key"] == token
    secret = belay.home / ".local/share/belay/key-secret"
    assert secret.stat().st_mode & 0o777 == 0o600
    belay.stop()
    assert token.encode() not in stored(belay) and key.encode() not in stored(belay)


def test_a_new_master_key_locks_no_key_out(make, sim):
    belay = make.belay(sim, config=BASE % sim.url + "general_settings: {master_key: sk-first-master-key-0123456789}\n")
    key = good(manage(belay, "/key/generate", {}, "sk-first-master-key-0123456789"))["key"]
    belay.config.write_text(BASE % sim.url + "general_settings: {master_key: sk-second-master-key-987654321}\n")
    belay.restart()
    assert belay.chat(MINI, key=key).status == 200
    belay.stop()
    # Sealed anew under the second: the file is no longer needed.
    (belay.home / ".local/share/belay/key-secret").unlink()
    belay.start()
    assert belay.chat(MINI, key=key).status == 200


def test_instances_of_one_database_know_each_others_keys(make, sim):
    postgres = database.Postgres()
    try:
        url = postgres.database("shared")
        env = {"DATABASE_URL": url, "LITELLM_SALT_KEY": "a salt that both have"}
        one = make.belay(sim, env={**env, "BELAY_DATA_DIR": str(make.home / "one")})
        two = make.belay(sim, env={**env, "BELAY_DATA_DIR": str(make.home / "two")})
        key = generate(one)
        until(lambda: two.chat(MINI, key=key).status == 200, "the other instance knows the key")
        token = hashlib.sha256(key.encode()).hexdigest()
        assert token not in postgres.run("pg_dump", "-h", postgres.home, "-U", "belay", "shared").stdout
        one.stop()
        two.stop()
    finally:
        postgres.end()


def test_stored_variables_serve_references_and_are_never_shown(make, sim):
    belay = make.belay(sim, config=BASE % sim.url + "general_settings: {store_model_in_db: true}\n")
    good(manage(belay, "/config/update", {"environment_variables": {"UPSTREAM_KEY": "gho_sim_business"}}))
    good(manage(belay, "/model/new", {"model_name": "by-variable", "model_info": {"input_cost_per_token": 0},
                                      "litellm_params": {"model": "openai/gpt-5-mini", "api_base": sim.url,
                                                         "api_key": "os.environ/UPSTREAM_KEY"}}))

    def served():
        return belay.chat("by-variable", disable_fallbacks=True).status == 200
    until(served, "the stored variable is the key")
    assert any(r["account"] == "business" and r["model"] for r in sim.requests())
    belay.restart()
    until(served, "also after a restart")
    for path in ("/config/yaml", "/get/config/callbacks", "/model/info"):
        assert b"gho_sim_business" not in manage(belay, path).body
    assert "gho_sim_business" not in belay.said()
    belay.stop()
    assert b"gho_sim_business" not in stored(belay)


@pytest.mark.parametrize("name", ["LITELLM_MASTER_KEY", "DATABASE_URL", "GITHUB_COPILOT_API_BASE", "BELAY_DATA_DIR",
                                  "a b", ""])
def test_variables_that_would_not_be_read_are_refused(belay, name):
    refused = manage(belay, "/config/update", {"environment_variables": {name: "x"}})
    assert refused.status == 400, refused.body


def test_a_browsers_session_manages_from_our_own_pages_only(belay):
    good(manage(belay, "/user/new", {"user_id": "ann", "user_email": "ann@example.org", "user_role": "internal_user"}))
    good(manage(belay, "/user/update", {"user_id": "ann", "password": "correct horse battery staple"}))
    login = fetch(belay.url + "/v2/login", {"username": "ann@example.org", "password": "correct horse battery staple"})
    line = login.headers["set-cookie"]
    assert "HttpOnly" in line and "SameSite=Strict" in line
    cookie = line.split(";")[0]

    def ask(path, body=None, **headers):
        return fetch(belay.url + path, body, headers={"Cookie": f"theme=dark; {cookie}",
                                                      **{k.replace("_", "-"): v for k, v in headers.items()}})
    assert ask("/user/info?user_id=ann").json["user_id"] == "ann"
    assert ask("/user/info?user_id=ann", Sec_Fetch_Site="cross-site").status == 403
    own = belay.url
    made = ask("/key/generate", {"key_alias": "mine"}, Sec_Fetch_Site="same-origin")
    assert made.status == 200, made.body
    assert ask("/key/generate", {}, Origin=own).status == 200
    for headers in ({}, {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"},
                    {"Origin": "http://localhost:1"}):
        assert ask("/key/generate", {}, **headers).status == 403, headers
    # Models are asked with a key.
    asked = ask("/v1/chat/completions", {"model": MINI, "messages": []}, Sec_Fetch_Site="same-origin")
    assert asked.status == 401
    # A key in the cookie's place is no session.
    forged = fetch(belay.url + "/key/list", headers={"Cookie": f"token={made.json['key']}"})
    assert forged.status == 401
    assert ask("/logout", {}, Sec_Fetch_Site="same-origin").status == 200
    assert ask("/user/info?user_id=ann").status == 401


def test_answers_about_what_is_not_there_are_honest(make, sim):
    belay = make.belay(sim, config=BASE % sim.url + "general_settings: {store_model_in_db: true}\n")
    assert manage(belay, "/cache/ping").status == 503
    for path in ("/cache/flushall", "/cache/delete"):
        assert manage(belay, path, {}).status == 404
    assert good(manage(belay, "/provider/budgets")) == {"providers": {}}
    assert good(manage(belay, "/health/history"))["health_checks"] == []
    assert manage(belay, "/health/services?service=slack").status == 400
    known = {"litellm_params": {"model": MINI}}
    until(lambda: good(manage(belay, "/health/test_connection", known))["status"] == "success", "the sign-in is there")
    unknown = {"litellm_params": {"model": "github_copilot/gpt-99"}}
    assert "gpt-99" in good(manage(belay, "/health/test_connection", unknown))["result"]["error"]
    estimate = good(manage(belay, "/cost/estimate", {"model": MINI, "input_tokens": 1000, "output_tokens": 100,
                                                     "num_requests_per_day": 10}))
    assert estimate["daily_cost"] == pytest.approx(10 * estimate["cost_per_request"])
    assert estimate["cost_per_request"] > 0 and estimate["monthly_cost"] is None
    model = good(manage(belay, "/model/new", {"model_name": "extra", "litellm_params": {"model": MINI}}))["model_id"]
    assert belay.chat("extra").status == 200
    good(manage(belay, "/model/block", {"id": model}))
    assert belay.chat("extra", disable_fallbacks=True).status == 400
    good(manage(belay, "/model/unblock", {"id": model}))
    assert belay.chat("extra").status == 200

"""The management API over HTTP: the life of keys, users, teams, budgets and models, as scripts and the usual
infrastructure tools drive it."""
import concurrent.futures
import hashlib

import pytest

import harness
from harness import KEY, MINI, OPUS, fetch, until

CONFIG = f"""
model_list:
  - model_name: {MINI}
    litellm_params: {{model: {MINI}}}
  - model_name: {OPUS}
    litellm_params: {{model: {OPUS}}}
general_settings:
  master_key: {KEY}
  store_model_in_db: true
"""


class Api:
    """Calls as whoever has the key."""

    def __init__(self, belay, key=KEY):
        self.belay, self.key = belay, key

    def call(self, method, path, body=None):
        return fetch(self.belay.url + path, body, method, {"Authorization": f"Bearer {self.key}"})

    def get(self, path):
        return self.call("GET", path)

    def post(self, path, **body):
        return self.call("POST", path, body)

    def made(self, path, **body):
        reply = self.post(path, **body)
        assert reply.status == 200, f"{path}: {reply.status} {reply.body!r}"
        return reply.json


@pytest.fixture
def api(make, sim):
    return Api(make.belay(sim, config=CONFIG))


def test_a_key_lives_from_generate_to_delete_and_over_a_restart(api):
    made = api.made("/key/generate", key_alias="ci", models=[MINI], rpm_limit=60, metadata={"a": 1})
    key, token = made["key"], hashlib.sha256(made["key"].encode()).hexdigest()
    assert made["token"] == made["token_id"] == token
    assert made["created_at"] and made["updated_at"]
    assert api.belay.chat(MINI, key=key).status == 200
    denied = api.belay.chat(OPUS, key=key)
    assert (denied.status, denied.json["error"]["type"]) == (403, "key_model_access_denied")
    assert [m["id"] for m in Api(api.belay, key).get("/v1/models").json["data"]] == [MINI]

    assert api.get(f"/key/info?key={key}").json["key"] == key
    own = Api(api.belay, key).get("/key/info").json
    assert own["key"] == token and own["info"]["key_alias"] == "ci" and "token" not in own["info"]

    api.belay.restart()
    assert api.belay.chat(MINI, key=key).status == 200
    assert api.made("/key/update", key=key, rpm_limit=None)["rpm_limit"] is None
    assert api.made("/key/block", key=key)["blocked"] is True
    assert api.belay.chat(MINI, key=key).status == 401
    api.made("/key/unblock", key=key)
    assert api.belay.chat(MINI, key=key).status == 200
    fresh = api.made(f"/key/{key}/regenerate")["key"]
    assert api.belay.chat(MINI, key=key).status == 401
    assert api.belay.chat(MINI, key=fresh).status == 200
    assert api.made("/key/delete", keys=[fresh]) == {"deleted_keys": [fresh]}
    assert api.belay.chat(MINI, key=fresh).status == 401
    assert api.get(f"/key/info?key={fresh}").status == 404


def test_ten_keys_made_at_once_all_persist(api):
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        made = list(pool.map(lambda i: api.made("/key/generate", key_alias=f"k{i}")["token"], range(10)))
    api.belay.restart()
    listed = api.get("/key/list?size=100").json
    assert listed["total_count"] == 10 and sorted(listed["keys"]) == sorted(made)


def test_a_grace_period_lets_the_old_secret_work_beside_the_new(api):
    key = api.made("/key/generate")["key"]
    fresh = api.made("/key/regenerate", key=key, grace_period="1h")["key"]
    assert api.belay.chat(MINI, key=key).status == api.belay.chat(MINI, key=fresh).status == 200


def test_users_and_teams_as_an_infrastructure_tool_makes_them(api):
    user = api.made("/user/new", user_email="ann@example.com", user_role="internal_user", auto_create_key=False)
    assert user["key"] == ""
    ann = user["user_id"]
    assert api.post("/user/new", user_email="ann@example.com").status == 409
    team = api.made("/team/new", team_alias="core", models=[MINI], max_budget=100, budget_duration="30d")["team_id"]
    added = api.made("/team/member_add", team_id=team, member={"role": "user", "user_id": ann}, max_budget_in_team=5)
    assert [m["user_id"] for m in added["members_with_roles"]] == [ann]
    info = api.get(f"/team/info?team_id={team}").json
    assert info["team_info"]["max_budget"] == 100 and info["team_info"]["budget_reset_at"]
    assert info["team_memberships"][0]["litellm_budget_table"]["max_budget"] == 5
    assert api.post("/key/generate", team_id=team, models=[OPUS]).status == 403
    key = api.made("/key/generate", team_id=team, user_id=ann)["key"]
    assert api.belay.chat(MINI, key=key).status == 200
    assert api.belay.chat(OPUS, key=key).status == 403
    api.made("/team/update", team_id=team, max_budget=10)
    updated = api.made("/team/update", team_id=team, tpm_limit=None)["data"]
    assert (updated["max_budget"], updated["tpm_limit"]) == (10, None)
    assert api.post("/team/member_delete", team_id=team, user_id=ann).status == 200
    assert api.post("/team/member_delete", team_id=team, user_id=ann).status == 400
    assert api.belay.chat(MINI, key=key).status == 401
    api.made("/team/delete", team_ids=[team])
    assert api.get(f"/team/info?team_id={team}").status == 404
    assert api.made("/user/delete", user_ids=[ann]) == 1
    assert api.get(f"/user/info?user_id={ann}").status == 404


def test_people_cannot_reach_what_is_not_theirs(api):
    ann, bob = (api.made("/user/new", user_id=name)["key"] for name in ("ann", "bob"))
    theirs = hashlib.sha256(bob.encode()).hexdigest()
    mine = Api(api.belay, ann)
    assert mine.post("/key/delete", keys=[theirs]).status == 403
    assert mine.post("/key/update", key=theirs, user_id="ann").status == 403
    assert mine.get(f"/key/info?key={theirs}").status == 403
    assert mine.get("/user/info?user_id=bob").status == 403
    refused = mine.post("/config/update", router_settings={"num_retries": 0})
    assert refused.status == 403
    assert "Only proxy admin can be used to generate, delete, update info for new keys/users/teams" \
        in refused.json["error"]["message"]
    assert Api(api.belay, "sk-nobody-0123456789").get("/key/list").status == 401
    assert api.get(f"/key/info?key={theirs}").json["info"]["user_id"] == "bob"


def test_a_model_added_at_run_time_serves_the_next_request_and_survives(api, sim):
    model = api.made("/model/new", model_name="quick", litellm_params={"model": MINI}, model_info={"id": "quick-1"})
    assert model["model_id"] == "quick-1" and model["model_info"]["db_model"] is True
    assert api.belay.chat("quick").status == 200
    assert api.get("/model/info?litellm_model_id=quick-1").json["data"][0]["model_name"] == "quick"
    api.belay.restart()
    assert api.belay.chat("quick").status == 200
    api.made("/model/delete", id="quick-1")
    gone = api.belay.chat("quick")
    assert gone.status == 400 and "Invalid model name passed in model=quick" in gone.json["error"]["message"]
    assert api.get("/model/info?litellm_model_id=quick-1").status == 400


def test_a_chain_set_at_run_time_is_taken_by_the_next_request(api, sim):
    sim.no_quota(OPUS)
    for name, model in (("first", OPUS), ("second", MINI)):
        api.made("/model/new", model_name=name, litellm_params={"model": model})
    assert api.belay.chat("first").status != 200
    api.made("/fallback", model="first", fallback_models=["second"])
    assert api.belay.chat("first").status == 200
    assert api.get("/fallback/first").json["fallback_models"] == ["second"]
    api.call("DELETE", "/fallback/first")
    assert api.belay.chat("first").status != 200


def test_spend_is_shown_by_key_and_day_and_log_row(api):
    key = api.made("/key/generate", key_alias="spender", max_budget=5)
    for _ in range(3):
        assert api.belay.chat(MINI, key=key["key"]).status == 200

    def rows():
        page = api.get(f"/spend/logs/v2?api_key={key['token']}").json
        return page["data"] if page["total"] == 3 else None
    found = until(rows, "three rows in the log")
    assert {r["api_key"] for r in found} == {key["token"]}
    assert all(r["spend"] > 0 and r["status"] == "success" for r in found)
    total = sum(r["spend"] for r in found)
    shown = api.get(f"/key/info?key={key['token']}").json["info"]["spend"]
    assert shown == pytest.approx(total, rel=1e-9)
    day = found[0]["startTime"][:10]
    activity = api.get(f"/user/daily/activity?start_date={day}&end_date={day}").json
    assert activity["metadata"]["total_api_requests"] == 3
    assert activity["metadata"]["total_spend"] == pytest.approx(total, rel=1e-9)
    assert key["token"] in activity["results"][0]["breakdown"]["api_keys"]
    reset = api.made(f"/key/{key['token']}/reset_spend", reset_to=0.0)
    assert reset["spend"] == 0
    api.belay.restart(harness.signal.SIGTERM)
    assert api.get(f"/key/info?key={key['token']}").json["info"]["spend"] == 0


def test_malformed_requests_are_told_field_by_field(api):
    reply = api.post("/key/generate", rpm_limit="many")
    assert reply.status == 422
    assert reply.json["detail"][0]["loc"] == ["body", "rpm_limit"]
    assert api.post("/key/generate", max_budget=-1).status == 400
    assert api.get("/key/list?size=1000").status == 422
    assert api.get("/key/generate").status == 405


def test_signing_in_with_the_master_key_and_out_again(api):
    wrong = fetch(api.belay.url + "/v2/login", {"username": "admin", "password": "guess"})
    assert wrong.status == 401
    good = fetch(api.belay.url + "/v2/login", {"username": "admin", "password": KEY})
    assert good.status == 200 and good.json["redirect_url"] == "/ui/?login=success"
    cookie = good.headers["Set-Cookie"]
    assert cookie.startswith("token=sk-") and "HttpOnly" in cookie and "SameSite=Strict" in cookie
    session = Api(api.belay, cookie.split(";")[0].removeprefix("token="))
    assert session.get("/user/list").status == 200
    assert session.get("/key/list").json["total_count"] == 0
    assert session.post("/logout").status == 200
    assert session.get("/user/list").status == 401

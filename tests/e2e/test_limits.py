"""Virtual keys on the request line: access, budgets and limits, whatever runs at once."""
import collections
import concurrent.futures
import signal

import pytest

from harness import KEY, MINI, OPUS, fetch, until

ASK = {"model": MINI, "messages": [{"role": "user", "content": "Say hello"}]}


def manage(belay, path, body=None, key=KEY):
    return fetch(belay.url + path, body, headers={"Authorization": f"Bearer {key}"})


def generate(belay, **fields):
    reply = manage(belay, "/key/generate", fields)
    assert reply.status == 200, reply.body
    return reply.json["key"]


def call(belay, key, **fields):
    return fetch(belay.url + "/v1/chat/completions", {**ASK, **fields}, headers={"Authorization": f"Bearer {key}"})


def spend(belay, key):
    return manage(belay, f"/key/info?key={key}").json["info"]["spend"]


def price_of_one(belay):
    return float(call(belay, KEY).headers["x-litellm-response-cost"])


def test_a_key_reaches_its_models_and_no_others(belay):
    key = generate(belay, models=[MINI])
    assert call(belay, key).status == 200
    refused = call(belay, key, model=OPUS)
    assert refused.status == 403 and refused.json["error"]["type"] == "key_model_access_denied"
    names = [m["id"] for m in manage(belay, "/v1/models", key=key).json["data"]]
    assert names == [MINI]


@pytest.mark.parametrize("round", range(3))
def test_a_budget_for_a_hundred_serves_a_hundred_of_five_hundred_at_once(belay, sim, round):
    one = price_of_one(belay)
    key = generate(belay, max_budget=round_to_nano(one * 100))
    before = len(sim.calls())
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        statuses = collections.Counter(r.status for r in pool.map(lambda _: call(belay, key), range(500)))
    assert set(statuses) <= {200, 422}
    assert 95 <= statuses[200] <= 100
    assert len(sim.calls()) - before == statuses[200], "a refused request costs the upstream nothing"
    assert spend(belay, key) <= one * 100 + 1e-12
    assert spend(belay, key) == pytest.approx(one * statuses[200], abs=1e-10)


def round_to_nano(usd):
    return round(usd, 11)


def test_a_minute_holds_its_requests(belay):
    key = generate(belay, rpm_limit=60)
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda _: call(belay, key), range(100)))
    statuses = collections.Counter(r.status for r in replies)
    assert statuses == {200: 60, 429: 40}
    refused = next(r for r in replies if r.status == 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 61
    assert refused.headers["rate_limit_type"] == "requests"
    assert refused.headers["x-ratelimit-api_key-limit-requests"] == "60"
    assert refused.headers["x-ratelimit-api_key-remaining-requests"] == "0"
    assert ". Limit type: requests. Current limit: 60, Remaining: " in refused.json["error"]["message"]


def test_spend_outlives_a_kill(belay):
    one = price_of_one(belay)
    key = generate(belay, max_budget=round_to_nano(one * 4.6))
    for _ in range(3):
        assert call(belay, key).status == 200
    belay.restart(signal.SIGKILL)
    assert spend(belay, key) == pytest.approx(one * 3, abs=1e-10)
    assert [call(belay, key).status for _ in range(3)] == [200, 422, 422]


def test_what_an_administrator_changes_holds_on_the_next_request(belay):
    key = generate(belay, key_alias="ci")
    assert call(belay, key).status == 200
    assert manage(belay, "/key/block", {"key": key}).status == 200
    refused = call(belay, key)
    assert refused.status == 401 and "Key is blocked" in refused.json["error"]["message"]
    assert manage(belay, "/key/unblock", {"key": key}).status == 200
    assert call(belay, key).status == 200
    assert manage(belay, "/key/update", {"key": key, "models": [OPUS]}).status == 200
    assert call(belay, key).status == 403
    assert manage(belay, "/key/delete", {"keys": [key]}).status == 200
    assert call(belay, key).status == 401


def test_a_key_expires(belay):
    key = generate(belay, duration="1s")
    assert call(belay, key).status == 200
    refused = until(lambda: (r := call(belay, key)).status != 200 and r, "the key expires")
    assert refused.status == 401 and refused.json["error"]["type"] == "expired_key"


def test_a_team_s_budget_binds_all_its_keys(belay):
    one = price_of_one(belay)
    team = manage(belay, "/team/new", {"team_alias": "crew", "max_budget": round_to_nano(one * 2.5)}).json["team_id"]
    keys = [generate(belay, team_id=team) for _ in range(2)]
    statuses = [call(belay, keys[i % 2]).status for i in range(6)]
    assert statuses[:2] == [200, 200] and 422 in statuses[2:4] and statuses[4:] == [422, 422]
    info = manage(belay, f"/team/info?team_id={team}").json["team_info"]
    assert info["spend"] <= info["max_budget"]


def test_a_virtual_key_manages_nothing(belay):
    key = generate(belay)
    for path, body in [("/key/generate", {"user_id": "somebody-else"}), ("/user/new", {}), ("/team/new", {}),
                       ("/model/new", {"model_name": "x", "litellm_params": {"model": "openai/x"}})]:
        assert manage(belay, path, body, key=key).status in (401, 403), path
    assert manage(belay, "/key/info", key=key).json["info"]["key_name"].startswith("sk-...")


def test_a_customer_s_budget(belay):
    one = price_of_one(belay)
    assert manage(belay, "/customer/new", {"user_id": "anna", "max_budget": round_to_nano(one * 1.5)}).status == 200
    key = generate(belay)
    statuses = [call(belay, key, user="anna").status for _ in range(4)]
    assert statuses[0] == 200 and statuses[-1] == 422
    assert call(belay, key, user="bert").status == 200

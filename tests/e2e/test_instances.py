"""Three instances on one PostgreSQL and one Redis behave as one."""
import collections
import concurrent.futures
import itertools
import json
import threading
import time

import pytest

from database import Postgres
from harness import KEY, MINI, OPUS, fetch, until
from redis_server import Redis

ASK = {"model": MINI, "messages": [{"role": "user", "content": "Say hello"}]}
PATIENT = 60  # seconds for a request that may wait for others' reservations


@pytest.fixture
def redis():
    server = Redis()
    yield server
    server.end()


@pytest.fixture
def postgres():
    server = Postgres()
    yield server
    server.end()


@pytest.fixture
def instances(make, sim, redis, postgres):
    config = json.dumps({  # JSON is YAML
        "general_settings": {"database_url": postgres.database("belay"), "master_key": KEY},
        "router_settings": {"redis_url": redis.url, "cache_kwargs": {"socket_timeout": 5}}})
    made = []
    for i in range(3):
        home = make.home / f"instance-{i}"
        home.mkdir()
        made.append(make.belay(sim, home=home, config=config))
    until(lambda: redis.cli("ZCARD", "{belay}:instances") == "3", "all three are alive in Redis")
    return made


def manage(belay, path, body=None, key=KEY):
    return fetch(belay.url + path, body, headers={"Authorization": f"Bearer {key}"})


def generate(belays, **fields):
    """A key that all of them know."""
    reply = manage(belays[0], "/key/generate", fields)
    assert reply.status == 200, reply.body
    key = reply.json["key"]
    for belay in belays:
        until(lambda: manage(belay, "/v1/models", key=key).status == 200, "the key is known everywhere")
    return key


def call(belay, key, **fields):
    return fetch(belay.url + "/v1/chat/completions", {**ASK, **fields}, headers={"Authorization": f"Bearer {key}"},
                 timeout=PATIENT)


def spread(belays, key, count, threads=60):
    """`count` calls at once, in turn to each; what they answered."""
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda i: call(belays[i % len(belays)], key), range(count)))


def spend(belay, key):
    return manage(belay, f"/key/info?key={key}").json["info"]["spend"]


def price_of_one(belay):
    return float(call(belay, KEY).headers["x-litellm-response-cost"])


def test_a_budget_for_a_hundred_serves_a_hundred_of_five_hundred_over_three(instances, sim):
    one = price_of_one(instances[0])
    for round in range(3):
        key = generate(instances, max_budget=round_to_nano(one * 100))
        before = len(sim.calls())
        statuses = collections.Counter(r.status for r in spread(instances, key, 500))
        assert set(statuses) <= {200, 422}, statuses
        assert 95 <= statuses[200] <= 100, statuses
        assert len(sim.calls()) - before == statuses[200], "a refused request costs the upstream nothing"
        for belay in instances:
            until(lambda: spend(belay, key) == pytest.approx(one * statuses[200], abs=1e-10),
                  "each instance shows what all have spent")


def round_to_nano(usd):
    return round(usd, 11)


def test_a_minute_holds_its_requests_over_three(instances):
    key = generate(instances, rpm_limit=60)
    replies = spread(instances, key, 120)
    statuses = collections.Counter(r.status for r in replies)
    assert set(statuses) == {200, 429}
    assert 58 <= statuses[200] <= 60
    refused = next(r for r in replies if r.status == 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 61
    assert refused.headers["rate_limit_type"] == "requests"
    assert ". Limit type: requests. Current limit: 60, Remaining: 0" in refused.json["error"]["message"]


def test_a_key_that_one_revokes_is_refused_by_all(instances):
    key = generate(instances)
    assert manage(instances[1], "/key/block", {"key": key}).status == 200
    assert call(instances[1], key).status == 401
    for belay in instances:
        until(lambda: call(belay, key).status == 401, "the block is known")
    assert manage(instances[2], "/key/delete", {"keys": [key]}).status == 200
    for belay in instances:
        until(lambda: manage(belay, "/v1/models", key=key).status == 401, "the key is gone")


def test_what_an_administrator_sets_holds_on_every_instance(instances):
    one = price_of_one(instances[0])
    key = generate(instances, max_budget=round_to_nano(one * 3.6))
    assert [call(b, key).status for b in instances] == [200, 200, 200]
    assert call(instances[0], key).status == 422
    assert manage(instances[1], "/key/update", {"key": key, "spend": 0}).status == 200
    for belay in instances:
        until(lambda: call(belay, key).status == 200, "the new spend holds")
    assert [call(b, key).status for b in instances] == [422, 422, 422]


def test_a_deployment_that_rests_on_one_rests_on_all(instances, sim):
    sim.no_quota(OPUS)
    first = instances[0].chat(model=OPUS)
    assert first.status == 200 and first.headers["x-litellm-attempted-fallbacks"] != "0"
    for belay in instances[1:]:
        def rests():
            rows = manage(belay, "/health").json["unhealthy_endpoints"]
            return any("cooling down: quota" in row["error"] and OPUS.endswith(row["model"].split("/")[-1])
                       for row in rows)
        until(rests, "it rests here too")
        asked = len([m for m, _ in sim.calls() if OPUS.endswith(m)])
        assert belay.chat(model=OPUS).status == 200
        assert len([m for m, _ in sim.calls() if OPUS.endswith(m)]) == asked, "it was not asked again"


def test_no_request_fails_because_redis_is_killed(instances, redis):
    one = price_of_one(instances[0])
    key = generate(instances, max_budget=1000, rpm_limit=100000)
    statuses, stop, turn = collections.Counter(), threading.Event(), itertools.count()

    def load():
        while not stop.is_set():
            statuses[call(instances[next(turn) % 3], key).status] += 1

    threads = [threading.Thread(target=load) for _ in range(12)]
    for thread in threads:
        thread.start()
    served = lambda more: until(lambda at=statuses[200]: statuses[200] >= at + more, "requests are served")
    try:
        served(60)
        redis.kill()
        served(60)
        redis.start()
        until(lambda: redis.cli("ZCARD", "{belay}:instances") == "3", "they are back")
        served(60)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert set(statuses) == {200}
    # What was spent before, meanwhile and since: nothing is forgotten, nothing counts twice.
    for belay in instances:
        call(belay, key)
    total = one * (statuses[200] + 3)
    for belay in instances:
        until(lambda: spend(belay, key) == pytest.approx(total, abs=1e-10), "each knows what all have spent")


def test_without_redis_a_budget_is_divided_and_kept(instances, redis):
    one = price_of_one(instances[0])
    key = generate(instances, max_budget=round_to_nano(one * 30))
    assert all(r.status == 200 for r in spread(instances, key, 12))
    time_to_hear = time.monotonic() + 3
    until(lambda: time.monotonic() > time_to_hear or all(
        spend(b, key) == pytest.approx(one * 12, abs=1e-10) for b in instances), "all have heard")
    redis.kill()
    for belay in instances:
        until(lambda: "Redis is away" in belay.said(), "it is noticed")
    statuses = collections.Counter(r.status for r in spread(instances, key, 60))
    assert set(statuses) <= {200, 422}
    assert 15 <= statuses[200] <= 18, statuses
    redis.start()
    until(lambda: redis.cli("ZCARD", "{belay}:instances") == "3", "they are back")
    statuses[200] += sum(r.status == 200 for r in spread(instances, key, 30))
    assert 12 + statuses[200] <= 30


def test_a_redis_that_lost_everything_is_told_what_is_known(instances, redis):
    one = price_of_one(instances[0])
    key = generate(instances, max_budget=round_to_nano(one * 9.6), rpm_limit=1000)
    assert all(r.status == 200 for r in spread(instances, key, 6))
    for belay in instances:
        until(lambda: spend(belay, key) == pytest.approx(one * 6, abs=1e-10), "all have heard")
    redis.cli("FLUSHALL")
    statuses = collections.Counter(r.status for r in spread(instances, key, 12))
    assert statuses == {200: 3, 422: 9}

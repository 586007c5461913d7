"""PostgreSQL as the one place for keys, budgets and records of several gateways, and what happens while it is away."""
import concurrent.futures

import pytest

from harness import KEY, MINI, OPUS, Belay, fetch, until
from postgres import Postgres
from traffic import Traffic

CONFIG = f"""
model_list:
  - model_name: {MINI}
    litellm_params: {{model: {MINI}}}
  - model_name: {OPUS}
    litellm_params: {{model: {OPUS}}}
general_settings:
  master_key: {KEY}
"""


@pytest.fixture
def pg():
    server = Postgres()
    yield server
    server.end()


@pytest.fixture
def gateway(tmp_path, sim, pg, request):
    """Makes gateways on the one database, each with a home of its own."""
    started = []

    def make(name="one"):
        home = tmp_path / name
        home.mkdir(exist_ok=True)
        started.append(Belay(home, sim, config=CONFIG, env={"DATABASE_URL": pg.url}))
        return started[-1]

    yield make
    for belay in started:
        belay.stop(9)
        print(f"\n--- {belay.program.log_path}\n{belay.said()[-6000:]}")


def call(belay, method, path, body=None, key=KEY):
    return fetch(belay.url + path, body, method, {"Authorization": f"Bearer {key}"})


def make_key(belay, **fields):
    reply = call(belay, "POST", "/key/generate", fields)
    assert reply.status == 200, reply.body
    return reply.json["key"]


def page(belay, size=1):
    reply = call(belay, "GET", f"/spend/logs/v2?page=1&page_size={size}&start_date=2020-01-01&end_date=2100-01-01")
    assert reply.status == 200, reply.body
    return reply.json


def check_sums(pg, count):
    """Every record stands once among the rows, and once in each set of sums."""
    until(lambda: pg.number("SELECT sum(requests) FROM belay_batch") >= count, f"{count} records are saved")
    assert pg.number("SELECT sum(requests) FROM belay_batch") == count
    assert pg.number("SELECT sum(requests) FROM belay_day_sum WHERE kind = 0") == count
    assert pg.ask("SELECT sum(cost) FROM belay_batch") == pg.ask("SELECT sum(cost) FROM belay_day_sum WHERE kind = 0")
    assert pg.ask("SELECT sum(cost) FROM belay_batch") == pg.ask(
        "SELECT sum(total_cost) FROM belay_series WHERE kind = 0")


def answered(traffic, more):
    goal = len(traffic.outcomes) + more
    until(lambda: len(traffic.outcomes) >= goal, f"{more} more answers")


@pytest.mark.parametrize("how", ["frozen", "stopped"])
def test_a_database_that_is_away_costs_no_request_and_no_record(gateway, pg, how):
    belay = gateway()
    keys = {name: make_key(belay, key_alias=name, max_budget=100) for name in ["a", "b"]}
    traffic = Traffic(belay.url, keys, seed=3, models=(MINI, OPUS))
    traffic.start(4)
    answered(traffic, 100)
    pg.freeze() if how == "frozen" else pg.stop()
    answered(traffic, 100)

    def unknown():
        return belay.chat(MINI, key="sk-made-elsewhere")
    refused = until(lambda: (r := unknown()).status == 503 and r, "an unknown key may exist elsewhere")
    assert refused.json["error"]["type"] == "no_db_connection" and refused.headers["Retry-After"]
    write = call(belay, "POST", "/key/generate", {"key_alias": "late"})
    assert (write.status, write.json["error"]["message"]) == (503, "No connected db.")
    assert call(belay, "GET", f"/key/info?key={keys['a']}").status == 200
    answered(traffic, 200)

    pg.thaw() if how == "frozen" else pg.start()
    answered(traffic, 200)
    traffic.halt()
    assert {(o.status, o.complete) for o in traffic.outcomes} == {(200, True)}
    until(lambda: unknown().status == 401, "the keys are up to date")
    assert until(lambda: (r := call(belay, "POST", "/key/generate", {})).status == 200 and r, "writes are taken")
    # The probes left no record: they were turned away at the door.
    check_sums(pg, len(traffic.sent))
    assert page(belay)["total"] == len(traffic.sent)
    for call_id in traffic.sent[::50]:
        found = call(belay, "GET", f"/spend/logs?request_id={call_id}")
        assert found.status == 200 and len(found.json) == 1, call_id


def test_a_gateway_starts_without_its_database(gateway, pg):
    belay = gateway()
    key = make_key(belay, key_alias="known")
    poor = make_key(belay, key_alias="poor", max_budget=0.0005)
    records = []

    def status(who, model=MINI):
        reply = belay.chat(model, key=who)
        if reply.status not in (401, 503):  # turned away at the door
            records.append(reply.status)
        return reply.status
    assert status(poor) == 200
    until(lambda: status(poor, OPUS) == 422, "the budget is used up")
    copy = belay.home / ".local/share/belay/entities.copy"
    until(lambda: copy.exists() and b"poor" in copy.read_bytes(), "a copy is kept")
    assert copy.stat().st_mode & 0o777 == 0o600 and poor.encode() not in copy.read_bytes()
    assert belay.stop() == 0
    pg.stop()

    belay.start()
    belay.program.wait_for("local copy until it is back", "it says what it begins with")
    assert [status(key), status(poor, OPUS), status("sk-unknown"), status(KEY)] == [200, 422, 503, 200]
    belay.restart()  # killed: the records are in the journal
    assert status(key) == 200

    pg.start()
    belay.program.wait_for("the database is back", "it says so")
    until(lambda: status("sk-unknown") == 401, "unknown keys are unknown again")
    assert status(make_key(belay, key_alias="new")) == 200
    assert status(poor, OPUS) == 422
    check_sums(pg, len(records))


def test_a_start_without_database_or_copy_knows_the_master_key_alone(gateway, pg):
    pg.stop()
    belay = gateway()
    assert belay.chat(MINI).status == 200
    assert belay.chat(MINI, key="sk-somebody").status == 503
    pg.start()
    until(lambda: belay.chat(MINI, key="sk-somebody").status == 401, "it has caught up")
    assert belay.chat(MINI, key=make_key(belay)).status == 200


def test_three_gateways_write_one_ledger_and_each_sees_all(gateway, pg):
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        belays = list(pool.map(gateway, ["one", "two", "three"]))  # at once: their migrations meet
    keys = {name: make_key(belays[0], key_alias=name) for name in ["a", "b"]}
    for belay in belays:
        until(lambda: belay.chat(MINI, key=keys["b"]).status == 200, "keys are known everywhere")
    traffics = [Traffic(belay.url, keys, seed=i, models=(MINI, OPUS)) for i, belay in enumerate(belays)]
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        outcomes = sum(pool.map(lambda t: t.run(100, threads=3), traffics), [])
    assert {o.status for o in outcomes} == {200}
    until(lambda: page(belays[0])["total"] >= 300 + 3, "all is saved")
    check_sums(pg, 303)
    sums, today = [], pg.ask("SELECT (now() AT TIME ZONE 'UTC')::date")[0][0]
    for belay in belays:
        assert page(belay)["total"] == 303
        daily = call(belay, "GET", f"/user/daily/activity?start_date={today}&end_date={today}")
        assert daily.status == 200, daily.body
        sums.append(daily.json["metadata"]["total_api_requests"])
        for i in range(3):
            found = call(belay, "GET", f"/spend/logs?request_id=call-{i}-0-0")
            assert found.status == 200 and len(found.json) == 1
            assert f"call-{i}-0-0" in belay.command("explain", f"call-{i}-0-0").stdout
    assert sums == [303, 303, 303]


def test_a_budget_is_followed_over_gateways_without_redis(gateway, pg):
    one, two = gateway("one"), gateway("two")
    key = make_key(one, key_alias="shared", max_budget=0.002)
    until(lambda: two.chat(MINI, key=key).status == 200, "the key is known everywhere")
    until(lambda: one.chat(OPUS, key=key).status == 422, "one has used the budget up")

    # What one gateway spends itself is not counted twice by what it hears of the other.
    def spends():
        return [call(belay, "GET", f"/key/info?key={key}").json["info"]["spend"] for belay in (one, two)]
    true = until(lambda: (s := spends())[0] == s[1] and s[0], "both know the same")
    assert two.chat(OPUS, key=key).status == 422
    assert round(true * 1e11) == pg.number("SELECT sum(cost) FROM belay_batch")


def test_a_second_process_on_the_data_is_told_who_holds_it(gateway):
    belay = gateway()
    second = belay.command("serve", "--port", 0, "--auth-port", 0, check=False)
    assert second.returncode != 0
    assert f"is in use by process {belay.program.popen.pid}" in second.stderr

"""kill -9 under mixed load: what a client was told is in the ledger once, what the upstream saw too, and nothing else.

BELAY_SOAK_KILLS=100 makes it long."""
import collections
import os
import random
import signal
import time

from harness import KEY, fetch, until
from traffic import Traffic

KILLS = int(os.environ.get("BELAY_SOAK_KILLS", "4"))
SERVED_BEFORE_A_KILL = (20, 250)  # answers


def test_no_kill_loses_doubles_or_invents_a_record(make):
    chance = random.Random(7)
    sim = make.simulator({"accounts": [{"name": "pro_plus", "entitlement": 10**6}], "chunk_ms": 1, "log_entries": 100_000,
                          "faults": [{"fault": "internal_error", "probability": 0.03}, {"fault": "slow", "probability": 0.05}]})
    belay = make.belay(sim, env={"LITELLM_LOG": "ERROR"})
    keys = {name: manage(belay, "/key/generate", {"key_alias": name, "max_budget": 10**6})["key"] for name in "ab"}
    sent, told, seen, ready = set(), {}, {}, []
    for round in range(KILLS):
        traffic = Traffic(belay.url, {**keys, "master": KEY}, seed=round)
        traffic.start()
        wanted = chance.randint(*SERVED_BEFORE_A_KILL)
        until(lambda: len(traffic.outcomes) >= wanted, f"{wanted} answers")
        belay.stop(signal.SIGKILL)
        traffic.halt()
        sent.update(traffic.sent)
        told.update({o.call_id: o for o in traffic.outcomes if o.status and o.complete})
        upstream_saw(sim, seen)
        before = time.monotonic()
        belay.start()
        ready.append(time.monotonic() - before)
    print(f"ready again after {sorted(ready)[len(ready) // 2]:.3f} s (median), {max(ready):.3f} s (worst)")

    records = collections.Counter(row["request_id"] for row in all_records(belay))
    assert not [i for i, n in records.items() if n > 1], "doubled"
    assert not set(records) - sent, "invented"
    assert not [o for i, o in told.items() if i not in records], "told to a client, and lost"
    assert not set(seen.values()) - {None} - set(records), "seen by the upstream, and lost"
    assert len(told) > KILLS * SERVED_BEFORE_A_KILL[0] / 2
    by_status = {row["request_id"]: row["status"] for row in all_records(belay)}
    assert all(by_status[i] == "success" for i, o in told.items() if o.status == 200)


def manage(belay, path, body=None):
    reply = fetch(belay.url + path, body, headers={"Authorization": f"Bearer {KEY}"})
    assert reply.status == 200, reply.body
    return reply.json


def upstream_saw(sim, seen):
    """Adds {number of the upstream's log: id of the request} of the model calls since the last time."""
    last = max(seen, default=0)
    log = sim.control(f"/_sim/requests?last=100000&after={last}")["requests"]
    assert not log or log[0]["number"] == last + 1, "the simulator's log has overflown: nothing is proven"
    for call in log:
        is_model_call = call["method"] == "POST" and call["model"] and call["credential"] == "copilot"
        seen[call["number"]] = call["headers"]["x-request-id"] if is_model_call else None


def all_records(belay):
    rows, page = [], 1
    while True:
        got = manage(belay, f"/spend/logs/v2?page={page}&page_size=100&start_date=2026-01-01&end_date=2099-01-01")
        rows += got["data"]
        if len(rows) >= got["total"] or not got["data"]:
            return rows
        page += 1

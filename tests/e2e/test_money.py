"""The ledger against the upstream's own count: every token and every nano-credit, by key, model and account.

BELAY_SOAK_REQUESTS=200000 makes it long."""
import os

from harness import KEY, fetch, until
from traffic import Traffic

REQUESTS = int(os.environ.get("BELAY_SOAK_REQUESTS", "1500"))
NANO = 10**11  # nano-credits in a dollar

# What fails before anything was charged: the answer, the connection, a stream's first events.
FAULTS = [{"fault": name, "probability": 0.01, **more} for name, more in [
    ("internal_error", {}), ("service_unavailable", {"retry_after": 0}), ("bad_gateway", {}), ("overloaded_error", {}),
    ("rate_limited", {"retry_after": 0}), ("drop_before_headers", {}), ("reset_before_headers", {}),
    ("in_stream_overloaded", {}), ("in_stream_rate_limit", {}), ("in_stream_internal", {}), ("empty_200", {}),
    ("html_200", {}), ("token_expired", {}), ("model_not_supported", {}), ("forbidden", {}),
    # These change how an answer is spelt, not what it costs.
    ("one_byte_writes", {}), ("crlf", {}), ("comments", {}), ("gzip", {}), ("usage_separate", {}),
    ("usage_null", {}), ("role_null", {}), ("no_done", {}), ("empty_ids", {})]]

CONFIG = """
model_list:
  - {model_name: "github_copilot/*", litellm_params: {model: "github_copilot/*"}}
litellm_settings:
  num_retries: 3
  fallbacks:
    - github_copilot/claude-opus-4.6: [github_copilot/gemini-3-pro-preview]
    - github_copilot/gemini-3-pro-preview: [github_copilot/gpt-5-mini]
router_settings:
  disable_cooldowns: true
  retry_after: 0
"""


def test_the_ledger_equals_the_upstreams_own_count(make):
    sim = make.simulator({"accounts": [{"name": "pro_plus", "entitlement": 10**6}]})
    belay = make.belay(sim, config=CONFIG, env={"LITELLM_LOG": "ERROR"})

    def manage(path, body=None):
        reply = fetch(belay.url + path, body, headers={"Authorization": f"Bearer {KEY}"})
        assert reply.status == 200, reply.body
        return reply.json
    team = manage("/team/new", {"team_alias": "climbers", "max_budget": 10**6})["team_id"]
    made = {name: manage("/key/generate", {"key_alias": name, "max_budget": 10**6, "team_id": team if name < "c" else None})
            for name in "abcd"}
    sim.control("/_sim/faults", FAULTS)
    outcomes = Traffic(belay.url, {name: k["key"] for name, k in made.items()}, seed=1).run(REQUESTS)
    served = [o for o in outcomes if o.status == 200]
    assert len(served) > REQUESTS * 0.9 and all(o.complete for o in served)

    truth = {}
    for s in sim.state()["sums"]:
        u = s["usage"]
        truth[s["user"], s["model"]] = (s["calls"], u["input"] + u["cached"] + u["cache_write"], u["output"], u["cached"],
                                        s["charged_nano"])
    told = until(lambda: by_key_and_model(manage, made, len(outcomes)), "every request is in the daily sums")
    assert told == truth
    # The same money where people look for it.
    for name, key in made.items():
        spend = manage(f"/key/info?key={key['key']}")["info"]["spend"]
        assert nano(spend) == sum(row[4] for (label, _), row in truth.items() if label == name)
    spend = manage(f"/team/info?team_id={team}")["team_info"]["spend"]
    assert nano(spend) == sum(row[4] for (label, _), row in truth.items() if label < "c")
    account = next(a for a in sim.state()["accounts"] if a["name"] == "pro_plus")
    assert account["used_nano"] == sum(row[4] for row in truth.values())
    # What the clients were told is what is written down.
    costs = [float(o.cost) for o in served if o.cost is not None]
    assert costs and sum(o.usage["prompt_tokens"] for o in served) == sum(row[1] for row in truth.values())
    assert sum(o.usage["completion_tokens"] for o in served) == sum(row[2] for row in truth.values())
    belay.stop()
    assert spend_survives(belay, manage, made, truth)


def by_key_and_model(manage, made, requests):
    """{(label, upstream model): (successes, prompt, completion, cached, nano-credits)}, when all requests are in."""
    sums, seen = {}, 0
    for label, key in made.items():
        page = manage(f"/user/daily/activity?start_date=2026-01-01&end_date=2035-01-01&api_key={key['token']}")
        seen += page["metadata"]["total_api_requests"]
        for day in page["results"]:
            for model, entry in day["breakdown"]["models"].items():
                m = entry["metrics"]
                row = (m["successful_requests"], m["prompt_tokens"], m["completion_tokens"], m["cache_read_input_tokens"],
                       nano(m["spend"]))
                if m["successful_requests"]:
                    name = model.removeprefix("github_copilot/")
                    sums[label, name] = tuple(map(sum, zip(row, sums.get((label, name), (0,) * 5))))
    return sums if seen == requests else None


def nano(usd):
    return round(usd * NANO)


def spend_survives(belay, manage, made, truth):
    belay.start()
    return all(nano(manage(f"/key/info?key={key['key']}")["info"]["spend"]) ==
               sum(row[4] for (label, _), row in truth.items() if label == name) for name, key in made.items())

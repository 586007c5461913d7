"""Metrics, spans, log callbacks, alerts and kept payloads, heard by small receivers of their own."""
import http.server
import json
import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

import harness
from harness import KEY, MINI, OPUS, fetch, until

ADMIN = {"Authorization": f"Bearer {KEY}"}
TOKEN = "gho_0123456789abcdefghijABCDEFGHIJ012345"
PROMPT = "canary-prompt-7f3d91"


class Receiver:
    """Takes whatever is POSTed to it; `answer` is what it says."""

    def __init__(self, answer=200):
        self.posts = []  # (path, headers, body)
        self.answer = answer
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.posts.append((self.path, dict(self.headers), body))
                self.send_response(outer.answer)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def bodies(self, path):
        return [json.loads(body) for at, _, body in list(self.posts) if at == path]

    def text(self):
        return "\n".join(f"{path}\n{headers}\n{body.decode()}" for path, headers, body in list(self.posts))

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver():
    one = Receiver()
    yield one
    one.close()


def metrics(belay, headers=ADMIN):
    reply = fetch(belay.url + "/metrics", headers=headers)
    assert reply.status == 200, reply.body
    return {f.name: f for f in text_string_to_metric_families(reply.body.decode())}


def value(families, name, **labels):
    """The sum of the samples that have these labels; counters are named without _total."""
    return sum(s.value for s in (families[name].samples if name in families else [])
               if (s.name in (name, name + "_total", name + "_count"))
               and all(s.labels.get(k) == v for k, v in labels.items()))


def make_key(belay, **body):
    reply = fetch(belay.url + "/key/generate", body, headers=ADMIN)
    assert reply.status == 200, reply.body
    return reply.json["key"], reply.json["token_id"]


CALLBACKS = """
model_list:
  - model_name: opus
    litellm_params: {{model: github_copilot/claude-opus-4.6, fallbacks: [mini]}}
  - model_name: mini
    litellm_params: {{model: github_copilot/gpt-5-mini}}
litellm_settings:
  callbacks: [{callbacks}]
{more}"""


def config(callbacks="prometheus", more=""):
    return CALLBACKS.format(callbacks=callbacks, more=more)


def test_metrics_under_litellm_names(make, sim):
    """Requests of a key are counted under LiteLLM's metric names and labels; the page is valid Prometheus text."""
    belay = make.belay(sim, config=config())
    key, token = make_key(belay, key_alias="ci", max_budget=10)
    assert belay.chat("opus", key=key).status == 200
    assert belay.chat("opus", key=key, stream=True).status == 200
    assert belay.chat("nowhere", key=key).status == 400
    sim.no_quota("claude-opus-4.6")
    assert belay.chat("opus", key=key).status == 200
    seen = metrics(belay)
    mine = {"hashed_api_key": token, "api_key_alias": "ci"}
    assert value(seen, "litellm_proxy_total_requests_metric", **mine) == 4
    assert value(seen, "litellm_proxy_total_requests_metric", **mine, status_code="200", requested_model="opus",
                 route="/chat/completions") == 3
    assert value(seen, "litellm_proxy_failed_requests_metric", **mine, exception_status="400") == 1
    assert value(seen, "litellm_requests_metric", **mine) == 3
    assert value(seen, "litellm_total_tokens_metric", **mine) == \
        value(seen, "litellm_input_tokens_metric", **mine) + value(seen, "litellm_output_tokens_metric", **mine) > 0
    assert value(seen, "litellm_spend_metric", **mine) > 0
    assert value(seen, "litellm_request_total_latency_metric", **mine) == 3
    assert value(seen, "litellm_llm_api_time_to_first_token_metric", **mine) == 1
    assert value(seen, "litellm_overhead_latency_metric", **mine) == 3
    assert value(seen, "litellm_deployment_success_responses", **mine) == 3
    assert value(seen, "litellm_deployment_failure_responses", **mine, exception_status="402") == 1
    assert value(seen, "litellm_deployment_successful_fallbacks", requested_model="opus", fallback_model="mini") == 1
    assert value(seen, "litellm_api_key_max_budget_metric", **mine) == 10
    left = value(seen, "litellm_remaining_api_key_budget_metric", **mine)
    assert left == pytest.approx(10 - value(seen, "litellm_spend_metric", **mine))
    assert value(seen, "litellm_deployment_state", litellm_model_name="claude-opus-4.6") == 2
    assert value(seen, "belay_copilot_account_state", state="signed_in") == 1
    assert value(seen, "belay_ledger_appended") == 4
    assert value(seen, "process_open_fds") > 0 and value(seen, "process_resident_memory_bytes") > 1 << 20
    assert until(lambda: value(metrics(belay), "litellm_deployment_cooled_down") == 1, "the rest is counted")


def test_metrics_begin_with_the_first_look(make, sim):
    """Without the callback nothing is counted until somebody looks; from then on everything is."""
    belay = make.belay(sim)
    assert belay.chat().status == 200
    assert "litellm_proxy_total_requests_metric" not in metrics(belay)
    assert belay.chat().status == 200
    assert value(metrics(belay), "litellm_proxy_total_requests_metric") == 1


@pytest.mark.parametrize("need, key, status", [
    (True, None, 401), (True, "sk-wrong-0123456789", 401), (True, KEY, 200), (True, "virtual", 403),
    (True, "allowed", 200), (False, None, 200)])
def test_who_may_read_metrics(make, sim, need, key, status):
    """/metrics asks for a key that may see everything, unless the configuration opens it."""
    belay = make.belay(sim, config=config(more=f"  require_auth_for_metrics_endpoint: {str(need).lower()}\n"))
    if key == "virtual":
        key, _ = make_key(belay)
    elif key == "allowed":
        key, _ = make_key(belay, allowed_routes=["/metrics"])
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    assert fetch(belay.url + "/metrics", headers=headers).status == status


def test_spans_go_to_the_collector(make, sim, receiver):
    """A span for each request with a child for each attempt, in the caller's trace; metrics too; no prompt text."""
    belay = make.belay(sim, config=config(), env={
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_EXPORTER_OTLP_HEADERS": "x-team=red%20one",
        "OTEL_SERVICE_NAME": "gate", "OTEL_METRIC_EXPORT_INTERVAL": "200"})
    sim.no_quota("claude-opus-4.6")
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    assert belay.chat("opus", PROMPT, headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}).status == 200
    until(lambda: receiver.bodies("/v1/metrics"), "metrics are sent")
    belay.stop()
    posts = receiver.bodies("/v1/traces")
    resource = posts[0]["resourceSpans"][0]
    assert {"key": "service.name", "value": {"stringValue": "gate"}} in resource["resource"]["attributes"]
    spans = resource["scopeSpans"][0]["spans"]
    request, *attempts = spans
    assert [s["traceId"] for s in spans] == [trace] * 3
    assert request["parentSpanId"] == "00f067aa0ba902b7" and request["name"] == "chat opus"
    assert all(a["parentSpanId"] == request["spanId"] for a in attempts)
    assert [a["name"] for a in attempts] == ["chat claude-opus-4.6", "chat gpt-5-mini"]
    assert any(e["name"] == "belay.decision" for e in request["events"])
    names = {m["name"] for p in receiver.bodies("/v1/metrics")
             for m in p["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]}
    assert {"litellm_proxy_total_requests_metric_total", "belay_copilot_account_state"} <= names
    assert receiver.posts[0][1]["x-team"] == "red one"
    assert PROMPT not in receiver.text()


def test_generic_api_gets_a_payload_per_request(make, sim, receiver):
    """LiteLLM's generic callback: batches of logging payloads as JSON arrays, with the headers that were asked for."""
    belay = make.belay(sim, config=config("generic_api"), env={
        "GENERIC_LOGGER_ENDPOINT": receiver.url + "/logs", "GENERIC_LOGGER_HEADERS": "Authorization=Bearer x,x-a=b"})
    good = belay.chat("mini", PROMPT)
    bad = belay.chat("nowhere", PROMPT)
    assert (good.status, bad.status) == (200, 400)
    belay.stop()
    rows = [row for batch in receiver.bodies("/logs") for row in batch]
    assert [row["status"] for row in rows] == ["success", "failure"]
    assert rows[0]["id"] == good.headers["x-litellm-call-id"] and rows[0]["total_tokens"] > 0
    assert rows[0]["model_group"] == "mini" and rows[0]["messages"] is None
    assert rows[1]["error_information"]["error_code"] == "400"
    assert receiver.posts[0][1]["Authorization"] == "Bearer x" and receiver.posts[0][1]["x-a"] == "b"
    assert PROMPT not in receiver.text()


@pytest.mark.parametrize("which, expected", [("success_callback", ["success"]), ("failure_callback", ["failure"])])
def test_generic_api_for_one_outcome(make, sim, receiver, which, expected):
    """success_callback and failure_callback choose which requests are told."""
    text = config("prometheus", f"  {which}: [generic_api]\n")
    belay = make.belay(sim, config=text, env={"GENERIC_LOGGER_ENDPOINT": receiver.url + "/logs"})
    assert belay.chat("mini").status == 200 and belay.chat("nowhere").status == 400
    belay.stop()
    assert [row["status"] for batch in receiver.bodies("/logs") for row in batch] == expected


def test_a_dead_receiver_harms_nobody(make, sim, receiver):
    """Requests are answered while a receiver refuses; what it does not take is counted as dropped."""
    receiver.answer = 400
    belay = make.belay(sim, config=config("prometheus, generic_api"),
                       env={"GENERIC_LOGGER_ENDPOINT": receiver.url + "/logs"})
    assert belay.chat("mini").status == 200
    until(lambda: value(metrics(belay), "belay_callback_dropped", callback_name="generic_api") == 1, "it is dropped")
    assert value(metrics(belay), "litellm_callback_logging_failures_metric", callback_name="generic_api") == 1
    assert belay.chat("mini").status == 200


def log_of(belay, reply, key=KEY):
    """What the management API shows of a request's bodies to the holder of that key."""
    call_id = reply.headers["x-litellm-call-id"]
    got = fetch(f"{belay.url}/spend/logs/ui/{call_id}", headers={"Authorization": f"Bearer {key}"})
    assert got.status == 200, got.body
    return got.json


KEEP = """general_settings:
  store_prompts_in_spend_logs: true
  redact_patterns: ["[0-9]{4}-[0-9]{4}"]
"""


def test_prompts_and_replies_are_kept_where_that_is_wanted(make, sim):
    """Bodies are read back through LiteLLM's routes, streams put together, secrets and patterns taken out."""
    belay = make.belay(sim, config=config(more=KEEP))
    plain = belay.chat("mini", f"{PROMPT} card 1234-5678 token {TOKEN}")
    streamed = belay.chat("mini", PROMPT, stream=True)
    assert plain.status == streamed.status == 200
    said = log_of(belay, plain)
    assert said["messages"] == [{"role": "user", "content": f"{PROMPT} card [redacted] token [redacted]"}]
    assert said["proxy_server_request"]["model"] == "mini"
    answer = said["response"]["choices"][0]["message"]["content"]  # the simulator says again what it was asked
    assert answer == harness.text_of(plain).replace("1234-5678", "[redacted]").replace(TOKEN, "[redacted]")
    put_together = log_of(belay, streamed)["response"]
    assert put_together["object"] == "chat.completion"
    assert put_together["choices"][0]["message"]["content"] == harness.text_of(streamed)
    rows = fetch(f"{belay.url}/spend/logs?request_id={plain.headers['x-litellm-call-id']}", headers=ADMIN).json
    assert rows[0]["messages"][0]["content"].startswith(PROMPT)
    assert "canary" not in belay.said()


@pytest.mark.parametrize("everyone, own, kept", [(True, None, True), (True, False, False), (False, True, True),
                                                 (False, None, False)])
def test_keys_may_choose_whether_prompts_are_kept(make, sim, everyone, own, kept):
    """A key's word goes before the configuration's; without either nothing is written anywhere."""
    more = f"general_settings:\n  store_prompts_in_spend_logs: {str(everyone).lower()}\n"
    belay = make.belay(sim, config=config(more=more))
    key, _ = make_key(belay, **({} if own is None else {"metadata": {"store_prompts_in_spend_logs": own}}))
    reply = belay.chat("mini", PROMPT, key=key)
    assert bool(log_of(belay, reply)["messages"]) == kept
    belay.stop()
    assert any(path.name.startswith("payloads.db") for path in make.home.rglob("*")) == kept
    if not kept:
        for path in make.home.rglob("*"):
            assert not path.is_file() or PROMPT.encode() not in path.read_bytes(), path


def test_turn_off_message_logging_is_the_last_word(make, sim):
    """With the switch on nobody's prompts are kept, whatever key and configuration say."""
    text = config(more="  turn_off_message_logging: true\n" + KEEP)
    belay = make.belay(sim, config=text)
    key, _ = make_key(belay, metadata={"store_prompts_in_spend_logs": True})
    assert log_of(belay, belay.chat("mini", PROMPT, key=key))["messages"] == {}


@pytest.mark.parametrize("viewers", [False, True])
def test_who_may_read_prompts(make, sim, viewers):
    """Administrators and whoever's key it was; another key never, a viewer only where that is allowed."""
    belay = make.belay(sim, config=config(more=KEEP + f"  allow_viewers_to_read_prompts: {str(viewers).lower()}\n"))
    mine, _ = make_key(belay, user_id="alice")
    other, _ = make_key(belay, user_id="bob")
    viewer = fetch(belay.url + "/user/new", {"user_role": "proxy_admin_viewer"}, headers=ADMIN).json["key"]
    reply = belay.chat("mini", PROMPT, key=mine)
    assert log_of(belay, reply, mine)["messages"]
    assert bool(log_of(belay, reply, viewer)["messages"]) == viewers
    denied = fetch(f"{belay.url}/spend/logs/ui/{reply.headers['x-litellm-call-id']}",
                   headers={"Authorization": f"Bearer {other}"})
    assert denied.status == 404


def test_old_things_go_away(make, sim):
    """Records, prompts and audit rows older than they may be are deleted while the gateway runs."""
    belay = make.belay(sim, config=config(more="  store_audit_logs: true\n" + KEEP +
                                          "  maximum_spend_logs_retention_period: 1s\n"
                                          "  maximum_payload_retention_period: 1s\n"
                                          "  maximum_audit_logs_retention_period: 1s\n"
                                          "  maximum_spend_logs_retention_interval: 1s\n"))
    make_key(belay)
    reply = belay.chat("mini", PROMPT)
    assert reply.status == 200

    def gone():
        rows = fetch(f"{belay.url}/spend/logs?request_id={reply.headers['x-litellm-call-id']}", headers=ADMIN).json
        audit = fetch(f"{belay.url}/audit", headers=ADMIN).json
        return rows == [] and audit["total"] == 0
    until(gone, "the record and the audit row go")
    belay.stop()
    assert PROMPT.encode() not in (next(make.home.rglob("payloads.db"))).read_bytes()


ALERTS = """general_settings:
  alerting: [slack, webhook]
  alerting_args: {fallback_alert_count: 3}
"""


def alerting(make, sim, receiver, more=""):
    return make.belay(sim, config=config(more=ALERTS + more), env={
        "SLACK_WEBHOOK_URL": receiver.url + "/slack", "WEBHOOK_URL": receiver.url + "/hook"})


def test_budgets_alert_once(make, sim, receiver):
    """The soft budget and the end of a budget are told once each, to Slack and as LiteLLM's webhook event."""
    belay = alerting(make, sim, receiver)
    key, token = make_key(belay, key_alias="ci", max_budget=0.002, soft_budget=0.00001)
    statuses = [belay.chat("opus", PROMPT, key=key, max_tokens=30).status for _ in range(30)]
    assert 200 in statuses and statuses[-1] != 200
    until(lambda: any(b["event"] == "budget_crossed" for b in receiver.bodies("/hook")), "the budget is told")
    belay.stop()
    events = {b["event"]: b for b in receiver.bodies("/hook") if b["event_group"] == "key"}
    assert len(events) == len([b for b in receiver.bodies("/hook") if b["event_group"] == "key"])
    assert {"soft_budget_crossed", "budget_crossed"} <= set(events)
    crossed = events["budget_crossed"]
    assert crossed["token"] == token and crossed["key_alias"] == "ci"
    assert crossed["max_budget"] == 0.002 and 0 < crossed["spend"] <= 0.002
    texts = [b["text"] for b in receiver.bodies("/slack")]
    assert sum("the budget is used up" in t for t in texts) == 1 and any("ci" in t for t in texts)
    assert key not in receiver.text() and PROMPT not in receiver.text()


def test_falling_chains_and_resting_models_alert(make, sim, receiver):
    """A chain that falls again and again is told, and that nothing of a model can answer."""
    belay = alerting(make, sim, receiver)
    sim.no_quota("claude-opus-4.6")
    for _ in range(4):
        assert belay.chat("opus").status == 200

    def told():
        return {"fallback_reports", "outage_alerts"} <= {b["event"] for b in receiver.bodies("/hook")}
    until(told, "both are told")
    belay.stop()
    events = [b["event"] for b in receiver.bodies("/hook")]
    assert events.count("fallback_reports") == events.count("outage_alerts") == 1


def test_a_dead_sign_in_alerts(make, sim, receiver):
    """The account that needs a new sign-in is told with where to do that."""
    home_token = "ghu_canary_dead_000000000000000000000000"
    belay = make.belay(sim, config=config(more=ALERTS), signed_in=False, env={
        "SLACK_WEBHOOK_URL": receiver.url + "/slack", "WEBHOOK_URL": receiver.url + "/hook",
        "GITHUB_COPILOT_TOKEN": home_token})
    until(lambda: any(b["event"] == "account_needs_login" for b in receiver.bodies("/hook")), "it is told")
    assert any("/github" in b["text"] for b in receiver.bodies("/slack"))
    assert home_token not in receiver.text() + belay.said()


def test_secrets_are_nowhere(make, sim, receiver):
    """Keys, tokens and prompts that go through every path are in no metric, span, payload, alert and log."""
    belay = make.belay(sim, config=config("prometheus, otel, generic_api", ALERTS), env={
        "SLACK_WEBHOOK_URL": receiver.url + "/slack", "WEBHOOK_URL": receiver.url + "/hook",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "GENERIC_LOGGER_ENDPOINT": receiver.url + "/logs",
        "OTEL_METRIC_EXPORT_INTERVAL": "200", "LITELLM_MASTER_KEY": "sk-canary-master-0123456789abcdef"})
    master = "sk-canary-master-0123456789abcdef"
    admin = {"Authorization": f"Bearer {master}"}
    key = fetch(belay.url + "/key/generate", {"key_alias": "ci", "max_budget": 0.01}, headers=admin).json["key"]
    for fault in ["quota_exceeded", "internal_error", "token_expired"]:
        sim.fault(fault, "claude-opus-4.6", count=1)
        belay.chat("opus", PROMPT, key=key, stream=True)
        belay.chat("opus", PROMPT, key=master)
    belay.chat("opus", PROMPT, key="sk-canary-unknown-0123456789")
    page = fetch(belay.url + "/metrics", headers=admin).body.decode()
    until(lambda: receiver.bodies("/v1/metrics"), "metrics are sent")
    belay.stop()
    heard = page + receiver.text() + belay.said()
    assert receiver.bodies("/logs") and receiver.bodies("/v1/traces")
    copilot = [r["headers"].get("authorization", "") for r in sim.requests() if r.get("headers")]
    secrets = [master, key, harness.GITHUB_TOKEN, PROMPT, "sk-canary-unknown-0123456789",
               *{c.removeprefix("Bearer ") for c in copilot if c.startswith("Bearer ")}]
    for secret in secrets:
        assert secret not in heard, secret


def test_what_is_left_of_rates(make, sim):
    """What a key may still ask for within the minute, in all and of one model."""
    belay = make.belay(sim, config=config())
    key, token = make_key(belay, key_alias="ci", rpm_limit=10, model_rpm_limit={"mini": 5})
    for _ in range(3):
        assert belay.chat("mini", key=key).status == 200
    seen = metrics(belay)
    assert value(seen, "belay_rate_limit_remaining_requests", id=token, alias="ci") == 7
    assert value(seen, "litellm_remaining_api_key_requests_for_model", hashed_api_key=token, model="mini") == 2

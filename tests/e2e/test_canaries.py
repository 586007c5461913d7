"""Planted secrets, every error path: none is in a log, a reply, a metric, a file that is kept, or an export."""
import json
import sqlite3

import pytest

from harness import GITHUB_TOKEN, MINI, OPUS, fetch, until

MASTER = "sk-master-canary-" + "m1" * 20
PROVIDER = "sk-provider-canary-" + "p2" * 20
ADDED = "sk-added-canary-" + "a3" * 20
UI_PASSWORD = "ui-canary-password-" + "u4" * 10
CREDENTIAL = "credential-canary-" + "c5" * 16
HEADER = "header-canary-" + "h6" * 16
PROMPT = "the prompt canary sings"

CONFIG = f"""
model_list:
  - model_name: {MINI}
    litellm_params: {{model: {MINI}}}
  - model_name: {OPUS}
    litellm_params: {{model: {OPUS}}}
  - model_name: elsewhere
    litellm_params: {{model: openai/elsewhere, api_key: {PROVIDER}, api_base: "UPSTREAM",
                     extra_headers: {{X-Team-Secret: {HEADER}}}}}
  - model_name: nowhere
    litellm_params: {{model: openai/nowhere, api_key: {PROVIDER}, api_base: "http://127.0.0.1:1"}}
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
  store_model_in_db: true
"""


@pytest.fixture
def world(make, sim):
    # Whatever the upstream is sent as a credential, it says back in its errors.
    sim.control("/_sim/faults?add=1", [
        {"fault": "bad_request_text", "probability": 0.2, "message": f"bad token {GITHUB_TOKEN} or {PROVIDER}, {HEADER}"},
        {"fault": "internal_error_json", "probability": 0.2, "message": f"cannot use {ADDED}: Bearer {PROVIDER}"},
        {"fault": "in_stream_internal", "probability": 0.2, "message": f"leaks {GITHUB_TOKEN}"}])
    belay = make.belay(sim, config=CONFIG.replace("UPSTREAM", sim.url), args=["--detailed_debug"],
                       env={"LITELLM_MASTER_KEY": MASTER, "UI_USERNAME": "admin", "UI_PASSWORD": UI_PASSWORD,
                            "LITELLM_SALT_KEY": "salt-canary-" + "s7" * 16})
    return belay, sim


def test_no_planted_secret_leaves(world):
    belay, sim = world
    heard = []

    def call(method, path, body=None, key=MASTER, **headers):
        reply = fetch(belay.url + path, body, method, {"Authorization": f"Bearer {key}", **headers})
        heard.append((f"{method} {path}", str(reply.headers).encode() + reply.body))
        return reply

    made = call("POST", "/key/generate", {"key_alias": "canary", "max_budget": 5.0}).json
    heard.pop()  # the one answer that shows the key
    virtual = made["key"]
    secrets = {"master key": MASTER, "virtual key": virtual, "provider key": PROVIDER, "added model's key": ADDED,
               "UI password": UI_PASSWORD, "credential": CREDENTIAL, "extra header": HEADER, "GitHub token": GITHUB_TOKEN,
               "salt key": "salt-canary-", "prompt": PROMPT}

    added = call("POST", "/model/new", {"model_name": "added", "litellm_params": {
        "model": "openai/added", "api_key": ADDED, "api_base": sim.url}})
    assert added.status == 200, added.body
    call("POST", "/credentials", {"credential_name": "c", "credential_values": {"api_key": CREDENTIAL}, "credential_info": {}})
    chats = "/v1/chat/completions"
    for model in [MINI, OPUS, "elsewhere", "nowhere", "added", "unknown"]:
        for key in [virtual, MASTER]:
            for stream in [False, True]:
                for _ in range(3):
                    call("POST", chats, {"model": model, "stream": stream,
                                         "messages": [{"role": "user", "content": PROMPT}]}, key)
    # Malformed in every way, with the secrets where a mistake puts them.
    for body in [b"{", b'{"model": "' + virtual.encode(), json.dumps({"model": virtual}).encode(),
                 json.dumps({"model": MINI, "messages": MASTER}).encode(), PROVIDER.encode()]:
        call("POST", chats, body, virtual)
    for key in [MASTER + "x", virtual + "x", "Bearer " + MASTER, MASTER[:-1]]:
        call("POST", chats, {"model": MINI, "messages": []}, key)
        call("GET", "/key/info", key=key)
    call("GET", f"/key/info?key={virtual}x")
    call("POST", "/login", f"username=admin&password={UI_PASSWORD}x".encode(), **{"Content-Type": "application/x-www-form-urlencoded"})
    call("POST", "/v2/login", {"username": "admin", "password": UI_PASSWORD + "x"})
    call("POST", "/key/generate", {"key": MASTER, "max_budget": "a lot"})
    call("POST", "/key/delete", {"keys": [virtual + "x"]})
    call("POST", "/model/new", {"model_name": 7, "litellm_params": {"api_key": ADDED}})
    call("POST", "/config/update", {"general_settings": {"master_keyy": MASTER}})
    token = made["token"]
    for path in ["/key/list", f"/key/info?key={token}", "/model/info", "/v2/model/info", "/credentials", "/credentials/by_name/c",
                 "/get/config/callbacks", "/config/list?config_type=general_settings", "/user/list", "/team/list",
                 "/spend/logs", "/spend/logs/v2", "/global/spend/report", "/audit", "/health", "/health/readiness",
                 "/metrics", "/metrics/", "/router/settings", "/settings", "/v1/models", "/openapi.json", "/github",
                 "/get/litellm_model_cost_map", "/cache/ping", "/active/callbacks", "/fallbacks", "/debug"]:
        call("GET", path)
        call("GET", path, key=virtual)
    copilot = json.loads((belay.tokens / "api-key.json").read_text())["token"]
    secrets["Copilot token"] = copilot
    until(lambda: call("GET", "/spend/logs/v2").json["total"] > 0, "records are kept")
    belay.command("explain", "--last", check=False)
    verbs = [["check", "--config", belay.config], ["explain", call("GET", "/spend/logs/v2").json["data"][0]["request_id"]],
             ["models"], ["export"], ["keys", "list"], ["keys", "info", token], ["spend"]]
    for verb in verbs:
        done = belay.command(*verb, check=False)
        heard.append((" ".join(map(str, verb)), (done.stdout + done.stderr).encode()))

    told_to_itself = ("POST /v1/chat", "GET /key/info?key=")  # what echoes its own request is another matter
    for name, secret in secrets.items():
        assert secret not in belay.said(), f"the {name} is in the log"
        for place, text in heard:
            if name == "virtual key" and place.startswith("keys "):
                continue
            if name == "prompt" and place.startswith(told_to_itself):
                continue
            if place == f"GET /key/info?key={virtual}x":
                continue
            assert secret.encode() not in text, f"the {name} is in {place}: {text[:600]!r}"
    belay.stop()
    at_rest(belay, secrets)


def at_rest(belay, secrets):
    """What is kept on the disk, the configuration and the sign-in apart."""
    data = [p for p in belay.home.rglob("*") if p.is_file() and belay.tokens not in p.parents and p != belay.config
            and p.suffix in {".db", ".journal", ".db-wal", ".json", ".snapshot"} | {p.suffix for p in belay.home.rglob("intents.*")}]
    kept = [p for p in data if p.name != "scenario.json"]
    assert any(p.name == "ledger.db" for p in kept) and any(p.name == "belay.db" for p in kept)
    for path in kept:
        content = path.read_bytes()
        if path.suffix == ".db":
            content += "\n".join(sqlite3.connect(path).iterdump()).encode()
        for name, secret in secrets.items():
            assert secret.encode() not in content, f"the {name} is in {path.name}"


def test_no_core_is_left_when_it_dies(belay):
    limits = open(f"/proc/{belay.program.popen.pid}/limits").read()
    line = next(x for x in limits.split("\n") if x.startswith("Max core file size"))
    assert line.split()[4:6] == ["0", "0"]

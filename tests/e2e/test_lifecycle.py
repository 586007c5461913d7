"""Start, sign-in, restart, reload, refusal and end."""
import concurrent.futures
import json
import os
import signal
import socket
import stat
import threading
import time

import pytest

from harness import GEMINI, GITHUB_TOKEN, KEY, MINI, OPUS, fetch, run_to_end, text_of, until

CONFIG = """model_list:
  - model_name: small
    litellm_params: {{model: {model}}}
"""


def test_a_fresh_start_is_alive_before_anyone_signed_in(make, sim):
    belay = make.belay(sim, signed_in=False)
    assert fetch(belay.url + "/health/liveliness").status == 200
    assert fetch(belay.auth_url + "/github").status == 200
    reply = belay.chat()
    assert reply.status in (401, 503)
    assert "/github" in reply.json["error"]["message"], "says where to sign in"


def test_a_sign_in_outlives_kill_and_restart(make):
    sim = make.simulator({"device": {"interval": 1, "script": ["success"]}})
    belay = make.belay(sim, signed_in=False)
    done = belay.command("login")
    assert "octo-pro-plus" in done.stdout + done.stderr
    until(lambda: belay.chat().status == 200, "the running gateway picks it up")
    belay.restart(signal.SIGKILL)
    assert belay.chat().status == 200
    assert len(sim.state()["devices"]) == 1


def test_credentials_are_the_owner_s_alone(belay):
    assert belay.chat().status == 200
    until(lambda: (belay.tokens / "api-key.json").exists(), "the exchanged token is stored")
    assert stat.S_IMODE(belay.tokens.stat().st_mode) == 0o700
    for path in belay.tokens.iterdir():
        if path.is_file():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    stored = json.loads((belay.tokens / "api-key.json").read_text())
    assert stored["token"] and stored["endpoints"]["api"] and stored["expires_at"] > 0


def test_500_parallel_requests_at_expiry_make_one_exchange(make, sim):
    belay = make.belay(sim)
    assert belay.chat(MINI).status == 200
    minted = time.monotonic()
    until(lambda: time.monotonic() - minted > 1.1, "a token younger than a second is not doubted")
    before = sim.exchanges()
    sim.control("/_sim/revoke", {"account": "pro_plus"})
    replies = in_parallel(belay, 500)
    assert {r for r in replies} == {200}
    assert sim.exchanges() == before + 1


def in_parallel(belay, n):
    """Status codes of n requests that are all on the wire before the first is answered."""
    body = json.dumps({"model": MINI, "messages": [{"role": "user", "content": "Say hello"}]}).encode()
    host, port = belay.url.removeprefix("http://").split(":")
    request = (f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {KEY}\r\n"
               f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n").encode()
    sockets = [socket.create_connection((host, int(port)), timeout=60) for _ in range(n)]
    try:
        for s in sockets:
            s.sendall(request + body[:-1])
        for s in sockets:
            s.sendall(body[-1:])
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            return list(pool.map(lambda s: int(s.makefile("rb").readline().split()[1]), sockets))
    finally:
        for s in sockets:
            s.close()


def test_the_example_key_works_on_loopback(belay):
    assert belay.chat(key="sk-1234").status == 200


def test_the_example_key_is_refused_on_other_addresses(make):
    done = run_to_end(make.home, ["serve", "--host", "0.0.0.0", "--port", 0, "--auth-port", 0])
    assert done.returncode == 78
    said = done.stdout + done.stderr
    assert "sk-1234" in said and "LITELLM_MASTER_KEY" in said, "says what is wrong and how to make a key"


def test_a_key_of_one_s_own_may_listen_anywhere(make, sim):
    own = "sk-" + os.urandom(24).hex()
    belay = make.belay(sim, args=["--host", "0.0.0.0"], env={"LITELLM_MASTER_KEY": own})
    assert belay.chat(key=own).status == 200
    assert belay.chat(key=KEY).status == 401
    assert own not in belay.said()


@pytest.mark.parametrize("headers, status", [
    ({"Authorization": "Bearer sk-other"}, 401), ({"Authorization": f"Bearer {KEY}x"}, 401), ({}, 401),
    ({"Authorization": f"Bearer {KEY}"}, 200), ({"x-litellm-api-key": f"Bearer {KEY}"}, 200),
    ({"x-litellm-api-key": KEY}, 200), ({"API-Key": KEY}, 200), ({"x-api-key": KEY}, 200)])
def test_every_way_to_send_a_key(belay, headers, status):
    reply = fetch(belay.url + "/v1/models", headers=headers)
    assert reply.status == status
    if status == 401:
        assert reply.json["error"]["type"] and KEY not in reply.body.decode()


FOREIGN = [{"Host": "belay.example"}, {"Origin": "https://evil.example"},
           {"Host": "evil.example:4000", "Origin": "http://evil.example:4000"}]


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_web_page_from_elsewhere_cannot_use_the_api(sim, belay, headers):
    assert belay.chat(headers=headers).status in (403, 421)
    assert fetch(belay.url + "/v1/models", headers={"Authorization": f"Bearer {KEY}", **headers}).status in (403, 421)
    assert sim.calls() == []


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("action", ["start", "signout"])
def test_a_web_page_from_elsewhere_cannot_sign_in_or_out(sim, belay, headers, action):
    for base in (belay.url, belay.auth_url):
        assert fetch(f"{base}/github/{action}", b"", "POST", headers).status in (403, 421)
    assert sim.state()["devices"] == [] and belay.chat().status == 200


def test_an_edited_file_is_used_without_a_restart(make, sim):
    belay = make.belay(sim, config=CONFIG.format(model=MINI))
    assert text_of(belay.chat("small", "Say one")) == "one"
    belay.config.write_text(CONFIG.format(model=GEMINI))
    until(lambda: belay.chat("small") and sim.calls()[-1][0] == "gemini-3-pro-preview", "the new model serves")


def test_a_file_replaced_by_an_editor_is_used_too(make, sim):
    belay = make.belay(sim, config=CONFIG.format(model=MINI))
    fresh = belay.config.with_suffix(".new")
    fresh.write_text(CONFIG.format(model=GEMINI))
    fresh.rename(belay.config)
    until(lambda: belay.chat("small") and sim.calls()[-1][0] == "gemini-3-pro-preview", "the new model serves")


def test_a_broken_file_changes_nothing_and_says_where(make, sim):
    belay = make.belay(sim, config=CONFIG.format(model=MINI))
    belay.config.write_text("model_list:\n  - model_name: [unclosed\n")
    belay.program.popen.send_signal(signal.SIGHUP)
    belay.program.wait_for(r"config\.yaml:[23]", "the log names file and line")
    assert belay.chat("small").status == 200
    belay.config.write_text(CONFIG.format(model=GEMINI))
    until(lambda: belay.chat("small") and sim.calls()[-1][0] == "gemini-3-pro-preview", "it recovers")


def test_a_broken_file_at_start_exits_78_and_says_where(make):
    (make.home / "bad.yaml").write_text("model_list:\n  - model_name: [unclosed\n")
    done = run_to_end(make.home, ["serve", "--port", 0, "--auth-port", 0, "--config", make.home / "bad.yaml"])
    assert done.returncode == 78
    assert "bad.yaml:" in done.stdout + done.stderr


def test_sigterm_lets_a_running_stream_finish(make):
    sim = make.simulator({"chunk_ms": 20})
    belay = make.belay(sim)
    got = {}
    started = threading.Event()

    def read():
        host, port = belay.url.removeprefix("http://").split(":")
        body = json.dumps({"model": MINI, "stream": True,
                           "messages": [{"role": "user", "content": "Count to 60"}]}).encode()
        with socket.create_connection((host, int(port)), timeout=60) as s:
            s.sendall((f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n"
                       f"Content-Length: {len(body)}\r\n\r\n").encode() + body)
            data = b""
            while b"[DONE]" not in data:
                more = s.recv(65536)
                if not more:
                    break
                data += more
                started.set()
            got["data"] = data

    reader = threading.Thread(target=read)
    reader.start()
    assert started.wait(20)
    assert belay.stop(signal.SIGTERM) == 0
    reader.join(20)
    assert b"[DONE]" in got["data"]


def test_no_secret_and_no_prompt_in_the_log(make, sim):
    own = "sk-" + os.urandom(24).hex()
    belay = make.belay(sim, args=["--detailed_debug"], env={"LITELLM_MASTER_KEY": own})
    assert belay.chat(text="the canary sings at dawn", key=own).status == 200
    belay.chat(text="the canary sings at dawn", key="sk-canary-key-that-is-wrong")
    sim.no_quota(OPUS)
    assert belay.chat(text="the canary sings at dawn", key=own, stream=True).status == 200
    said = belay.said()
    for secret in ["canary", own, GITHUB_TOKEN, json.loads((belay.tokens / "api-key.json").read_text())["token"]]:
        assert secret not in said


def test_a_token_from_the_environment_is_enough(make, sim):
    belay = make.belay(sim, signed_in=False, env={"GITHUB_COPILOT_TOKEN": GITHUB_TOKEN})
    assert belay.chat().status == 200


def test_health_says_what_it_should(belay):
    assert belay.chat().status == 200
    assert fetch(belay.url + "/health/liveliness").body == b'"I\'m alive!"'
    assert fetch(belay.url + "/health/readiness").status == 200
    assert fetch(belay.url + "/health").status == 401
    belay.command("health", "--url", belay.url + "/health/liveliness")
    assert belay.command("health", "--url", "http://127.0.0.1:1/health/liveliness", check=False).returncode == 1


def test_models_verb_lists_the_subscription(belay):
    table = belay.command("models").stdout
    assert "claude-opus-4.6" in table and "gpt-5-mini" in table
    listed = json.loads(belay.command("models", "--json").stdout)
    assert "claude-opus-4.6" in json.dumps(listed)


def test_the_sign_in_page_is_on_both_ports(belay):
    for base in (belay.url, belay.auth_url):
        page = fetch(base + "/github")
        assert page.status == 200 and page.headers.get_content_type() == "text/html"


def test_two_belays_may_share_a_sign_in(make, sim):
    first = make.belay(sim)
    second = make.belay(sim, env={"BELAY_DATA_DIR": str(make.home / "other")})
    assert first.chat().status == 200 and second.chat().status == 200


def test_two_belays_never_share_their_data(make, sim, belay):
    """The second stops at once and says who holds the folder."""
    done = run_to_end(make.home, ["serve", "--port", 0, "--auth-port", 0], sim.env())
    assert done.returncode != 0
    assert str(belay.program.popen.pid) in done.stdout + done.stderr


def test_an_occupied_port_is_told_plainly(make, belay):
    port = belay.url.rsplit(":", 1)[1]
    done = run_to_end(make.home, ["serve", "--port", port, "--auth-port", 0],
                      {"BELAY_DATA_DIR": str(make.home / "other")})
    assert done.returncode != 0
    assert port in done.stdout + done.stderr



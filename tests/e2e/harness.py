"""Starts the simulator and Belay on free ports, each in a home of its own, and stops them."""
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("BELAY", str(ROOT / "build" / "belay"))
KEY = "sk-1234"
OPUS = "github_copilot/claude-opus-4.6"
GEMINI = "github_copilot/gemini-3-pro-preview"
MINI = "github_copilot/gpt-5-mini"
GITHUB_TOKEN = "gho_sim_pro_plus"
PATIENCE = 20  # seconds, for what takes milliseconds on a machine that is not busy

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def events(self):
        """The data lines of an event stream, in order."""
        return [line[6:] for line in self.body.decode().split("\n") if line.startswith("data: ")]


def fetch(url, body=None, method=None, headers=None, timeout=PATIENCE) -> Reply:
    """An HTTP exchange; statuses are values, a cut connection raises."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    if data is not None and not request.has_header("Content-type"):
        request.add_header("Content-Type", "application/json")
    try:
        with _opener.open(request, timeout=timeout) as r:
            return Reply(r.status, r.headers, r.read())
    except urllib.error.HTTPError as e:
        return Reply(e.code, e.headers, e.read())


def until(condition, what):
    """Waits for what must come; a failure says what did not."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"did not happen within {PATIENCE} s: {what}"
        time.sleep(0.005)


class Program:
    """A running `belay ...`; what it says is kept in a file."""

    def __init__(self, home: pathlib.Path, name: str, args, env):
        self.log_path = home / f"{name}-{time.monotonic_ns()}.log"
        self.log = open(self.log_path, "wb")
        self.popen = subprocess.Popen([PROGRAM, *map(str, args)], env=env, cwd=home, stdin=subprocess.DEVNULL,
                                      stdout=self.log, stderr=self.log, start_new_session=True)

    def said(self) -> str:
        return self.log_path.read_text(errors="replace")

    def wait_for(self, pattern, what):
        def look():
            found = re.search(pattern, self.said())
            assert found or self.popen.poll() is None, f"ended with {self.popen.returncode}:\n{self.said()}"
            return found
        return until(look, f"{what}; so far:\n{self.said()}")

    def end(self, how=signal.SIGTERM) -> int:
        if self.popen.poll() is None:
            self.popen.send_signal(how)
            try:
                self.popen.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
                raise AssertionError(f"did not end on {how!r}:\n{self.said()}")
        self.log.close()
        return self.popen.returncode


class Simulator:
    """A GitHub and a Copilot that are neither, and the control of them."""

    def __init__(self, home, scenario=None):
        path = home / "scenario.json"
        path.write_text(json.dumps(scenario or {}))
        self.program = Program(home, "sim", ["sim", "--port", 0, "--scenario", path], base_env(home))
        self.url = self.program.wait_for(r"simulator on (http://127\.0\.0\.1:\d+)", "simulator starts").group(1)

    def control(self, path, body=None, method=None):
        reply = fetch(self.url + path, body, method)
        assert reply.status == 200, f"{path}: {reply.status} {reply.body!r}"
        return reply.json

    def fault(self, name, model=None, **rule):
        """From now on the calls that match fail so."""
        self.control("/_sim/faults?add=1", [{"fault": name, **({"model": bare(model)} if model else {}), **rule}])

    def no_quota(self, *models, fault="quota_exceeded", **rule):
        for model in models:
            self.fault(fault, model, **rule)

    def state(self):
        return self.control("/_sim/state")

    def exchanges(self):
        return self.state()["token_exchanges"]

    def calls(self):
        """Every model call that reached Copilot: (model, status), in order."""
        return [(c["model"], c["status"]) for c in self.requests() if c.get("model")]

    def requests(self):
        return self.control("/_sim/requests?last=2000")["requests"]

    def env(self):
        return {"GITHUB_COPILOT_DEVICE_CODE_URL": self.url + "/login/device/code",
                "GITHUB_COPILOT_ACCESS_TOKEN_URL": self.url + "/login/oauth/access_token",
                "GITHUB_COPILOT_API_KEY_URL": self.url + "/copilot_internal/v2/token",
                "GITHUB_COPILOT_API_BASE": self.url}


class Belay:
    """`belay serve` in a home of its own. `signed_in=False` starts without a stored sign-in."""

    def __init__(self, home, simulator=None, config=None, args=(), env=None, signed_in=True):
        self.home = home
        self.tokens = home / ".config" / "litellm" / "github_copilot"
        if signed_in and not self.tokens.exists():
            self.tokens.mkdir(parents=True, mode=0o700)
            (self.tokens / "access-token").write_text(GITHUB_TOKEN)
            (self.tokens / "access-token").chmod(0o600)
        self.config = home / "config.yaml"
        if config is not None:
            self.config.write_text(config)
        self.args = list(args)
        self.env = {**base_env(home), **(simulator.env() if simulator else {}), **(env or {})}
        self.program = None
        self.start()

    def start(self):
        ready = self.home / "ready.json"
        ready.unlink(missing_ok=True)
        args = ["serve", "--port", 0, "--auth-port", 0, "--ready-file", ready, *self.args]
        if self.config.exists():
            args += ["--config", self.config]
        self.program = Program(self.home, "belay", args, self.env)

        def is_ready():
            assert self.program.popen.poll() is None, f"ended with {self.program.popen.returncode}:\n{self.said()}"
            return ready.exists() and ready.read_text().strip().endswith("}")
        until(is_ready, "belay is ready")
        ports = json.loads(ready.read_text())
        self.url = f"http://127.0.0.1:{ports['api']}"
        self.auth_url = f"http://127.0.0.1:{ports['auth']}"

    def said(self):
        return self.program.said()

    def stop(self, how=signal.SIGTERM):
        return self.program.end(how)

    def restart(self, how=signal.SIGKILL):
        self.stop(how)
        self.start()

    def chat(self, model=OPUS, text="Say hello", key=KEY, headers=None, **body) -> Reply:
        return fetch(self.url + "/v1/chat/completions",
                     {"model": model, "messages": [{"role": "user", "content": text}], **body},
                     headers={"Authorization": f"Bearer {key}", **(headers or {})})

    def command(self, *args, check=True):
        """Another verb of the program, in the same home."""
        done = subprocess.run([PROGRAM, *map(str, args)], env=self.env, cwd=self.home, capture_output=True, text=True,
                              timeout=PATIENCE)
        assert not check or done.returncode == 0, f"{args}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done


def run_to_end(home, args, env=None):
    """A start that is expected to fail, or a verb that ends by itself."""
    return subprocess.run([PROGRAM, *map(str, args)], env={**base_env(home), **(env or {})}, cwd=home,
                          capture_output=True, text=True, timeout=PATIENCE)


def base_env(home):
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "NO_PROXY": "127.0.0.1,localhost",
            **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}}


def bare(model):
    return model.removeprefix("github_copilot/")


def text_of(reply: Reply) -> str:
    """The text of a chat completion, streamed or not."""
    if reply.headers.get_content_type() != "text/event-stream":
        return reply.json["choices"][0]["message"]["content"]
    parts = [json.loads(e) for e in reply.events if e != "[DONE]"]
    return "".join(c["delta"].get("content") or "" for p in parts for c in p.get("choices", []))


@contextlib.contextmanager
def running(*programs):
    try:
        yield programs
    finally:
        for p in reversed(programs):
            (p.stop if isinstance(p, Belay) else p.program.end)(signal.SIGKILL)

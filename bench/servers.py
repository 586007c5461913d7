"""The contenders and their upstream: how each is started, pinned, watched and stopped."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "build" / "bench"
BELAY = os.environ.get("BENCH_BELAY", str(ROOT / "build" / "belay"))
LOAD = os.environ.get("BENCH_LOAD", str(ROOT / "build" / "belay_load"))
KEY = "sk-1234"
MODEL = "gpt-5-mini"
PROXY_CORE, OTHER_CORE = ("0", "1") if os.cpu_count() > 1 else ("0", "0")
TICK = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def fetch(url: str, body=None, headers=None, timeout=5):
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json", **(headers or {})})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=timeout) as reply:
        return reply.read()


class Process:
    """A program pinned to one core, in its own process group."""

    def __init__(self, argv, core, log, env=None, stdin=None):
        self.log = open(log, "wb")
        self.started = time.monotonic()
        self.popen = subprocess.Popen(["taskset", "-c", core, *argv], stdout=self.log, stderr=self.log,
                                      stdin=stdin or subprocess.DEVNULL, env=env, start_new_session=True)
        self.pid = self.popen.pid
        self.log_path = pathlib.Path(log)

    def pids(self):
        """The process and its children (nginx has a worker)."""
        try:
            children = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        except OSError:
            children = []
        return [self.pid, *map(int, children)]

    def cpu_seconds(self) -> float:
        total = 0
        for pid in self.pids():
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICK

    def rss_kib(self) -> int:
        total = 0
        for pid in self.pids():
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            total += int(re.search(r"VmRSS:\s+(\d+)", status).group(1))
        return total

    def stop(self):
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.pid, signal.SIGKILL)
                self.popen.wait()
        self.log.close()

    def tail(self) -> str:
        return self.log_path.read_text(errors="replace")[-2000:]


class Contender:
    """One proxy: a name, a command line, the path and body that clients use with it."""

    def __init__(self, bench, name, port):
        self.bench, self.name, self.port = bench, name, port
        self.process = None
        self.auxiliary = []

    key = KEY
    url = property(lambda self: f"http://127.0.0.1:{self.port}")
    address = property(lambda self: f"127.0.0.1:{self.port}")

    def start(self, under=()):
        self.process = Process([*under, *self.command()], PROXY_CORE, OUT / f"{self.name}.log", env=self.env())
        self.wait_ready(120 if under else 20)
        return self

    def wait_ready(self, seconds=20):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.popen.poll() is not None:
                raise RuntimeError(f"{self.name} ended: {self.process.tail()}")
            try:
                self.probe()
                return
            except OSError:
                time.sleep(0.0005)
        raise RuntimeError(f"{self.name} is not ready: {self.process.tail()}")

    def probe(self):
        socket.create_connection(("127.0.0.1", self.port), timeout=1).close()

    def env(self):
        return None

    def stop(self):
        if self.process:
            self.process.stop()
            self.process = None

    def body_file(self, stream):
        return self.bench.body_file(self.model, stream)

    model = MODEL
    path = "/v1/chat/completions"


class Direct(Contender):
    """No proxy: what the upstream and the load client take by themselves."""
    path = "/chat/completions"

    def __init__(self, bench):
        super().__init__(bench, "direct", bench.upstream_port)

    def start(self, under=()):
        return self

    def stop(self):
        pass


class Nginx(Contender):
    def command(self):
        conf = OUT / "nginx.conf"
        headers = "".join(f'proxy_set_header {n} "{v}"; ' for n, v in self.bench.upstream_headers.items())
        conf.write_text(f"""
daemon off; master_process {'off' if self.single else 'on'}; worker_processes 1; pid {OUT}/nginx.pid;
error_log {OUT}/nginx-error.log error; worker_rlimit_nofile {files()};
events {{ worker_connections {min(files() - 100, 12000)}; }}
http {{
    access_log off; keepalive_requests 1000000000; client_max_body_size 32m;
    client_body_temp_path {OUT}/tmp; proxy_temp_path {OUT}/tmp; fastcgi_temp_path {OUT}/tmp;
    uwsgi_temp_path {OUT}/tmp; scgi_temp_path {OUT}/tmp;
    upstream copilot {{ server 127.0.0.1:{self.bench.upstream_port}; keepalive 256; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{self.port} backlog=4096;
        proxy_http_version 1.1; proxy_set_header Connection ""; {headers}
        location /v1/chat/completions {{ proxy_pass http://copilot/chat/completions; }}
        location /stream/chat/completions {{ proxy_buffering off; proxy_pass http://copilot/chat/completions; }}
    }}
}}""")
        return ["nginx", "-e", str(OUT / "nginx-error.log"), "-p", str(OUT), "-c", str(conf)]

    single = False  # one process, for valgrind

    def stream_path(self):
        return "/stream/chat/completions"


class HAProxy(Contender):
    def command(self):
        conf = OUT / "haproxy.cfg"
        headers = "\n    ".join(f"http-request set-header {n} {v.replace(' ', chr(92) + ' ')}"
                                for n, v in self.bench.upstream_headers.items())
        conf.write_text(f"""
global
    nbthread 1
    maxconn {files() // 2 - 100}
defaults
    mode http
    timeout connect 5s
    timeout client 300s
    timeout server 300s
    http-reuse always
frontend in
    bind 127.0.0.1:{self.port} backlog 4096
    default_backend copilot
backend copilot
    http-request set-path /chat/completions
    {headers}
    server sim 127.0.0.1:{self.bench.upstream_port} pool-max-conn 10000
""")
        return ["haproxy", "-db", "-f", str(conf)]


class Belay(Contender):
    """Key check and spend record on, as every user has them; no line per request in the log, as nginx
    and HAProxy write none either."""
    model = f"github_copilot/{MODEL}"

    def __init__(self, bench):
        super().__init__(bench, "belay", 0)
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="home-", dir=OUT))
        tokens = self.home / "github_copilot"
        tokens.mkdir(mode=0o700)
        (tokens / "access-token").write_text(bench.github_token)
        (tokens / "access-token").chmod(0o600)
        self.config = self.home / "config.yaml"
        self.config.write_text(f"""model_list:
  - model_name: {self.model}
    litellm_params:
      model: {self.model}
general_settings:
  master_key: {KEY}
""")
        self.ready = self.home / "ready.json"

    def command(self):
        self.ready.unlink(missing_ok=True)
        return [BELAY, "serve", "--config", str(self.config), "--host", "127.0.0.1", "--port", "0",
                "--auth-port", "0", "--workers", "1", "--ready-file", str(self.ready)]

    def env(self):
        return {**self.bench.belay_env(), "HOME": str(self.home),
                "GITHUB_COPILOT_TOKEN_DIR": str(self.home / "github_copilot"),
                "BELAY_DATA_DIR": str(self.home / "data")}

    def probe(self):
        if not self.ready.exists():
            raise ConnectionError
        self.port = json.loads(self.ready.read_text())["api"]
        fetch(self.url + "/health/liveliness")


class Governed(Belay):
    """The same with a virtual key that has a budget and limits, as has its team; none is ever reached."""
    limits = {"max_budget": 1e6, "rpm_limit": 10**9, "tpm_limit": 10**12, "max_parallel_requests": 10**5}

    def __init__(self, bench):
        super().__init__(bench)
        self.name = "governed"

    def start(self, under=()):
        super().start(under)
        team = self.manage("/team/new", {"team_alias": "bench", **self.limits})["team_id"]
        self.key = self.manage("/key/generate", {"team_id": team, "budget_duration": "30d", **self.limits})["key"]
        return self

    def manage(self, path, body):
        return json.loads(fetch(self.url + path, body, {"Authorization": f"Bearer {KEY}"}, timeout=30))


def stream_path(contender):
    own = getattr(contender, "stream_path", None)
    return own() if own else contender.path


def files():
    import resource
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class Bench:
    """The upstream, and everything the contenders share. Stops whatever it started."""

    def __init__(self, plan):
        self.plan = plan
        self.github_token = "gho_sim_pro_plus"
        self.simulator = None
        self.contenders = []

    def __enter__(self):
        shutil.rmtree(OUT, ignore_errors=True)
        (OUT / "tmp").mkdir(parents=True)
        for tool in ["nginx", "haproxy", "wrk", "taskset"]:
            if not shutil.which(tool):
                raise SystemExit(f"bench: {tool} is missing; make bench installs it")
        self.start_simulator({"enabled": True})
        return self

    def __exit__(self, *_):
        for contender in self.contenders:
            contender.stop()
        self.simulator.stop()

    @contextlib.contextmanager
    def upstream(self, spec):
        """For a while, an upstream of another kind."""
        self.simulator.stop()
        self.start_simulator({"enabled": True, **spec})
        try:
            yield
        finally:
            self.simulator.stop()
            self.start_simulator({"enabled": True})

    def start_simulator(self, spec):
        scenario = OUT / "scenario.json"
        scenario.write_text(json.dumps({"bench": spec}))
        self.simulator = Process([BELAY, "sim", "--port", "0", "--scenario", str(scenario)], OTHER_CORE,
                                 OUT / "sim.log")
        self.upstream_port = self.wait_for_simulator()
        self.upstream_headers = self.identity()

    def wait_for_simulator(self) -> int:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            found = re.search(r"http://127\.0\.0\.1:(\d+)", self.simulator.tail())
            if found:
                return int(found.group(1))
            if self.simulator.popen.poll() is not None:
                break
            time.sleep(0.01)
        raise SystemExit(f"bench: the simulator did not start: {self.simulator.tail()}")

    def identity(self):
        """The headers with which nginx and HAProxy may talk to the simulated Copilot."""
        base = f"http://127.0.0.1:{self.upstream_port}"
        token = json.loads(fetch(base + "/copilot_internal/v2/token",
                                 headers={"Authorization": f"token {self.github_token}"}))
        return {"Authorization": f"Bearer {token['token']}", "Editor-Version": "vscode/1.104.0",
                "Copilot-Integration-Id": "vscode-chat", "X-Initiator": "user"}

    def belay_env(self):
        base = f"http://127.0.0.1:{self.upstream_port}"
        return {"PATH": os.environ["PATH"], "LITELLM_LOG": "WARNING",
                "GITHUB_COPILOT_DEVICE_CODE_URL": base + "/login/device/code",
                "GITHUB_COPILOT_ACCESS_TOKEN_URL": base + "/login/oauth/access_token",
                "GITHUB_COPILOT_API_KEY_URL": base + "/copilot_internal/v2/token",
                "GITHUB_COPILOT_API_BASE": base}

    def body_file(self, model, stream):
        path = OUT / f"body-{model.replace('/', '-')}-{'stream' if stream else 'plain'}.json"
        if not path.exists():
            path.write_text(json.dumps(request_body(model, stream)))
        return path

    def make(self, kind):
        contender = kind(self) if kind in (Belay, Governed, Direct) else kind(self, kind.__name__.lower(), free_port())
        self.contenders.append(contender)
        return contender


def request_body(model, stream):
    """1.3 KB of an ordinary conversation."""
    system = ("You are a careful assistant for people who write and read code. Answer briefly, name the file "
              "and the line when you speak of code, and say so when you do not know. ") * 3
    user = ("Why does the second call return before the first one has been answered, and what should I change "
            "so that the order holds? Here is what I see in the log of the service: " + "request queued; " * 20)
    body = {"model": model, "messages": [{"role": "system", "content": system}, {"role": "user", "content": user}],
            "max_completion_tokens": 256}
    if stream:
        body["stream"] = True
    return body

"""The measurements. Each returns {contender: [value of round 1, ...]} or {contender: {name: [...]}}."""
import json
import os
import re
import signal
import subprocess
import time

import servers
from servers import LOAD, OTHER_CORE, OUT, Belay, Direct, Governed, HAProxy, Nginx, Process, stream_path

CONNECTIONS = 64


def plain(bench, plan):
    """Requests per second and CPU per request, 64 keep-alive connections, as fast as it goes."""
    return in_turns(bench, plan["rounds"], lambda c: saturate(c, plan["plain_seconds"], stream=False))


def stream(bench, plan):
    """The same with streamed replies."""
    return in_turns(bench, plan["rounds"], lambda c: saturate(c, plan["stream_seconds"], stream=True))


def rate(bench, plan):
    """What a proxy adds at 1,000 requests/s: its latency less the upstream's, in the same round."""
    return in_turns(bench, plan["rate_rounds"], lambda c: open_loop(c, plan, stream=False),
                    kinds=(Direct, Nginx, Belay, HAProxy))


def rate_stream(bench, plan):
    """Time to the first event of a streamed reply at 1,000 requests/s."""
    return in_turns(bench, plan["rate_rounds"], lambda c: open_loop(c, plan, stream=True),
                    kinds=(Direct, Nginx, Belay, HAProxy))


def in_turns(bench, rounds, once, kinds=(Nginx, Belay, Governed, HAProxy)):
    """A B C A B C: all run at once and idle while another is measured."""
    running = [bench.make(kind).start() for kind in kinds]
    try:
        results = {c.name: {} for c in running}
        for c in running:
            once(c)  # a round that warms pools and caches
        for number in range(rounds):
            order = running[number % len(running):] + running[:number % len(running)]
            for c in order:
                for name, value in once(c).items():
                    results[c.name].setdefault(name, []).append(value)
        return results
    finally:
        for c in running:
            c.stop()


def saturate(c, seconds, stream):
    lua = OUT / "chat.lua"
    lua.write_text('wrk.method = "POST"\n'
                   'local f = io.open(os.getenv("BENCH_BODY"), "rb"); wrk.body = f:read("*a"); f:close()\n'
                   'wrk.headers["Content-Type"] = "application/json"\n'
                   f'wrk.headers["Authorization"] = "Bearer {c.key}"\n'
                   'function done(s, l, r) local e = s.errors; io.write(string.format("DONE %d %d %d\\n", s.requests,\n'
                   '  s.duration, e.connect + e.read + e.write + e.status + e.timeout)) end\n')
    before = c.process.cpu_seconds()
    path = stream_path(c) if stream else c.path
    ran = subprocess.run(["taskset", "-c", OTHER_CORE, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(lua), c.url + path],
                         env={**os.environ, "BENCH_BODY": str(c.body_file(stream))}, capture_output=True, text=True)
    cpu = c.process.cpu_seconds() - before
    found = re.search(r"DONE (\d+) (\d+) (\d+)", ran.stdout)
    if not found:
        raise RuntimeError(f"wrk on {c.name}: {ran.stdout[-500:]}{ran.stderr[-500:]}")
    requests, micros, errors = map(int, found.groups())
    if errors or not requests:
        raise RuntimeError(f"{c.name}: {errors} of {requests} requests failed\n{c.process.tail()[-300:]}")
    return {"requests_s": requests / (micros / 1e6), "cpu_us": cpu * 1e6 / requests}


def load(c, mode, body, *options, timeout=120):
    argv = ["taskset", "-c", OTHER_CORE, LOAD, mode, c.address, "--path", options[0], "--body", str(body),
            "--header", f"Authorization: Bearer {c.key}", *map(str, options[1:])]
    if isinstance(c, Direct):
        at = argv.index("--header")
        argv[at:at + 2] = [x for n, v in c.bench.upstream_headers.items() for x in ("--header", f"{n}: {v}")]
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=timeout)
    if ran.returncode != 0:
        raise RuntimeError(f"load on {c.name}: {ran.stdout}{ran.stderr}")
    return json.loads(ran.stdout)


def open_loop(c, plan, stream):
    path = stream_path(c) if stream else c.path
    got = load(c, "rate", c.body_file(stream), path, "--rate", 1000, "--seconds", plan["rate_seconds"],
               "--connections", CONNECTIONS, "--warm", 300)
    values = {"p50_us": got["whole_us"]["p50"], "p99_us": got["whole_us"]["p99"]}
    if stream:
        values |= {"first_p50_us": got["first_event_us"]["p50"], "first_p99_us": got["first_event_us"]["p99"]}
    return values


def instructions(bench, plan):
    """User-mode instructions per request, counted by valgrind: a long run less a short one."""
    few, many = plan["instruction_requests"]
    results = {}
    for kind in (Nginx, Belay, Governed, HAProxy):
        results[kind.__name__.lower()] = {}
        for name, stream in (("plain", False), ("stream", True)):
            short, long = (count_instructions(bench, kind, n, stream) for n in (few, many))
            results[kind.__name__.lower()][name] = [(long - short) / (many - few)]
    return results


def count_instructions(bench, kind, requests, stream):
    c = bench.make(kind)
    c.single = True
    c.start(under=["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null",
                   "--trace-children=no"])
    try:
        path = stream_path(c) if stream else c.path
        load(c, "count", c.body_file(stream), path, "--count", requests, "--connections", CONNECTIONS, timeout=300)
    finally:
        c.process.popen.send_signal(signal.SIGTERM)
        c.process.popen.wait(60)
        text = c.process.log_path.read_text(errors="replace")
        c.stop()
    found = re.search(r"I\s+refs:\s+([\d,]+)", text)
    if not found:
        raise RuntimeError(f"valgrind said nothing about {c.name}: {text[-800:]}")
    return int(found.group(1).replace(",", ""))


def memory(bench, plan):
    """Resident memory at rest, and what each open, quiet stream adds to it."""
    results = {}
    with bench.upstream({"hold_seconds": 300}):
        for kind in (Nginx, HAProxy, Belay):
            c = bench.make(kind).start()
            try:
                idle = settled_rss(c)
                load(c, "count", c.body_file(False), c.path, "--count", 64, "--connections", 4)
                warm = settled_rss(c)  # the code is in memory: what streams add is streams
                held = hold_streams(c, plan["streams"])
                results[c.name] = {"idle_mib": [idle / 1024], "warm_mib": [warm / 1024],
                                   "stream_kib": [(held - warm) / plan["streams"]]}
            finally:
                c.stop()
    return results


def hold_streams(c, n):
    """Opens n streams, each past its first event and then quiet; returns the resident size in KiB."""
    holder = Process([LOAD, "hold", c.address, "--path", stream_path(c), "--body", str(c.body_file(True)),
                      "--header", f"Authorization: Bearer {c.key}", "--count", str(n)], OTHER_CORE,
                     OUT / f"hold-{c.name}.log", stdin=subprocess.PIPE)
    try:
        wait_held(holder, n)
        return settled_rss(c)
    finally:
        holder.stop()


def wait_held(holder, n):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = re.search(r'"held": (\d+), "errors": (\d+)', holder.tail())
        if found:
            if found.groups() != (str(n), "0"):
                raise RuntimeError(f"only {found.group(1)} of {n} streams are open")
            return
        if holder.popen.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"streams were not opened: {holder.tail()}")


def settled_rss(c):
    """Resident size when it has stopped moving (or after 3 s)."""
    last = c.process.rss_kib()
    for _ in range(6):
        time.sleep(0.5)
        size = c.process.rss_kib()
        if size == last:
            break
        last = size
    return last


def start(bench, plan):
    """From exec to the first answer."""
    results = {}
    for kind in (Nginx, Belay):
        for _ in range(plan["rounds"] * 2):
            c = bench.make(kind)
            c.start()
            results.setdefault(c.name, {}).setdefault("ready_ms", []).append(
                (time.monotonic() - c.process.started) * 1000)
            c.stop()
    return results


def size(bench, plan):
    """The program without symbols."""
    stripped = OUT / "belay-stripped"
    subprocess.run(["strip", "-o", str(stripped), servers.BELAY], check=True)
    mib = stripped.stat().st_size / 2**20
    stripped.unlink()
    return {"belay": {"size_mib": [mib]}}

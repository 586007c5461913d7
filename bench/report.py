"""What people read: one line per figure while it runs, and the table of targets at the end."""
import os
import pathlib
import statistics

TITLES = {
    "size": "size of the program",
    "start": "start, from exec to the first answer",
    "memory": "memory",
    "instructions": "user-mode instructions per request (valgrind)",
    "plain": "plain replies, as fast as it goes (64 connections, 1.3 KB request)",
    "stream": "streamed replies, as fast as it goes (64 connections)",
    "rate": "latency at 1,000 requests/s, open loop",
    "rate_stream": "time to the first event at 1,000 streams/s, open loop",
}
UNITS = {"requests_s": "requests/s", "cpu_us": "CPU us/request", "plain": "instructions, plain",
         "stream": "instructions, streamed", "idle_mib": "MiB resident, idle", "warm_mib": "MiB resident, after 64", "stream_kib": "KiB per open stream",
         "ready_ms": "ms to ready", "size_mib": "MiB stripped", "p50_us": "us, p50", "p99_us": "us, p99",
         "first_p50_us": "us to first event, p50", "first_p99_us": "us to first event, p99"}


def machine() -> str:
    model = next((line.split(":")[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().split("\n")
                  if line.startswith("model name")), "unknown")
    return f"{os.cpu_count()} x {model}, Linux {os.uname().release}"


def show_part(part, results):
    for name in {n: 0 for values in results.values() for n in values}:
        for contender, values in results.items():
            if name in values:
                v = values[name]
                spread = f"({number(min(v))} - {number(max(v))})" if len(v) > 1 else ""
                print(f"    {contender:8} {number(statistics.median(v)):>10} {UNITS[name]:25} {spread}", flush=True)


def number(v: float) -> str:
    return f"{v:,.0f}" if abs(v) >= 1000 else f"{v:.1f}" if abs(v) >= 10 else f"{v:.2f}"


def ratios(results, part, name, base="nginx", of="belay"):
    """Belay over nginx, taken within each round."""
    a, b = results[part][of][name], results[part][base][name]
    return [x / y for x, y in zip(a, b)]


def added(results, part, name, of):
    """A proxy's latency less the upstream's own, round by round, as a median."""
    return statistics.median(x - y for x, y in zip(results[part][of][name], results[part]["direct"][name]))


def show_targets(results):
    rows = []

    def row(part, title, target, make):
        if part in results:
            try:
                value, met, note = make()
                rows.append((title, value, target, "met" if met else "NOT MET", note))
            except (KeyError, ZeroDivisionError, statistics.StatisticsError) as error:
                rows.append((title, "-", target, "unknown", repr(error)))

    def ratio_row(part, name, title, target, good, of="belay"):
        def make():
            r = ratios(results, part, name, of=of)
            m = statistics.median(r)
            return f"{m:.2f}x nginx", good(m), f"rounds {min(r):.2f} - {max(r):.2f}" if len(r) > 1 else ""
        row(part, title, target, make)

    def value_row(part, name, title, target, limit):
        def make():
            v = results[part]["belay"][name]
            m = statistics.median(v)
            return number(m), m <= limit, f"rounds {number(min(v))} - {number(max(v))}" if len(v) > 1 else ""
        row(part, title, target, make)

    def added_row(part, name, title, limit):
        def make():
            ours, theirs = (added(results, part, name, who) for who in ("belay", "nginx"))
            note = f"belay adds {ours:.0f} us, nginx {theirs:.0f} us"
            met = ours <= limit * theirs if theirs > 0 else ours <= 50
            return (f"{ours / theirs:.2f}x nginx" if theirs > 0 else f"{ours:.0f} us"), met, note
        row(part, title, f"<= {limit}x nginx", make)

    ratio_row("plain", "requests_s", "requests/s, plain", ">= 1.0x nginx", lambda m: m >= 1.0)
    ratio_row("plain", "cpu_us", "CPU per request, plain", "<= 1.0x nginx", lambda m: m <= 1.0)
    ratio_row("instructions", "plain", "user instructions, plain", "<= 1.0x nginx", lambda m: m <= 1.0)
    ratio_row("stream", "requests_s", "requests/s, streamed", ">= 1.0x nginx", lambda m: m >= 1.0)
    ratio_row("stream", "cpu_us", "CPU per request, streamed", "<= 1.0x nginx", lambda m: m <= 1.0)
    ratio_row("instructions", "stream", "user instructions, streamed", "<= 1.0x nginx", lambda m: m <= 1.0)
    for part, kind in (("plain", "plain"), ("stream", "streamed")):
        ratio_row(part, "requests_s", f"requests/s, {kind}, governed", ">= 0.9x nginx", lambda m: m >= 0.9, "governed")
        ratio_row("instructions", part, f"instructions, {kind}, governed", "<= 1.2x nginx", lambda m: m <= 1.2, "governed")
    added_row("rate", "p50_us", "added p50 at 1,000/s", 1.3)
    added_row("rate", "p99_us", "added p99 at 1,000/s", 1.3)
    added_row("rate_stream", "first_p50_us", "added to first event, p50", 1.3)
    added_row("rate_stream", "first_p99_us", "added to first event, p99", 1.3)
    value_row("memory", "stream_kib", "KiB per open stream", "<= 14", 14)
    value_row("memory", "idle_mib", "MiB resident, idle", "<= 12", 12)
    value_row("start", "ready_ms", "ms to ready", "<= 50", 50)
    value_row("size", "size_mib", "MiB, stripped", "<= 15", 15)

    print(f"\n{results['machine']}; {results.get('seconds', '?')} s; {results['plan']['streams']:,} streams held")
    for title, value, target, verdict, note in rows:
        print(f"  {title:32} {value:>14}   {target:14} {verdict:8} {note}")
    print("\n  Proxy on core 0, simulator and load on the other: requests/s is bounded by whichever core is full.\n"
          "  Shared machines are noisy; instructions are the figure that repeats, ranges show how far the\n"
          "  others moved. nginx and HAProxy forward bytes; Belay also checks the key, edits the request,\n"
          "  reads usage and keeps a spend record; governed: a virtual key with budget and limits, in such a team.")

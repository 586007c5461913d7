"""Keys, spend and records from a shell, beside a gateway that runs, and without one."""
import csv
import decimal
import io
import json
import subprocess

import pytest

import harness
from harness import KEY, MINI, OPUS, until


def lines_fit(text, columns=80):
    return all(len(line) <= columns for line in text.splitlines())


def records(belay, *filters):
    done = belay.command("export", "--format", "jsonl", *filters)
    return [json.loads(line, parse_float=decimal.Decimal) for line in done.stdout.splitlines()]


def test_a_key_made_in_a_shell_works_within_a_second_and_ends_as_fast(belay):
    made = belay.command("keys", "create", "--alias", "ci", "--models", MINI, "--budget", "5", "--every", "30d")
    key = made.stdout.strip()
    assert key.startswith("sk-") and "\n" not in key, "the key stands alone, for $(...)"
    until(lambda: belay.chat(MINI, key=key).status == 200, "the gateway knows the key")
    assert belay.chat(OPUS, key=key).status == 403
    shown = belay.command("keys", "list").stdout
    assert "ci" in shown and f"...{key[-4:]}" in shown and "$5.00 / 30d" in shown and key not in shown
    assert lines_fit(shown)
    row = json.loads(belay.command("keys", "info", "ci", "--json").stdout)
    assert row["info"]["models"] == [MINI] and row["info"]["max_budget"] == 5
    shown = belay.command("keys", "info", key).stdout
    assert lines_fit(shown) and key not in shown
    assert key not in belay.command("keys", "info", key, "--json").stdout
    belay.command("keys", "revoke", "ci")
    until(lambda: belay.chat(MINI, key=key).status == 401, "the gateway has forgotten the key")


def test_a_blocked_key_is_refused_and_works_again(belay):
    key = belay.command("keys", "create", "--alias", "on off").stdout.strip()
    belay.command("keys", "revoke", "--block", "on off")
    until(lambda: belay.chat(MINI, key=key).status == 401, "blocked")
    belay.command("keys", "revoke", "--unblock", "on off")
    until(lambda: belay.chat(MINI, key=key).status == 200, "unblocked")


def test_keys_are_managed_over_http_too_with_the_master_key(belay):
    over = ["--url", belay.url, "--master-key", KEY]
    key = belay.command("keys", "create", "--alias", "far", *over).stdout.strip()
    assert belay.chat(MINI, key=key).status == 200, "over HTTP it counts at once"
    assert [k["key_alias"] for k in json.loads(belay.command("keys", "list", "--json", *over).stdout)] == ["far"]
    refused = belay.command("keys", "list", "--url", belay.url, "--master-key", "sk-wrong-0123456789", check=False)
    assert refused.returncode == 1 and "sk-wrong-0123456789" not in refused.stderr
    far = belay.command("keys", "list", "--url", "http://192.0.2.1:4000", check=False)
    assert far.returncode == 1 and "https" in far.stderr, "the master key does not go over plain HTTP"


def test_without_a_gateway_the_same_words_work(belay):
    belay.stop()
    key = belay.command("keys", "create", "--alias", "early").stdout.strip()
    belay.start()
    assert belay.chat(MINI, key=key).status == 200


@pytest.mark.parametrize("words, said", [
    (["keys", "create", "--budgte", "3"], "Did you mean --budget?"),
    (["keys", "create", "--budget", "much"], "--budget"),
    (["keys", "create", "--every", "30d"], "--budget"),
    (["keys", "revoke"], "needs a key"),
    (["keys", "paint"], "create, list, info and revoke"),
    (["spend", "--by", "colour"], "organization"),
    (["spend", "--from", "2026-11-02", "--until", "2026-11-01"], "ends before it begins"),
    (["export", "--format", "xml"], "csv or jsonl"),
    (["export", "here.csv"], "--out"),
])
def test_wrong_words_say_what_was_meant(make, words, said):
    done = harness.run_to_end(make.home, words)
    assert done.returncode == 2 and said in done.stderr and not done.stdout


def test_a_key_that_does_not_exist_is_named(make):
    done = harness.run_to_end(make.home, ["keys", "info", "nobody"])
    assert done.returncode == 1 and "no key 'nobody'" in done.stderr


@pytest.fixture
def used(belay):
    """A gateway after some requests of two keys, one of which failed."""
    keys = [belay.command("keys", "create", "--alias", name).stdout.strip() for name in ("ann", "bob")]
    until(lambda: belay.chat(MINI, key=keys[1]).status == 200, "the second key is known")
    for model in (MINI, OPUS, MINI):
        assert belay.chat(model, key=keys[0]).status == 200
    return belay


def test_spend_adds_up_to_the_records_by_any_name(used):
    rows = until(lambda: len(records(used)) >= 4 and records(used), "four records")
    total = sum(row["spend"] for row in rows)
    assert total > 0
    for by, names in (("key", {"ann", "bob"}), ("model", {"claude-opus-4.6", "gpt-5-mini"}), ("day", None)):
        shown = json.loads(used.command("spend", "--by", by, "--json").stdout, parse_float=decimal.Decimal)
        assert sum(row["spend"] for row in shown["rows"]) == shown["total"]["spend"] == total
        assert shown["total"]["requests"] == len(rows)
        if names:
            assert {row.get("name", row[by]) for row in shown["rows"]} == names
        table = used.command("spend", "--by", by).stdout
        assert lines_fit(table) and "REQUESTS" in table
    ann = json.loads(used.command("spend", "--by", "model", "--key", "ann", "--json").stdout)
    assert ann["total"]["requests"] == 3
    assert "Nothing" in used.command("spend", "--until", "2020-01-31").stdout


def test_spend_counts_what_a_killed_gateway_has_left_in_its_journal(used):
    before = json.loads(used.command("spend", "--json").stdout)["total"]["requests"]
    for _ in range(5):
        assert used.chat(MINI).status == 200
    used.stop(harness.signal.SIGKILL)
    assert json.loads(used.command("spend", "--json").stdout)["total"]["requests"] == before + 5
    assert len(records(used)) == before + 5


def test_records_leave_as_csv_and_json_lines_while_the_gateway_runs(used, tmp_path):
    rows = records(used)
    table = list(csv.DictReader(io.StringIO(used.command("export").stdout)))
    assert [r["request_id"] for r in table] == [r["request_id"] for r in rows]
    assert [decimal.Decimal(r["spend"]) for r in table] == [r["spend"] for r in rows]
    assert len(records(used, "--key", "ann")) == 3
    assert records(used, "--key", rows[0]["api_key"]) == [r for r in rows if r["api_key"] == rows[0]["api_key"]]
    assert {r["model"] for r in records(used, "--model", "gpt-5-mini")} == {"gpt-5-mini"}
    assert records(used, "--status", "failure") == [] and records(used, "--until", "2020-01-01") == []
    out = tmp_path / "records.jsonl"
    used.command("export", "--out", out)
    assert len(out.read_text().splitlines()) == len(rows) and out.stat().st_mode & 0o777 == 0o600
    again = used.command("export", "--out", out, check=False)
    assert again.returncode == 1 and "there already" in again.stderr


def test_a_reader_that_has_seen_enough_ends_an_export_quietly(used):
    export = subprocess.Popen([harness.PROGRAM, "export"], env=used.env, cwd=used.home, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
    export.stdout.close()
    assert export.stderr.read() == b"" and export.wait(harness.PATIENCE) == 0


def test_help_names_every_verb(make):
    text = harness.run_to_end(make.home, ["help"]).stdout
    for verb in ("serve", "login", "models", "check", "explain", "keys", "spend", "export", "sim", "health"):
        assert f"belay {verb}" in text
    assert lines_fit(text)

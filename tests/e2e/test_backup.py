"""`belay backup` beside a gateway under load, `belay restore`, and what they refuse."""
import io
import json
import signal
import tarfile
import threading

import pytest

import harness
from harness import GITHUB_TOKEN, KEY, MINI, until


def ids(belay):
    done = belay.command("export", "--format", "jsonl")
    return [json.loads(line)["request_id"] for line in done.stdout.splitlines()]


def data(belay):
    return belay.home / ".local/share/belay"


def asides(folder):
    return sorted(p for p in folder.iterdir() if p.name.startswith("before-restore-"))


class Load:
    """Requests one after the other from some threads; the ids of those that were answered."""

    def __init__(self, belay, threads=4):
        self.belay, self.ending, self.answered = belay, threading.Event(), []
        self.threads = [threading.Thread(target=self.run) for _ in range(threads)]

    def run(self):
        while not self.ending.is_set():
            reply = self.belay.chat(MINI)
            assert reply.status == 200
            self.answered.append(reply.headers["x-litellm-call-id"])

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join()


def test_a_backup_under_load_has_every_answered_request_once_and_restores(make, sim, tmp_path):
    belay = make.belay(sim)
    key = belay.command("keys", "create", "--alias", "kept").stdout.strip()
    file = tmp_path / "all.tar"
    with Load(belay) as load:
        until(lambda: len(load.answered) >= 50, "traffic")
        before = set(load.answered)
        belay.command("backup", file)
        until(lambda: len(load.answered) >= len(before) + 20, "traffic goes on")
    assert file.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir() if ".part" in p.name] == []
    later = belay.command("keys", "create", "--alias", "later").stdout.strip()
    everything = ids(belay)
    belay.stop()

    told = belay.command("restore", file).stdout
    kept = ids(belay)
    assert len(kept) == len(set(kept)) and before <= set(kept) <= set(everything)
    belay.start()
    assert belay.chat(MINI, key=key).status == 200
    assert belay.chat(MINI, key=later).status == 401, "made after the backup"
    # Nothing of what was replaced is lost.
    (aside,) = asides(data(belay))
    assert str(aside) in told
    old = {**belay.env, "BELAY_DATA_DIR": str(aside)}
    listed = harness.run_to_end(belay.home, ["keys", "list", "--json"], old)
    assert {k["key_alias"] for k in json.loads(listed.stdout)} == {"kept", "later"}


def test_what_a_killed_gateway_left_in_its_journal_is_in_the_backup(make, sim, tmp_path):
    belay = make.belay(sim)
    answered = {belay.chat(MINI).headers["x-litellm-call-id"] for _ in range(20)}
    belay.stop(signal.SIGKILL)
    belay.command("backup", tmp_path / "all.tar")
    elsewhere = {**belay.env, "BELAY_DATA_DIR": str(tmp_path / "elsewhere")}
    assert harness.run_to_end(belay.home, ["restore", tmp_path / "all.tar"], elsewhere).returncode == 0
    out = harness.run_to_end(belay.home, ["export", "--format", "jsonl"], elsewhere).stdout
    assert {json.loads(line)["request_id"] for line in out.splitlines()} == answered


def test_a_running_gateway_is_not_restored_over(make, sim, tmp_path):
    belay = make.belay(sim)
    belay.command("backup", tmp_path / "all.tar")
    refused = belay.command("restore", tmp_path / "all.tar", check=False)
    assert refused.returncode == 1 and f"process {belay.program.popen.pid}" in refused.stderr
    assert asides(data(belay)) == [] and belay.chat(MINI).status == 200
    assert "whole" in belay.command("restore", "--dry-run", tmp_path / "all.tar").stdout


def test_the_sign_in_goes_along_only_when_asked_for(make, sim, tmp_path):
    belay = make.belay(sim)
    said = belay.command("backup", tmp_path / "without.tar").stdout
    assert "not in it" in said and GITHUB_TOKEN.encode() not in (tmp_path / "without.tar").read_bytes()
    belay.command("backup", "--with-sign-in", tmp_path / "with.tar")
    with tarfile.open(tmp_path / "with.tar") as tar:
        assert tar.extractfile("sign-in/access-token").read().decode() == GITHUB_TOKEN
    belay.stop()
    (belay.tokens / "access-token").write_text("gho_another")
    belay.command("restore", tmp_path / "with.tar")
    assert (belay.tokens / "access-token").read_text() == "gho_another", "not asked for"
    belay.command("restore", "--with-sign-in", tmp_path / "with.tar")
    assert (belay.tokens / "access-token").read_text() == GITHUB_TOKEN
    assert (belay.tokens / "access-token").stat().st_mode & 0o777 == 0o600
    (aside,) = asides(belay.tokens)
    assert (aside / "access-token").read_text() == "gho_another"


def test_a_backup_replaces_no_file_and_needs_something_to_back_up(make, sim, tmp_path):
    belay = make.belay(sim)
    belay.command("backup", tmp_path / "all.tar")
    size = (tmp_path / "all.tar").stat().st_size
    again = belay.command("backup", tmp_path / "all.tar", check=False)
    assert again.returncode == 1 and "there already" in again.stderr
    assert (tmp_path / "all.tar").stat().st_size == size
    empty = harness.run_to_end(make.home, ["backup", tmp_path / "no.tar"], {"BELAY_DATA_DIR": str(tmp_path / "none")})
    assert empty.returncode == 1 and "nothing to back up" in empty.stderr and not (tmp_path / "no.tar").exists()


def rewritten(file, change):
    """The archive with its members changed by `change(name, bytes)`; None leaves one out."""
    out = io.BytesIO()
    with tarfile.open(file) as old, tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as new:
        for member in old.getmembers():
            content = change(member.name, old.extractfile(member).read())
            if content is not None:
                member.size = len(content)
                new.addfile(member, io.BytesIO(content))
    return out.getvalue()


@pytest.mark.parametrize("what, change", [
    ("a byte is another", lambda n, b: b[:5000] + bytes([b[5000] ^ 1]) + b[5001:] if n == "ledger.db" else b),
    ("a file is missing", lambda n, b: None if n == "belay.db" else b),
    ("a name leads elsewhere", lambda n, b: b.replace(b'"belay.db"', b'"../belay.db"') if n == "manifest.json" else b),
    ("it is of a newer Belay", lambda n, b: b.replace(b'"version": 1', b'"version": 2') if n == "manifest.json" else b),
    ("it is something else", lambda n, b: None if n == "manifest.json" else b),
])
def test_a_damaged_backup_changes_nothing(make, sim, tmp_path, what, change):
    belay = make.belay(sim)
    key = belay.command("keys", "create", "--alias", "here").stdout.strip()
    until(lambda: belay.chat(MINI, key=key).status == 200, "a record")
    belay.stop()
    belay.command("backup", tmp_path / "good.tar")
    (tmp_path / "bad.tar").write_bytes(rewritten(tmp_path / "good.tar", change))
    for flags in ([], ["--dry-run"]):
        refused = belay.command("restore", *flags, tmp_path / "bad.tar", check=False)
        assert refused.returncode == 1, what
        assert "damaged" in refused.stderr or "newer Belay" in refused.stderr or "no backup" in refused.stderr
    assert asides(data(belay)) == [] and not list(data(belay).glob("restore-*"))
    assert len(ids(belay)) == 1
    cut = tmp_path / "cut.tar"
    cut.write_bytes((tmp_path / "good.tar").read_bytes()[:-5000])
    assert belay.command("restore", cut, check=False).returncode == 1


def test_any_tar_can_read_it(make, sim, tmp_path):
    belay = make.belay(sim)
    belay.chat(MINI)
    belay.command("backup", tmp_path / "all.tar")
    with tarfile.open(tmp_path / "all.tar") as tar:
        assert tar.getnames() == ["manifest.json", "belay.db", "ledger.db"]
        manifest = json.load(tar.extractfile("manifest.json"))
    assert manifest["format"] == "belay backup" and manifest["version"] == 1
    assert KEY.encode() not in (tmp_path / "all.tar").read_bytes()

"""A PostgreSQL server of the tests' own, from the system's package: in a temporary folder, on a socket in it."""
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
import urllib.parse

import harness


def programs() -> pathlib.Path:
    """The newest version that is installed."""
    found = [p.parent for p in pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    assert found, "PostgreSQL's server is missing; `tools/setup test`"
    return max(found, key=lambda folder: int(folder.parent.name))


class Postgres:
    def __init__(self):
        # A socket's path has room for a hundred characters: not below pytest's folder.
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="belay-pg-"))
        self.user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None  # it refuses to run as root
        if self.user:
            os.chown(self.home, self.user.pw_uid, self.user.pw_gid)
        self.run("initdb", "-D", self.home / "data", "-U", "belay", "-A", "trust", "-E", "UTF8", "--no-locale",
                 "--no-sync")
        self.log = open(self.home / "log", "wb")
        self.server = subprocess.Popen(
            [programs() / "postgres", "-D", self.home / "data", "-k", self.home, "-c", "listen_addresses=", "-c",
             "fsync=off", "-c", "full_page_writes=off", "-c", "shared_buffers=16MB"], stdout=self.log,
            stderr=self.log, cwd=self.home, **self.as_user())
        harness.until(lambda: self.sql("SELECT 1", check=False).returncode == 0, "PostgreSQL answers")

    def as_user(self):
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if self.user else {}

    def run(self, program, *args, text=None, check=True):
        done = subprocess.run([programs() / program, *map(str, args)], input=text, capture_output=True, text=True,
                              cwd=self.home, timeout=120, **self.as_user())
        assert not check or done.returncode == 0, f"{program}: {done.stderr[-2000:]}"
        return done

    def sql(self, text, database="postgres", check=True):
        return self.run("psql", "-h", self.home, "-U", "belay", "-d", database, "-X", "-q", "-A", "-t", "-v",
                        "ON_ERROR_STOP=1", text=text, check=check)

    def database(self, name):
        self.sql(f'CREATE DATABASE "{name}"')
        return f"postgresql://belay@/{name}?host=" + urllib.parse.quote(str(self.home), safe="")

    def end(self):
        self.server.send_signal(signal.SIGINT)
        self.server.wait(harness.PATIENCE)
        self.log.close()
        shutil.rmtree(self.home, ignore_errors=True)

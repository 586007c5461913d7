"""A PostgreSQL server of our own from the system's package: on a socket in a folder of its own, so that nothing else is
met. It can be frozen, stopped and started again."""
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
import urllib.parse

from harness import PATIENCE, until


def program(name):
    """The newest version that is installed."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda p: int(p.parts[-3]))
    path = str(found[-1]) if found else shutil.which(name)
    assert path, "PostgreSQL's server is missing; `tools/setup test`"
    return path


class Postgres:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="belay-pg-"))
        self.user = None
        if os.geteuid() == 0:  # it refuses to run as root
            self.user = pwd.getpwnam("postgres").pw_uid
            os.chown(self.folder, self.user, -1)
            self.folder.chmod(0o755)
        self.run("initdb", "-D", self.folder / "data", "-U", "belay", "-A", "trust", "-E", "UTF8", "--no-locale",
                 "--no-sync")
        self.start()

    def run(self, name, *args):
        done = subprocess.run([program(name), *map(str, args)], cwd=self.folder, user=self.user, capture_output=True,
                              text=True, timeout=60, env={"PATH": os.environ["PATH"], "LC_ALL": "C"})
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.popen = subprocess.Popen(
                [program("postgres"), "-D", self.folder / "data", "-k", self.folder, "-c", "listen_addresses=", "-c",
                 "fsync=off", "-c", "full_page_writes=off", "-c", "shared_buffers=16MB", "-c", "max_connections=60"],
                cwd=self.folder, user=self.user, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, env={"PATH": os.environ["PATH"], "LC_ALL": "C"})
        until(lambda: (self.folder / ".s.PGSQL.5432").exists() and self.answers(), "PostgreSQL answers")

    def answers(self):
        return subprocess.run([program("pg_isready"), "-q", "-h", self.folder], timeout=PATIENCE).returncode == 0

    def stop(self, how=signal.SIGINT):
        """SIGINT: in order, cutting connections."""
        self.signal_all(signal.SIGCONT)
        self.popen.send_signal(how)
        self.popen.wait(PATIENCE)

    def freeze(self):
        """Connections stay, and nothing answers."""
        self.signal_all(signal.SIGSTOP)

    def thaw(self):
        self.signal_all(signal.SIGCONT)

    def signal_all(self, which):
        """The server and the processes it made."""
        for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rpartition(")")[2].split()
                if int(fields[1]) == self.popen.pid:
                    os.kill(int(path.parent.name), which)
            except (OSError, IndexError):
                continue
        if self.popen.poll() is None:
            self.popen.send_signal(which)

    def end(self):
        if self.popen.poll() is None:
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def url(self):
        return f"postgresql://belay@/postgres?host={urllib.parse.quote(str(self.folder), safe='')}&schema=gateways"

    def ask(self, sql):
        """Rows of texts."""
        out = self.run("psql", "-h", self.folder, "-U", "belay", "-d", "postgres", "-AtX", "-c",
                       f"SET search_path TO gateways; {sql}")
        return [line.split("|") for line in out.splitlines()[1:]]

    def number(self, sql):
        return int(self.ask(sql)[0][0] or 0)

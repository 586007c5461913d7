"""A Redis server of our own from the system's package: on a socket in a folder of its own, keeping nothing on disk."""
import pathlib
import shutil
import signal
import subprocess
import tempfile

from harness import PATIENCE, until


class Redis:
    def __init__(self):
        self.program = shutil.which("redis-server") or shutil.which("valkey-server")
        assert self.program, "Redis' server is missing; `tools/setup test`"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="belay-redis-"))
        self.url = f"unix://{self.folder}/redis.sock"
        self.start()

    def start(self):
        (self.folder / "redis.sock").unlink(missing_ok=True)
        with open(self.folder / "log", "ab") as log:
            self.popen = subprocess.Popen(
                [self.program, "--port", "0", "--unixsocket", self.folder / "redis.sock", "--save", "", "--appendonly",
                 "no", "--dir", self.folder], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        until(lambda: self.cli("PING", check=False) == "PONG", "Redis answers")

    def cli(self, *args, check=True):
        done = subprocess.run(["redis-cli", "-s", self.folder / "redis.sock", *map(str, args)], capture_output=True,
                              text=True, timeout=PATIENCE)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip()

    def kill(self):
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait(PATIENCE)

    def end(self):
        if self.popen.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

"""The README's examples are run as they stand, against `belay serve --demo`."""
import pathlib
import re
import signal
import subprocess
import sys

import pytest

from harness import ROOT, Belay

BLOCKS = re.findall(r"<!-- run: (curl|python) -->\n```\w+\n(.*?)```", (ROOT / "README.md").read_text(), re.S)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    belay = Belay(tmp_path_factory.mktemp("demo"), args=["--demo"], signed_in=False)
    yield belay
    belay.stop(signal.SIGKILL)


def test_there_are_examples():
    assert [kind for kind, _ in BLOCKS].count("curl") >= 3
    assert [kind for kind, _ in BLOCKS].count("python") >= 2


@pytest.mark.parametrize("number", range(len(BLOCKS)), ids=[f"{k}-{i}" for i, (k, _) in enumerate(BLOCKS)])
def test_example(demo, tmp_path, number):
    kind, text = BLOCKS[number]
    text = text.replace("http://localhost:4000", demo.url)
    assert demo.url in text
    argv = ["bash", "-euo", "pipefail", "-c", text.replace("curl ", "curl -sS --fail-with-body --noproxy '*' ")]
    if kind == "python":
        script = tmp_path / "example.py"
        script.write_text(text)
        argv = [sys.executable, str(script)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    expected = {"curl": r'"(hello|content|embedding|data)"|hello', "python": r"(?i)hello"}[kind]
    assert re.search(expected, done.stdout), done.stdout


def test_the_demo_says_what_to_try(demo):
    assert "sk-1234" in demo.said() or "curl" in demo.said()
    assert pathlib.Path(demo.home / ".config" / "litellm").exists() is False, "the demo touches no real sign-in"

"""The JavaScript clients: each file of js/ runs under node's own test runner, in a world of its own."""
import os
import pathlib
import subprocess

import pytest

from harness import KEY

JS = pathlib.Path(__file__).parent / "js"


@pytest.mark.parametrize("name", sorted(p.name for p in JS.glob("*.test.mjs")))
def test_node(make, name):
    sim = make.simulator({"chunk_ms": 1})
    belay = make.belay(sim)
    done = subprocess.run(["node", "--test", name], cwd=JS, capture_output=True, text=True, timeout=120,
                          env={**os.environ, "BELAY_URL": belay.url, "BELAY_KEY": KEY, "SIM_URL": sim.url})
    assert done.returncode == 0, done.stdout + done.stderr

"""One world per test: a simulator, and a Belay that is signed in there."""
import os
import signal

import pytest

import harness

# The clients must talk to nobody but the address they are given.
for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"]:
    os.environ.pop(name, None)
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ["NO_PROXY"] = "127.0.0.1,localhost"


@pytest.fixture
def make(tmp_path):
    """Factories of simulators and Belays that end with the test; their logs are shown when it fails."""
    started = []

    class Make:
        home = tmp_path

        @staticmethod
        def simulator(scenario=None):
            started.append(harness.Simulator(tmp_path, scenario))
            return started[-1]

        @staticmethod
        def belay(simulator=None, **options):
            started.append(harness.Belay(options.pop("home", tmp_path), simulator, **options))
            return started[-1]

    yield Make
    for one in reversed(started):
        one.program.end(signal.SIGKILL)
        print(f"\n--- {one.program.log_path.name}\n{one.program.said()[-6000:]}")


@pytest.fixture
def sim(make):
    return make.simulator()


@pytest.fixture
def belay(make, sim):
    return make.belay(sim)

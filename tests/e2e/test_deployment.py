"""What docker-compose.yml and the Dockerfile promise in the README."""
import re

import yaml

from harness import ROOT

SERVICE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["belay"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_ports_are_published_on_loopback_alone():
    assert SERVICE["ports"] == ["127.0.0.1:4000:4000", "127.0.0.1:4001:4001"]


def test_the_container_can_do_little():
    assert SERVICE["read_only"] is True
    assert SERVICE["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in SERVICE["security_opt"]
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.M)


def test_credentials_and_data_are_in_the_named_volume():
    assert "litellm_data:/data" in SERVICE["volumes"]
    for line in ["ENV GITHUB_COPILOT_TOKEN_DIR=/data/github_copilot", "ENV BELAY_DATA_DIR=/data/belay"]:
        assert line in DOCKERFILE


def test_the_image_is_built_by_the_scripts_that_build_here():
    assert re.findall(r"^RUN (.*)$", DOCKERFILE, re.M) == ["tools/setup build", "make build",
                                                           "tools/image-root /image"]

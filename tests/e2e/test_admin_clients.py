"""Scripts that people have for a LiteLLM proxy, unchanged but for the address: requests and httpx against the management
API, LiteLLM's own Python client and its command line."""
import datetime
import json

import click.testing
import httpx
import litellm.proxy.client
import litellm.proxy.client.users
import pytest
import requests
from litellm.proxy.client.exceptions import NotFoundError, UnauthorizedError

from harness import KEY, MINI, OPUS, until

CONFIG = f"""
model_list:
  - model_name: {MINI}
    litellm_params: {{model: {MINI}}}
  - model_name: {OPUS}
    litellm_params: {{model: {OPUS}}}
general_settings:
  master_key: {KEY}
  store_model_in_db: true
"""
HEADERS = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}


@pytest.fixture
def belay(make, sim):
    return make.belay(sim, config=CONFIG)


@pytest.fixture
def client(belay):
    return litellm.proxy.client.Client(base_url=belay.url, api_key=KEY)


# ---- scripts ------------------------------------------------------------------------------------

def test_a_script_that_gives_a_team_its_keys_and_reads_what_they_spent(belay):
    url = belay.url
    budget = requests.post(f"{url}/budget/new", headers=HEADERS, json={
        "budget_id": "free-tier", "max_budget": 5, "budget_duration": "30d", "rpm_limit": 100}).json()
    assert budget["budget_id"] == "free-tier" and budget["max_budget"] == 5
    team = requests.post(f"{url}/team/new", headers=HEADERS, json={
        "team_alias": "research", "max_budget": 100, "models": [MINI], "metadata": {"owner": "lab"}}).json()
    assert team["team_alias"] == "research"
    user = requests.post(f"{url}/user/new", headers=HEADERS, json={
        "user_email": "ann@example.com", "user_role": "internal_user", "max_budget": 10,
        "budget_duration": "1d"}).json()
    assert user["key"].startswith("sk-") and user["user_id"] and user["budget_duration"] == "1d"
    member = requests.post(f"{url}/team/member_add", headers=HEADERS, json={
        "team_id": team["team_id"], "member": {"role": "user", "user_id": user["user_id"]},
        "max_budget_in_team": 2}).json()
    assert member["team_id"] == team["team_id"]
    assert user["user_id"] in [m["user_id"] for m in member["members_with_roles"]]
    key = requests.post(f"{url}/key/generate", headers=HEADERS, json={
        "team_id": team["team_id"], "user_id": user["user_id"], "key_alias": "notebook", "duration": "30d",
        "metadata": {"purpose": "notebooks"}, "budget_id": "free-tier", "tags": ["lab"]}).json()
    assert key["expires"] and key["team_id"] == team["team_id"] and key["key_name"].startswith("sk-...")

    for text in ("one", "two"):
        reply = requests.post(f"{url}/chat/completions", headers={"Authorization": f"Bearer {key['key']}"}, json={
            "model": MINI, "messages": [{"role": "user", "content": text}], "user": "customer-1"})
        assert reply.status_code == 200 and float(reply.headers["x-litellm-response-cost"]) > 0

    def info():
        return requests.get(f"{url}/key/info", headers=HEADERS, params={"key": key["key"]}).json()["info"]
    spent = until(lambda: info()["spend"], "the key's spend")
    assert info()["litellm_budget_table"]["max_budget"] == 5
    logs = until(lambda: [row for row in requests.get(
        f"{url}/spend/logs", headers=HEADERS, params={"api_key": key["key"]}).json()] or None, "the spend log")
    assert {row["api_key"] for row in logs} == {key["token"]} and {row["model"] for row in logs} == {"gpt-5-mini"}
    assert sum(row["spend"] for row in logs) == pytest.approx(spent)
    assert {row["end_user"] for row in logs} == {"customer-1"} and logs[0]["metadata"]
    one = requests.get(f"{url}/spend/logs", headers=HEADERS, params={"request_id": logs[0]["request_id"]}).json()
    assert [row["request_id"] for row in one] == [logs[0]["request_id"]]

    today = datetime.datetime.now(datetime.timezone.utc).date()
    days = {"start_date": str(today - datetime.timedelta(days=1)), "end_date": str(today + datetime.timedelta(days=1))}
    report = requests.get(f"{url}/global/spend/report", headers=HEADERS, params={**days, "group_by": "team"})
    assert report.status_code == 200
    (day,) = report.json()
    assert day["group_by_day"][:10] == str(today) and day["teams"][0]["team_name"] == "research"
    assert day["teams"][0]["total_spend"] == pytest.approx(spent)
    activity = requests.get(f"{url}/team/daily/activity", headers=HEADERS, params={
        **days, "team_ids": team["team_id"]}).json()
    assert activity["metadata"]["total_api_requests"] == 2
    info_of_team = requests.get(f"{url}/team/info", headers=HEADERS, params={"team_id": team["team_id"]}).json()
    assert info_of_team["team_info"]["spend"] == pytest.approx(spent)
    assert [k["key_alias"] for k in info_of_team["keys"]] == ["notebook"]
    customer = requests.get(f"{url}/customer/info", headers=HEADERS, params={"end_user_id": "customer-1"}).json()
    assert customer["user_id"] == "customer-1" and customer["spend"] == pytest.approx(spent)

    assert requests.post(f"{url}/key/block", headers=HEADERS, json={"key": key["key"]}).json()["blocked"] is True
    assert requests.post(f"{url}/key/unblock", headers=HEADERS, json={"key": key["key"]}).json()["blocked"] is False
    rotated = requests.post(f"{url}/key/{key['key']}/regenerate", headers=HEADERS, json={"duration": "60d"}).json()
    assert rotated["key"] != key["key"]
    gone = requests.post(f"{url}/key/delete", headers=HEADERS, json={"keys": [rotated["key"]]}).json()
    assert gone["deleted_keys"] == [rotated["key"]]
    assert requests.post(f"{url}/team/delete", headers=HEADERS, json={"team_ids": [team["team_id"]]}).status_code == 200
    assert requests.post(f"{url}/user/delete", headers=HEADERS, json={"user_ids": [user["user_id"]]}).status_code == 200
    assert requests.post(f"{url}/budget/delete", headers=HEADERS, json={"id": "free-tier"}).status_code == 200


def test_a_script_that_budgets_customers(belay):
    with httpx.Client(base_url=belay.url, headers=HEADERS) as http:
        assert http.post("/customer/new", json={"user_id": "acme", "max_budget": 0.0}).status_code == 200
        assert http.post("/budget/new", json={"budget_id": "trial", "max_budget": 3}).status_code == 200
        assert http.post("/end_user/new", json={"user_id": "umbrella", "budget_id": "trial"}).status_code == 200

        key = http.post("/key/generate", json={"key_alias": "shop"}).json()["key"]

        def chat(user):
            return http.post("/v1/chat/completions", headers={"Authorization": f"Bearer {key}"}, json={
                "model": MINI, "user": user, "messages": [{"role": "user", "content": "hi"}]})
        refused = until(lambda: next((r for r in [chat("acme")] if r.status_code != 200), None), "the budget is spent")
        assert refused.status_code in (400, 422, 429) and "acme" in refused.text and "budget" in refused.text.lower()
        assert chat("umbrella").status_code == 200
        info = http.get("/customer/info", params={"end_user_id": "umbrella"}).json()
        assert info["user_id"] == "umbrella" and info["litellm_budget_table"]["max_budget"] == 3
        assert http.post("/customer/update", json={"user_id": "acme", "max_budget": 5}).status_code == 200
        assert chat("acme").status_code == 200
        assert {c["user_id"] for c in http.get("/customer/list").json()} == {"acme", "umbrella"}
        assert http.post("/customer/block", json={"user_ids": ["acme"]}).status_code == 200
        assert chat("acme").status_code in (400, 403)
        assert http.post("/customer/delete", json={"user_ids": ["acme", "umbrella"]}).status_code == 200


def test_a_script_of_somebody_who_is_no_administrator(belay):
    ann = requests.post(f"{belay.url}/user/new", headers=HEADERS, json={"user_id": "ann"}).json()["key"]
    own = {"Authorization": f"Bearer {ann}"}
    mine = requests.post(f"{belay.url}/key/generate", headers=own, json={"key_alias": "mine"}).json()
    assert mine["user_id"] == "ann"
    listed = requests.get(f"{belay.url}/key/list", headers=own, params={"return_full_object": "true"}).json()
    assert {k["user_id"] for k in listed["keys"]} == {"ann"}
    assert requests.get(f"{belay.url}/user/info", headers=own).json()["user_info"]["user_id"] == "ann"
    for path, body in (("/team/new", {}), ("/user/new", {}), ("/budget/new", {"max_budget": 1})):
        assert requests.post(belay.url + path, headers=own, json=body).status_code in (401, 403), path


# ---- LiteLLM's Python client --------------------------------------------------------------------

def test_the_python_client_s_keys(belay, client):
    made = client.keys.generate(models=[MINI], key_alias="client", duration="24h", aliases={"quick": MINI})
    key = made["key"]
    assert client.keys.info(key=key)["info"]["key_alias"] == "client"
    listed = client.keys.list(return_full_object=True, size=50, page=1, key_alias="client")
    assert listed["total_count"] == 1 and listed["keys"][0]["token"] == made["token"]
    assert client.keys.update(key=key, models=[MINI, OPUS], spend=0.5)["models"] == [MINI, OPUS]
    assert client.keys.info(key=key)["info"]["spend"] == 0.5
    with pytest.raises(UnauthorizedError):
        litellm.proxy.client.Client(base_url=belay.url, api_key="sk-nobody-0123456789").keys.list()
    assert client.keys.delete(keys=[key]) == {"deleted_keys": [key]}
    client.keys.generate(key_alias="by name")
    assert client.keys.delete(key_aliases=["by name"])["deleted_keys"]
    assert client.keys.list()["total_count"] == 0


def test_the_python_client_s_models_and_groups(belay, client):
    before = {m["id"] for m in client.models.list()}
    assert before == {MINI, OPUS}
    made = client.models.new("quick", {"model": MINI, "rpm": 10}, {"id": "quick-1"})
    assert made["model_name"] == "quick" and client.models.get(model_id="quick-1")["model_name"] == "quick"
    assert client.models.get(model_name="quick")["model_info"]["id"] == "quick-1"
    assert "quick" in {g["model_group"] for g in client.model_groups.info()}
    client.models.update("quick-1", {"model": OPUS}, {"id": "quick-1"})
    assert client.models.get(model_id="quick-1")["litellm_params"]["model"] == OPUS
    client.models.delete("quick-1")
    with pytest.raises(NotFoundError):
        client.models.get(model_id="quick-1")


def test_the_python_client_s_chat_users_teams_credentials_and_http(belay, client):
    said = client.chat.completions(model=MINI, messages=[{"role": "user", "content": "Say hello"}], max_tokens=50)
    assert said["choices"][0]["message"]["content"]
    chunks = list(client.chat.completions_stream(model=MINI, messages=[{"role": "user", "content": "Say hello"}]))
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])
    users = litellm.proxy.client.users.UsersManagementClient(base_url=belay.url, api_key=KEY)
    ann = users.create_user({"user_email": "ann@example.com", "user_role": "internal_user"})
    assert ann["user_id"] in [u["user_id"] for u in users.list_users()]
    assert users.get_user(ann["user_id"])["user_info"]["user_email"] == "ann@example.com"
    assert users.get_user_v2(ann["user_id"])["user_id"] == ann["user_id"]
    team = client.http.request("POST", "/team/new", json={"team_alias": "core"})
    assert [t["team_alias"] for t in client.teams.list()] == ["core"]
    assert client.teams.list_v2(page=1, page_size=10)["teams"][0]["team_id"] == team["team_id"]
    assert client.teams.get_available() == []
    users.delete_user([ann["user_id"]])
    client.credentials.create("openai", {"custom_llm_provider": "openai"}, {"api_key": "sk-upstream-0123456789"})
    assert "sk-upstream-0123456789" not in json.dumps(client.credentials.list())
    assert client.credentials.get("openai")["credential_name"] == "openai"
    client.credentials.delete("openai")
    assert client.http.request("GET", "/health/readiness")["status"] == "healthy"


# ---- its command line ---------------------------------------------------------------------------

def proxy(belay, *args):
    """`litellm-proxy ...`."""
    from litellm.proxy.client.cli import cli
    done = click.testing.CliRunner().invoke(cli, ["--base-url", belay.url, "--api-key", KEY, *args],
                                            env={"HOME": str(belay.home), "COLUMNS": "200"})
    assert done.exit_code == 0, f"{args}: {done.output}"
    return done.output


def test_the_proxy_s_command_line(belay):
    made = proxy(belay, "keys", "generate", "--models", MINI, "--key-alias", "shell", "--duration", "24h")
    assert "sk-" in made
    assert "shell" in proxy(belay, "keys", "list", "--return-full-object", "--format", "json")
    assert MINI in proxy(belay, "models", "list", "--format", "json")
    assert MINI in proxy(belay, "models", "info")
    assert MINI in proxy(belay, "model-groups", "list")
    proxy(belay, "users", "create", "--email", "bob@example.com")
    assert "bob@example.com" in proxy(belay, "users", "list")
    assert "healthy" in proxy(belay, "http", "request", "GET", "/health/readiness")
    assert "teams" in proxy(belay, "http", "request", "POST", "/user/new", "-j", '{"user_id": "carl"}')
    proxy(belay, "keys", "delete", "--key-aliases", "shell")
    assert "shell" not in proxy(belay, "keys", "list", "--return-full-object", "--format", "json")

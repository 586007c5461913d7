"""The life cycles of the Terraform provider ncecere/litellm (its public source, v2.0.1) as the HTTP calls that it makes: the
bodies with what it leaves out, the replies as it reads them. After each apply a plan must be empty: what is read back is
what was written."""
import hashlib
import urllib.parse
import uuid

import pytest

from harness import KEY, MINI, OPUS, fetch, until

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


class Failed(Exception):
    """A status other than 2xx. The provider tells "gone" by words in this text."""

    @property
    def not_found(self):
        return any(word in str(self) for word in ("not found", "404", "does not exist"))

    @property
    def already_in_team(self):
        return "status 400" in str(self) and "team_member_already_in_team" in str(self)


class Client:
    def __init__(self, belay):
        self.url = belay.url

    def call(self, method, path, body=None):
        reply = fetch(self.url + path, body, method, {
            "Content-Type": "application/json", "Accept": "application/json", "x-api-key": KEY,
            "Authorization": f"Bearer {KEY}", "litellm-changed-by": "terraform"})
        if not 200 <= reply.status < 300:
            raise Failed(f"API request failed with status {reply.status}: {reply.body.decode()}")
        return reply.json if reply.body else None


def said(**fields):
    """A request's members: those that are configured; the provider omits nulls and empty lists and maps."""
    return {name: value for name, value in fields.items() if value is not None and value not in ("", [], {})}


# What a resource reads of a reply: null, or the value in the type that the provider expects.
def number(row, name):
    return row[name] if isinstance(row.get(name), (int, float)) and not isinstance(row.get(name), bool) else None


def text(row, name):
    return row[name] if isinstance(row.get(name), str) and row[name] else None


def listed(row, name):
    return row[name] if isinstance(row.get(name), list) and row[name] else None


def mapped(row, name, kind):
    found = row.get(name)
    return {k: v for k, v in found.items() if isinstance(v, kind)} if isinstance(found, dict) and found else None


class KeyResource:
    def __init__(self, client):
        self.client = client

    def body(self, plan):
        body = said(**{k: v for k, v in plan.items() if k not in ("service_account_id",)})
        if "team_id" in body and "models" not in body:
            body["models"] = ["all-team-models"]
        if plan.get("service_account_id"):
            body.setdefault("metadata", {})["service_account_id"] = plan["service_account_id"]
            body.setdefault("key_alias", plan["service_account_id"])
        return body

    def create(self, plan):
        path = "/key/service-account/generate" if plan.get("service_account_id") else "/key/generate"
        made = self.client.call("POST", path, self.body(plan))
        assert isinstance(made["key"], str)
        return self.read(made["key"], plan)

    def read(self, key, plan=None):
        reply = self.client.call("GET", "/key/info?key=" + urllib.parse.quote_plus(key))
        info = reply["info"] if isinstance(reply.get("info"), dict) else reply
        state = {"key": key, "id": hashlib.sha256(key.encode()).hexdigest()}
        for name in ("max_budget", "tpm_limit", "rpm_limit", "max_parallel_requests", "soft_budget"):
            state[name] = number(info, name)
        for name in ("organization_id", "key_alias", "team_id", "budget_duration", "tpm_limit_type", "rpm_limit_type"):
            state[name] = text(info, name)
        owner = text(info, "user_id")
        state["user_id"] = owner if owner != "default_user_id" else (plan or {}).get("user_id")
        state["blocked"] = info["blocked"] if isinstance(info.get("blocked"), bool) else None
        for name in ("models", "allowed_routes", "guardrails", "enforced_params"):
            state[name] = listed(info, name)
        state["tags"] = listed(info, "tags") or listed(info.get("metadata") or {}, "tags")
        configured = (plan or {}).get("metadata") or {}
        state["metadata"] = {k: v for k, v in (info.get("metadata") or {}).items() if k in configured} or None
        for name, kind in (("aliases", str), ("model_max_budget", (int, float)), ("model_rpm_limit", (int, float)),
                           ("model_tpm_limit", (int, float))):
            state[name] = mapped(info, name, kind)
        return state

    def update(self, state, plan):
        self.client.call("POST", "/key/update", {**self.body(plan), "key": state["key"]})
        return self.read(state["key"], plan)

    def delete(self, state):
        self.client.call("POST", "/key/delete", {"keys": [state["key"]]})


class TeamResource:
    nullable = ("max_budget", "budget_duration", "tpm_limit", "rpm_limit", "team_member_budget",
                "team_member_rpm_limit", "team_member_tpm_limit")

    def __init__(self, client):
        self.client = client

    def body(self, plan, team):
        routes = plan.get("router_settings")
        return {"team_id": team, "team_alias": plan["team_alias"],
                **said(**{k: v for k, v in plan.items() if k not in ("team_alias", "router_settings")}),
                "router_settings": {name: [{e["model"]: e["fallback_models"]} for e in entries]
                                    for name, entries in (routes or {}).items()}}

    def create(self, plan):
        team = str(uuid.uuid4())
        self.client.call("POST", "/team/new", self.body(plan, team))
        return self.read(team, plan)

    def read(self, team, plan=None):
        reply = self.client.call("GET", f"/team/info?team_id={team}")
        info = reply["team_info"] if isinstance(reply.get("team_info"), dict) else reply
        state = {"id": team, "team_alias": text(info, "team_alias"), "organization_id": text(info, "organization_id")}
        for name in self.nullable:
            if name in info:  # an explicit null clears, an absent member keeps what was planned
                state[name] = info[name]
            else:
                state[name] = (plan or {}).get(name)
        state["blocked"] = info["blocked"] if isinstance(info.get("blocked"), bool) else None
        for name in ("models", "tags", "guardrails"):
            state[name] = listed(info, name)
        configured = (plan or {}).get("metadata") or {}
        state["metadata"] = {k: v for k, v in (info.get("metadata") or {}).items() if k in configured} or None
        state["model_aliases"] = mapped(info, "model_aliases", str) or (plan or {}).get("model_aliases")
        routes = info.get("router_settings")
        state["router_settings"] = {
            name: [{"model": m, "fallback_models": f} for entry in entries for m, f in entry.items()]
            for name, entries in routes.items()} if isinstance(routes, dict) and routes else None
        permissions = self.client.call("GET", f"/team/permissions_list?team_id={team}")
        state["team_member_permissions"] = listed(permissions, "team_member_permissions")
        return state

    def update(self, state, plan):
        body = self.body(plan, state["id"])
        body.update({n: None for n in self.nullable if state.get(n) is not None and plan.get(n) is None})
        self.client.call("POST", "/team/update", body)
        if plan.get("team_member_permissions") and \
                plan["team_member_permissions"] != state["team_member_permissions"]:
            self.client.call("POST", "/team/permissions_update",
                             {"team_id": state["id"], "team_member_permissions": plan["team_member_permissions"]})
        return self.read(state["id"], plan)

    def delete(self, state):
        self.client.call("POST", "/team/delete", {"team_ids": [state["id"]]})


class UserResource:
    def __init__(self, client):
        self.client = client

    def create(self, plan):
        made = self.client.call("POST", "/user/new", said(**plan))
        return {**self.read(made["user_id"]), "key": made["key"]}

    def read(self, user):
        reply = self.client.call("GET", f"/user/info?user_id={user}")
        info = reply["user_info"] if isinstance(reply.get("user_info"), dict) else reply
        return {"id": info["user_id"], "user_id": info["user_id"],
                **{n: info[n] if isinstance(info.get(n), str) else None
                   for n in ("user_alias", "user_email", "user_role", "budget_duration")},
                **{n: number(info, n) for n in ("max_budget", "tpm_limit", "rpm_limit")},
                "teams": listed(info, "teams"), "models": listed(info, "models"),
                "metadata": mapped(info, "metadata", str)}

    def update(self, state, plan):
        self.client.call("POST", "/user/update", {**said(**plan), "user_id": state["user_id"]})
        return self.read(state["user_id"])

    def delete(self, state):
        self.client.call("POST", "/user/delete", {"user_ids": [state["user_id"]]})


class MemberResource:
    """An absent address is an empty text in every call, as the provider sends it."""

    def __init__(self, client):
        self.client = client

    def create(self, plan):
        body = {"member": [{"role": plan["role"], "user_id": plan["user_id"],
                            "user_email": plan.get("user_email", "")}], "team_id": plan["team_id"],
                **said(max_budget_in_team=plan.get("max_budget_in_team"))}
        try:
            self.client.call("POST", "/team/member_add", body)
        except Failed as failed:
            if not failed.already_in_team:
                raise
        return {**plan, "id": f"{plan['team_id']}:{plan['user_id']}"}

    def update(self, state, plan):
        body = {"user_id": plan["user_id"], "user_email": plan.get("user_email", ""), "team_id": plan["team_id"],
                **said(max_budget_in_team=plan.get("max_budget_in_team"))}
        if state.get("max_budget_in_team") is not None and plan.get("max_budget_in_team") is None:
            body["max_budget_in_team"] = None
        self.client.call("POST", "/team/member_update", body)
        return {**plan, "id": state["id"]}

    def delete(self, state):
        self.client.call("POST", "/team/member_delete", {
            "user_id": state["user_id"], "user_email": state.get("user_email", ""), "team_id": state["team_id"]})


class ModelResource:
    def __init__(self, client):
        self.client = client

    def parts(self, plan):
        params = {"custom_llm_provider": plan["custom_llm_provider"],
                  "model": f"{plan['custom_llm_provider']}/{plan['base_model']}"}
        for name, member in (("input_cost_per_million_tokens", "input_cost_per_token"),
                             ("output_cost_per_million_tokens", "output_cost_per_token")):
            if plan.get(name) is not None:
                params[member] = plan[name] / 1000000.0
        params.update(said(**{m: plan.get(n) for n, m in (
            ("tpm", "tpm"), ("rpm", "rpm"), ("model_api_key", "api_key"), ("model_api_base", "api_base"),
            ("litellm_credential_name", "litellm_credential_name"), ("reasoning_effort", "reasoning_effort"))}))
        params.update(plan.get("additional_litellm_params") or {})
        info = {"base_model": plan["base_model"], **said(tier=plan.get("tier"), mode=plan.get("mode"),
                                                         access_groups=plan.get("access_groups"))}
        return params, info

    def create(self, plan):
        model = str(uuid.uuid4())
        params, info = self.parts(plan)
        self.client.call("POST", "/model/new", {"model_name": plan["model_name"], "litellm_params": params,
                                                "model_info": {"id": model, "db_model": True, **info}})
        return self.read(model, plan)

    def read(self, model, plan=None):
        reply = self.client.call("GET", f"/model/info?litellm_model_id={model}")
        row = reply["data"][0] if isinstance(reply.get("data"), list) and reply["data"] else reply
        params, info = row["litellm_params"], row["model_info"]
        asked = set(((plan or {}).get("additional_litellm_params") or {}))
        return {"id": model, "model_name": text(row, "model_name"),
                "custom_llm_provider": text(params, "custom_llm_provider"), "base_model": text(info, "base_model"),
                "tpm": number(params, "tpm"), "rpm": number(params, "rpm"), "tier": text(info, "tier"),
                "model_api_base": text(params, "api_base"), "mode": text(info, "mode"),
                "litellm_credential_name": text(params, "litellm_credential_name"),
                "access_groups": listed(info, "access_groups"),
                "additional_litellm_params": {k: v for k, v in params.items() if k in asked} or None}

    def update(self, state, plan):
        params, info = self.parts(plan)
        self.client.call("PATCH", f"/model/{state['id']}/update", {
            "model_name": plan["model_name"], "litellm_params": params, "model_info": info})
        return self.read(state["id"], plan)

    def delete(self, state):
        self.client.call("POST", "/model/delete", {"id": state["id"]})


def differences(plan, state, but=()):
    """What the next plan would show."""
    return {name: (value, state.get(name)) for name, value in plan.items()
            if name not in but and name in state and value is not None and state[name] != value}


@pytest.fixture
def belay(make, sim):
    return make.belay(sim, config=CONFIG)


@pytest.fixture
def client(belay):
    return Client(belay)


def test_a_key(belay, client):
    keys = KeyResource(client)
    plan = {"key_alias": "terraform", "models": [MINI], "max_budget": 12.5, "budget_duration": "30d",
            "tpm_limit": 100000, "rpm_limit": 600, "max_parallel_requests": 8, "soft_budget": 10.0,
            "allowed_routes": ["llm_api_routes"], "tags": ["infra", "ci"], "metadata": {"owner": "ops", "logging": [
                {"callback_name": "x", "callback_type": "success"}]},
            "aliases": {"quick": MINI}, "model_rpm_limit": {MINI: 60}, "model_tpm_limit": {MINI: 9000},
            "model_max_budget": {MINI: 2.5}, "duration": "30d", "blocked": False}
    state = keys.create(plan)
    assert differences(plan, state) == {}
    assert belay.chat("quick", key=state["key"]).status == 200
    assert keys.read(state["key"], plan) == state, "a refresh changes nothing"

    changed = {**plan, "models": [MINI, OPUS], "max_budget": 20.0, "rpm_limit": 300, "tags": ["infra"],
               "metadata": {"owner": "research"}, "blocked": True}
    state = keys.update(state, changed)
    assert differences(changed, state) == {}
    assert belay.chat(MINI, key=state["key"]).status == 401, "blocked"
    client.call("POST", "/key/update", {"key": state["key"], "max_budget": 1.0, "blocked": False})
    drifted = keys.read(state["key"], changed)
    assert differences(changed, drifted) == {"max_budget": (20.0, 1.0), "blocked": (True, False)}
    assert differences(changed, keys.update(drifted, changed)) == {}, "an apply mends it"
    imported = keys.read(state["key"])
    assert imported["id"] == hashlib.sha256(state["key"].encode()).hexdigest() and imported["key_alias"] == "terraform"
    keys.delete(state)
    with pytest.raises(Failed) as gone:
        keys.read(state["key"])
    assert gone.value.not_found
    with pytest.raises(Failed) as twice:
        keys.delete(state)
    assert twice.value.not_found


def test_a_key_with_a_text_of_its_own_and_one_of_a_team(belay, client):
    keys, teams = KeyResource(client), TeamResource(client)
    chosen = "sk-chosen/by+terraform=0123456789"
    state = keys.create({"key": chosen, "key_alias": "chosen"})
    assert state["key"] == chosen and state["user_id"] is None and state["models"] is None
    assert state["max_budget"] is state["tpm_limit"] is state["blocked"] is None
    assert belay.chat(MINI, key=chosen).status == 200
    keys.delete(state)
    team = teams.create({"team_alias": "service", "models": [MINI]})
    plan = {"team_id": team["id"], "service_account_id": "robot"}
    robot = keys.create(plan)
    assert robot["key_alias"] == "robot" and robot["models"] == ["all-team-models"] and robot["user_id"] is None
    assert belay.chat(MINI, key=robot["key"]).status == 200 and belay.chat(OPUS, key=robot["key"]).status == 403
    keys.delete(robot)
    teams.delete(team)


def test_a_team(belay, client):
    teams = TeamResource(client)
    plan = {"team_alias": "Core", "models": [MINI], "max_budget": 100.0, "budget_duration": "30d", "tpm_limit": 5000,
            "rpm_limit": 60, "team_member_budget": 5.0, "team_member_rpm_limit": 6, "team_member_tpm_limit": 600,
            "metadata": {"cost_centre": "42"}, "tags": ["core"], "blocked": False, "model_aliases": {"quick": MINI},
            "team_member_permissions": ["/key/generate", "/key/info"],
            "router_settings": {"fallbacks": [{"model": MINI, "fallback_models": [OPUS]}]}}
    state = teams.create(plan)
    assert differences(plan, state) == {}
    assert teams.read(state["id"], plan) == state
    changed = {**plan, "team_alias": "Kernel", "max_budget": None, "budget_duration": None, "rpm_limit": None,
               "team_member_budget": None, "team_member_permissions": ["/key/info"], "models": [MINI, OPUS]}
    state = teams.update(state, changed)
    assert differences(changed, state) == {}
    assert state["max_budget"] is state["budget_duration"] is state["rpm_limit"] is None, "nulls clear"
    assert state["team_member_budget"] is None
    state = teams.update(state, {**changed, "router_settings": None})
    assert state["router_settings"] is None, "a block that is gone is gone"
    client.call("POST", "/team/update", {"team_id": state["id"], "tpm_limit": 1})
    drifted = teams.read(state["id"], changed)
    assert differences(changed, drifted, but=["router_settings"]) == {"tpm_limit": (5000, 1)}
    assert teams.read(state["id"])["team_alias"] == "Kernel", "import"
    teams.delete(state)
    with pytest.raises(Failed) as gone:
        teams.read(state["id"])
    assert gone.value.not_found
    with pytest.raises(Failed) as twice:
        teams.delete(state)
    assert twice.value.not_found


def test_a_user(belay, client):
    users, teams = UserResource(client), TeamResource(client)
    team = teams.create({"team_alias": "Core"})
    plan = {"user_id": "ann", "user_email": "ann@example.com", "user_alias": "Ann", "user_role": "internal_user",
            "max_budget": 30.0, "budget_duration": "30d", "tpm_limit": 1000, "rpm_limit": 10, "models": [MINI],
            "teams": [team["id"]], "metadata": {"desk": "7"}, "auto_create_key": True}
    state = users.create(plan)
    assert differences(plan, state) == {} and state["key"].startswith("sk-")
    assert belay.chat(MINI, key=state["key"]).status == 200
    changed = {**plan, "user_alias": "Ann B.", "max_budget": 40.0, "models": [MINI, OPUS], "auto_create_key": False}
    state = users.update(state, changed)
    assert differences(changed, state) == {}
    client.call("POST", "/user/update", {"user_id": "ann", "rpm_limit": 1})
    assert differences(changed, users.read("ann")) == {"rpm_limit": (10, 1)}
    silent = users.create({"user_email": "bot@example.com", "auto_create_key": False})
    assert silent["key"] == "" and silent["user_id"] == silent["id"]
    users.delete(silent)
    users.delete(state)
    with pytest.raises(Failed) as gone:
        users.read("ann")
    assert gone.value.not_found
    with pytest.raises(Failed) as twice:
        users.delete(state)
    assert twice.value.not_found


def test_a_team_member(belay, client):
    users, teams, members = UserResource(client), TeamResource(client), MemberResource(client)
    ann = users.create({"user_id": "ann", "user_email": "ann@example.com", "auto_create_key": False})
    team = teams.create({"team_alias": "Core"})
    plan = {"team_id": team["id"], "user_id": ann["user_id"], "role": "user", "max_budget_in_team": 5.0}

    def budget():
        rows = client.call("GET", f"/team/info?team_id={team['id']}")["team_memberships"]
        return [(r["litellm_budget_table"] or {}).get("max_budget") for r in rows if r["user_id"] == "ann"]
    state = members.create(plan)
    assert state["id"] == f"{team['id']}:ann" and budget() == [5]
    assert members.create(plan) == state, "one that is there already is adopted"
    state = members.update(state, {**plan, "max_budget_in_team": 7.5})
    assert budget() == [7.5]
    state = members.update(state, {**plan, "max_budget_in_team": None})
    assert budget() == [None]
    members.delete(state)
    assert budget() == []
    by_mail = members.create({"team_id": team["id"], "user_id": "", "user_email": "ann@example.com", "role": "admin"})
    assert [m["role"] for m in client.call("GET", f"/team/info?team_id={team['id']}")["team_info"]
            ["members_with_roles"]] == ["admin"]
    members.delete(by_mail)
    teams.delete(team)
    users.delete(ann)


def test_a_model(belay, client):
    models = ModelResource(client)
    bare = MINI.removeprefix("github_copilot/")
    plan = {"model_name": "quick", "custom_llm_provider": "github_copilot", "base_model": bare, "tier": "paid",
            "mode": "chat", "input_cost_per_million_tokens": 0.25, "output_cost_per_million_tokens": 2.0, "tpm": 100000,
            "rpm": 1000, "access_groups": ["beta"],
            "additional_litellm_params": {"drop_params": True, "timeout": 30, "max_retries": 1}}
    state = models.create(plan)
    assert differences(plan, state) == {}
    assert belay.chat("quick").status == 200
    changed = {**plan, "model_name": "quicker", "rpm": 500, "additional_litellm_params": {
        "drop_params": True, "timeout": 60, "max_retries": 1}}
    state = models.update(state, changed)
    assert differences(changed, state) == {}
    assert belay.chat("quicker").status == 200
    client.call("PATCH", f"/model/{state['id']}/update", {"litellm_params": {"rpm": 1}})
    drifted = models.read(state["id"], changed)
    assert differences(changed, drifted) == {"rpm": (500, 1)}
    imported = models.read(state["id"])
    assert (imported["model_name"], imported["base_model"]) == ("quicker", bare)
    models.delete(state)
    with pytest.raises(Failed) as gone:
        models.read(state["id"])
    assert gone.value.not_found
    with pytest.raises(Failed) as twice:
        models.delete(state)
    assert twice.value.not_found
    until(lambda: belay.chat("quicker").status == 400, "a deleted model does not serve")


def test_a_model_s_key_never_comes_back(belay, client):
    models = ModelResource(client)
    secret = "sk-upstream-0123456789abcdef"
    state = models.create({"model_name": "far", "custom_llm_provider": "openai", "base_model": "gpt-4.1",
                           "model_api_key": secret, "model_api_base": "http://127.0.0.1:9/v1"})
    assert state["model_api_base"] == "http://127.0.0.1:9/v1"
    assert secret not in str(client.call("GET", f"/model/info?litellm_model_id={state['id']}"))
    models.delete(state)

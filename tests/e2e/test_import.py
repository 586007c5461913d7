"""`belay import litellm` against a database that LiteLLM's own migrations have made, with rows as LiteLLM writes them."""
import base64
import datetime
import hashlib
import importlib.resources
import json

import nacl.secret
import pytest

import database
import harness
from harness import KEY, MINI, OPUS, fetch, until

SALT = "sk-salt-of-the-old-installation"
DB_SECRET = "sk-upstream-of-the-old-installation"
CONFIG = f"""
model_list:
  - model_name: {MINI}
    litellm_params: {{model: {MINI}}}
  - model_name: {OPUS}
    litellm_params: {{model: {OPUS}}}
general_settings:
  master_key: {KEY}
"""
ANN, BOB = "sk-ann-key-of-the-old-installation", "sk-bob-key-of-the-old-installation"
SPENT, OLD, BLOCKED = "sk-spent-0123456789abcdef", "sk-former-0123456789abcdef", "sk-blocked-0123456789abcdef"


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


def seal(text, salt=SALT):
    """As LiteLLM's encrypt_value_helper() does."""
    box = nacl.secret.SecretBox(hashlib.sha256(salt.encode()).digest())
    return base64.urlsafe_b64encode(box.encrypt(text.encode())).decode()


def scrypt(password, salt=b"0123456789abcdef"):
    return "scrypt:" + base64.b64encode(salt + hashlib.scrypt(password.encode(), salt=salt, n=16384, r=8, p=1,
                                                              dklen=32)).decode()


def literal(value):
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, list):
        return "ARRAY[" + ",".join(literal(v) for v in value) + "]::text[]"
    if isinstance(value, dict):
        value = json.dumps(value)
    return "'" + value.replace("'", "''") + "'"


def insert(table, **row):
    columns = ",".join(f'"{name}"' for name in row)
    return f'INSERT INTO "{table}" ({columns}) VALUES ({",".join(map(literal, row.values()))});\n'


def installation():
    """What a team that used LiteLLM for a while has."""
    now = "2026-11-20T10:00:00"
    soon = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=6)).strftime("%Y-%m-%dT%H:%M:%S")
    by = {"created_by": "admin", "updated_by": "admin"}
    times = {"created_at": now, "updated_at": now}
    return "".join([
        insert("LiteLLM_BudgetTable", budget_id="b-member", max_budget=5.0, budget_duration="30d", **by, **times),
        insert("LiteLLM_BudgetTable", budget_id="b-org", max_budget=1000.0, **by, **times),
        insert("LiteLLM_BudgetTable", budget_id="b-customer", max_budget=0.5, **by, **times),
        insert("LiteLLM_OrganizationTable", organization_id="org-1", organization_alias="Lab", budget_id="b-org",
               models=[], spend=12.5, **by, **times),
        insert("LiteLLM_UserTable", user_id="ann", user_email="ann@example.com", user_role="internal_user", teams=[],
               models=[], spend=3.25, max_budget=50.0, password=scrypt("correct horse"), **times),
        insert("LiteLLM_UserTable", user_id="bob", user_email="bob@example.com", user_role="internal_user",
               teams=["core"], models=[], password=sha("bob's old password"), **times),
        insert("LiteLLM_UserTable", user_id="litellm-proxy-budget", models=[], spend=99.0, max_budget=500.0, **times),
        insert("LiteLLM_ModelTable", id=7, aliases={"fast": MINI}, **by, **times),
        insert("LiteLLM_TeamTable", team_id="core", team_alias="Core", organization_id="org-1", admins=[], members=[],
               members_with_roles='[{"role":"admin","user_id":"ann","user_email":null},'
                                  '{"role":"user","user_id":"bob","user_email":"bob@example.com"}]',
               models=[MINI], max_budget=100.0, spend=7.125, model_id=7, metadata={"cost centre": 42}, **times),
        insert("LiteLLM_TeamMembership", user_id="bob", team_id="core", spend=1.5, budget_id="b-member"),
        insert("LiteLLM_TeamMembership", user_id="bob", team_id="gone", spend=1.5),
        insert("LiteLLM_OrganizationMembership", user_id="ann", organization_id="org-1", user_role="org_admin",
               spend=0.0, **times),
        insert("LiteLLM_EndUserTable", user_id="customer-1", spend=0.25, budget_id="b-customer", blocked=False),
        insert("LiteLLM_EndUserTable", user_id="customer-2", spend=0.0, blocked=True),
        insert("LiteLLM_TagTable", tag_name="nightly", description="jobs at night", models=[], spend=0.5, **times),
        insert("LiteLLM_AccessGroupTable", access_group_id="g-1", access_group_name="beta", access_model_names=[MINI],
               **times),
        insert("LiteLLM_CredentialsTable", credential_id="c-1", credential_name="openai-main",
               credential_values={"api_key": seal(DB_SECRET), "api_base": seal("http://127.0.0.1:9/v1")},
               credential_info={"custom_llm_provider": "openai"}, **by, **times),
        insert("LiteLLM_CredentialsTable", credential_id="c-2", credential_name="lost",
               credential_values={"api_key": seal("x", "another salt")}, credential_info={}, **by, **times),
        insert("LiteLLM_ProxyModelTable", model_id="m-1", model_name="from-the-database",
               litellm_params={"model": seal(MINI), "rpm": 1000, "api_key": seal(DB_SECRET)},
               model_info={"id": "m-1", "db_model": True}, **by, **times),
        insert("LiteLLM_ProxyModelTable", model_id="m-2", model_name="elsewhere",
               litellm_params={"model": seal("some_cloud_nobody_knows/model-9"), "api_key": seal("k" * 20)},
               model_info={"id": "m-2"}, **by, **times),
        insert("LiteLLM_Config", param_name="router_settings",
               param_value={"fallbacks": [{"from-the-database": [OPUS]}], "num_retries": 0}),
        insert("LiteLLM_Config", param_name="general_settings",
               param_value={"store_model_in_db": True, "master_key": "sk-not-from-here"}),
        insert("LiteLLM_Config", param_name="environment_variables", param_value={"OPENAI_API_KEY": seal(DB_SECRET)}),
        insert("LiteLLM_VerificationToken", token=sha(ANN), key_name="sk-...tion", key_alias="ann", user_id="ann",
               models=[MINI], spend=1.0e-05, max_budget=10.0, budget_duration="30d", budget_reset_at=soon,
               metadata={"purpose": "laptop"}, rpm_limit=600, **times),
        insert("LiteLLM_VerificationToken", token=sha(BOB), key_name="sk-...tion", key_alias="bob", user_id="bob",
               team_id="core", models=[], spend=0.5, **times),
        insert("LiteLLM_VerificationToken", token=sha(SPENT), key_name="sk-...cdef", key_alias="spent",
               models=[], spend=2.0, max_budget=2.0, **times),
        insert("LiteLLM_VerificationToken", token=sha(BLOCKED), key_name="sk-...cdef", models=[], blocked=True, **times),
        insert("LiteLLM_VerificationToken", token=sha("sk-session"), key_name="sk-...sion", team_id="litellm-dashboard",
               user_id="ann", models=[], **times),
        insert("LiteLLM_DeprecatedVerificationToken", id="d-1", token=sha(OLD), active_token_id=sha(ANN),
               revoke_at=soon, created_at=now),
    ])


@pytest.fixture(scope="module")
def postgres():
    server = database.Postgres()
    yield server
    server.end()


@pytest.fixture(scope="module")
def schema(postgres):
    """A template with LiteLLM's schema: every migration that it ships, in order."""
    url = postgres.database("litellm_schema")
    folder = importlib.resources.files("litellm_proxy_extras") / "migrations"
    steps = sorted(step for step in folder.iterdir() if (step / "migration.sql").is_file())
    assert len(steps) > 50
    postgres.sql("\n".join((step / "migration.sql").read_text() for step in steps), "litellm_schema")
    return url


@pytest.fixture
def old(postgres, schema, request):
    """A database of an installation in use, and its URL."""
    name = "old_" + hashlib.sha1(request.node.name.encode()).hexdigest()[:12]
    postgres.sql(f'CREATE DATABASE "{name}" TEMPLATE litellm_schema')
    postgres.sql(installation(), name)

    class Old:
        url = schema.replace("/litellm_schema?", f"/{name}?")

        @staticmethod
        def sql(text):
            return postgres.sql(text, name)
    return Old


def bring(belay, old, *flags, check=True):
    done = belay.command("import", "litellm", "--database-url", old.url, "--salt-key", SALT, "--json", *flags,
                         check=check)
    return json.loads(done.stdout) if done.returncode == 0 else done


def get(belay, path, key=KEY):
    reply = fetch(belay.url + path, headers={"Authorization": f"Bearer {key}"})
    assert reply.status == 200, f"{path}: {reply.status} {reply.body!r}"
    return reply.json


@pytest.fixture
def belay(make, sim):
    return make.belay(sim, config=CONFIG, env={"LITELLM_SALT_KEY": "sk-salt-of-this-gateway-0123456789"})


def test_keys_keep_working_with_the_same_text_beside_a_running_gateway(belay, old):
    assert belay.chat(MINI, key=ANN).status == 401
    told = bring(belay, old)
    assert told["tables"]["keys"] == {"found": 5, "new": 4, "changed": 0, "same": 0, "kept": 0, "left_out": 1}
    until(lambda: belay.chat(MINI, key=ANN).status == 200, "the gateway knows the imported key")
    assert belay.chat(OPUS, key=ANN).status == 403, "its models"
    assert belay.chat("fast", key=BOB).status == 200, "its team's aliases"
    assert belay.chat(OPUS, key=BOB).status == 403, "its team's models"
    assert belay.chat(MINI, key=BLOCKED).status == 401
    assert belay.chat(MINI, key=OLD).status == 200, "a former secret within its grace period"
    assert belay.chat(MINI, key=SPENT).status == 422, "what was spent there counts here"
    info = get(belay, f"/key/info?key={sha(ANN)}")["info"]
    assert info["metadata"] == {"purpose": "laptop"} and info["rpm_limit"] == 600
    assert info["created_at"].startswith("2026-11-20T10:00:00")
    assert "import_digest" not in json.dumps(info)


def test_people_and_what_limits_them_come_whole(belay, old):
    bring(belay, old)
    until(lambda: belay.chat(MINI, key=ANN).status == 200, "known")
    team = get(belay, "/team/info?team_id=core")
    assert team["team_info"]["organization_id"] == "org-1" and team["team_info"]["spend"] >= 7.125
    assert {(m["user_id"], m["role"]) for m in team["team_info"]["members_with_roles"]} == \
        {("ann", "admin"), ("bob", "user")}
    member = {m["user_id"]: m for m in team["team_memberships"]}
    assert member["bob"]["litellm_budget_table"]["max_budget"] == 5 and member["bob"]["spend"] == 1.5
    ann = get(belay, "/user/info?user_id=ann")["user_info"]
    assert ann["teams"] == ["core"] and ann["spend"] >= 3.25 and ann["max_budget"] == 50
    assert get(belay, "/customer/info?end_user_id=customer-1")["litellm_budget_table"]["max_budget"] == 0.5
    assert get(belay, "/customer/info?end_user_id=customer-2")["blocked"] is True
    organization = get(belay, "/organization/info?organization_id=org-1")
    assert organization["litellm_budget_table"]["max_budget"] == 1000
    assert [m["user_role"] for m in organization["members"]] == ["org_admin"]
    login = fetch(belay.url + "/v2/login", {"username": "ann@example.com", "password": "correct horse"})
    assert login.status == 200, "a password of LiteLLM's scrypt goes on"


def test_models_come_with_their_secrets_sealed_anew(belay, old, sim):
    told = bring(belay, old)
    assert told["tables"]["models"]["new"] == 2
    until(lambda: belay.chat("from-the-database").status == 200, "the imported model serves")
    sim.no_quota(MINI)
    assert belay.chat("from-the-database").headers["x-litellm-model-group"] == OPUS, "the imported fallback"
    assert get(belay, "/credentials/by_name/openai-main")["credential_info"]["custom_llm_provider"] == "openai"
    assert any("elsewhere" in note and "not served" in note for note in told["notes"])
    why = {left["name"]: left["why"] for left in told["left_out"]}
    assert "LITELLM_SALT_KEY" in why["lost"] and "OPENAI_API_KEY" in why["environment_variables"]
    assert "general_settings.master_key" in why
    belay.stop()
    kept = b"".join(p.read_bytes() for p in (belay.home / ".local/share/belay").iterdir() if p.is_file())
    assert b"from-the-database" in kept and DB_SECRET.encode() not in kept
    said = belay.said() + json.dumps(told)
    assert DB_SECRET not in said and SALT not in said


def test_twice_is_as_good_as_once(belay, old):
    first = bring(belay, old)
    again = bring(belay, old)
    for table, counts in again["tables"].items():
        assert counts["new"] == counts["changed"] == counts["kept"] == 0, table
        assert counts["same"] == first["tables"][table]["new"], table


def test_a_dry_run_says_the_same_and_writes_nothing(belay, old):
    would = bring(belay, old, "--dry-run")
    assert would["dry_run"] and get(belay, "/key/list")["total_count"] == 0
    did = bring(belay, old)
    assert would["tables"] == did["tables"] and would["left_out"] == did["left_out"]


def test_again_brings_what_has_changed_there_and_keeps_what_has_changed_here(belay, old):
    bring(belay, old)
    until(lambda: get(belay, "/key/list")["total_count"] >= 4, "known")
    changed = fetch(belay.url + "/key/update", {"key": sha(BOB), "rpm_limit": 7},
                    headers={"Authorization": f"Bearer {KEY}"})
    assert changed.status == 200
    old.sql(f"""UPDATE "LiteLLM_VerificationToken" SET rpm_limit = 99, spend = 4 WHERE key_alias IN ('ann', 'bob')""")
    told = bring(belay, old)
    assert (told["tables"]["keys"]["changed"], told["tables"]["keys"]["kept"]) == (1, 1)
    assert [k["why"] for k in told["kept"]] == ["it was changed here"]

    def limits():
        return [get(belay, f"/key/info?key={sha(k)}")["info"]["rpm_limit"] for k in (ANN, BOB)]
    until(lambda: limits() == [99, 7], "LiteLLM's change came, the one made here stayed")
    assert any("next start" in note for note in told["notes"])
    belay.restart()
    assert get(belay, f"/key/info?key={sha(ANN)}")["info"]["spend"] == 4
    bring(belay, old, "--overwrite")
    until(lambda: limits() == [99, 99], "taken when asked for")


def test_a_key_that_was_revoked_or_rotated_here_does_not_come_back(belay, old):
    bring(belay, old)
    belay.command("keys", "revoke", sha(BOB))
    until(lambda: get(belay, "/key/list")["total_count"] == 3, "revoked")
    fresh = fetch(belay.url + "/key/regenerate", {"key": sha(SPENT)}, headers={"Authorization": f"Bearer {KEY}"})
    assert fresh.status == 200
    told = bring(belay, old)
    assert told["tables"]["keys"]["new"] == 0
    assert [k["why"] for k in told["kept"]] == ["it was deleted here"] * 2
    assert belay.chat(MINI, key=BOB).status == belay.chat(MINI, key=SPENT).status == 401
    assert bring(belay, old, "--overwrite")["tables"]["keys"]["new"] == 2


def test_only_some_tables(belay, old):
    told = bring(belay, old, "--only", "users,teams")
    assert told["tables"]["users"]["new"] == 2 and told["tables"]["teams"]["new"] == 1
    assert told["tables"]["keys"]["found"] == 0 and get(belay, "/key/list")["total_count"] == 0
    members = bring(belay, old, "--only", "team members")
    assert members["tables"]["team members"] == {"found": 2, "new": 2, "changed": 0, "same": 0, "kept": 0, "left_out": 1}


def test_budgets_can_begin_at_nothing(belay, old):
    bring(belay, old, "--no-spend")
    until(lambda: belay.chat(MINI, key=SPENT).status == 200, "the spent key has its whole budget again")


def test_the_table_fits_a_terminal(belay, old):
    done = belay.command("import", "litellm", "--database-url", old.url, "--salt-key", SALT, "--dry-run")
    assert "keys" in done.stdout and "Nothing has been written" in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines()), done.stdout


def test_a_gateway_that_keeps_its_own_tables_in_that_database_needs_no_url(make, sim, old):
    belay = make.belay(sim, config=CONFIG, env={"DATABASE_URL": old.url, "LITELLM_SALT_KEY": SALT})
    belay.command("import", "litellm")
    until(lambda: belay.chat(MINI, key=ANN).status == 200, "known")
    # The verbs that read find their records there too.
    until(lambda: len(belay.command("export", "--format", "jsonl").stdout.splitlines()) >= 1, "a record")
    (key,) = [r for r in json.loads(belay.command("spend", "--json").stdout)["rows"] if r["key"] == sha(ANN)]
    assert key["name"] == "ann" and key["requests"] >= 1
    assert "gpt-5-mini" in belay.command("explain", "--last").stdout
    refused = belay.command("backup", belay.home / "no.tar", check=False)
    assert refused.returncode == 1 and "pg_dump" in refused.stderr
    again = json.loads(belay.command("import", "litellm", "--json").stdout)
    assert all(c["new"] == c["changed"] == c["kept"] == 0 for c in again["tables"].values())


@pytest.mark.parametrize("flags, said", [
    (["litellm"], "--database-url"),
    (["mysql", "--database-url", "postgresql://h/d"], "litellm"),
    (["litellm", "--database-url", "mysql://u:s3cret@h/d"], "postgresql"),
    (["litellm", "--only", "keys,cats", "--database-url", "postgresql://h/d"], "team members"),
])
def test_wrong_words_are_told(make, flags, said):
    done = harness.run_to_end(make.home, ["import", *flags])
    assert done.returncode != 0 and said in done.stderr and "s3cret" not in done.stderr


def test_another_database_is_told_from_an_empty_one(belay, postgres):
    url = postgres.database("nothing_of_litellm")
    done = belay.command("import", "litellm", "--database-url", url, check=False)
    assert done.returncode == 1 and "no tables of LiteLLM" in done.stderr

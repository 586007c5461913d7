"""Per-person Copilot accounts: whose seat serves whose requests, and what never happens to a seat."""
import pathlib
import stat

import pytest

from harness import GEMINI, KEY, MINI, OPUS, fetch, until

PEOPLE = {"device": {"interval": 1},
          "accounts": [{"name": "pro_plus", "login": "operator"},
                       {"name": "ann", "plan": "pro", "login": "ann-gh"},
                       {"name": "bob", "plan": "pro", "login": "bob-gh"}]}

# A model outside Copilot, for chains that leave it.
LOCAL = """
model_list:
  - model_name: github_copilot/*
    litellm_params: {model: github_copilot/*}
  - model_name: elsewhere
    litellm_params: {model: openai/elsewhere, api_key: none, mock_response: "from elsewhere"}
router_settings:
  fallbacks:
    - {"github_copilot/*": [elsewhere]}
    - {"%s": [elsewhere]}
""" % MINI


@pytest.fixture
def sim(make):
    return make.simulator(PEOPLE)


def manage(belay, path, body=None, key=KEY):
    return fetch(belay.url + path, body, headers={"Authorization": f"Bearer {key}"})


def good(reply):
    assert reply.status in (200, 202), f"{reply.status}: {reply.body!r}"
    return reply.json


def person(belay, name, **fields):
    """A user, and a key of theirs."""
    return good(manage(belay, "/user/new", {"user_id": name, "user_role": "internal_user", **fields}))["key"]


def account_of(belay, user):
    rows = good(manage(belay, "/copilot/account/list"))["accounts"]
    return next((row for row in rows if row["user_id"] == user), None)


def authorize(belay, sim, key, account):
    """What a person does: begin on the page, enter the code at GitHub as that account."""
    good(manage(belay, "/copilot/connect/start", {}, key))

    def code():
        html = good(manage(belay, "/copilot/connect/status", key=key)).get("html", "")
        return html.split('data-code="')[1].split('"')[0] if 'data-code="' in html else None
    sim.control("/_sim/authorize", {"user_code": until(code, "a code is shown"), "account": account})


def connect(belay, sim, user, key, account=None):
    authorize(belay, sim, key, account or user)

    def bound():
        row = account_of(belay, user)
        return row if row and row["state"] == "signed_in" and row["connected_at"] else None
    return until(bound, f"{user} is connected")


def seats(sim, since=0):
    """The accounts whose tokens the model calls carried, in order."""
    return [r["account"] for r in sim.requests() if r.get("model") and r["method"] == "POST"][since:]


def test_each_persons_requests_carry_their_own_token(belay, sim):
    keys = {name: person(belay, name) for name in ("ann", "bob", "cleo")}
    for name in ("ann", "bob"):
        connect(belay, sim, name, keys[name])
    for key in (keys["ann"], keys["bob"], keys["cleo"], KEY, keys["ann"]):
        assert belay.chat(MINI, key=key).status == 200
    assert seats(sim) == ["ann", "bob", "pro_plus", "pro_plus", "ann"]


def test_a_sign_in_outlives_a_restart_and_is_closed_to_others(belay, sim):
    key = person(belay, "ann")
    account = connect(belay, sim, "ann", key)["account_id"]
    folder = belay.home / ".local/share/belay/accounts" / account
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    token = folder / "access-token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert (belay.tokens / "access-token").read_text() != token.read_text()
    belay.restart()
    assert belay.chat(MINI, key=key).status == 200
    assert seats(sim)[-1] == "ann"
    listed = manage(belay, "/copilot/account/list")
    assert token.read_text().strip().encode() not in listed.body
    assert token.read_text().strip() not in belay.said()


def test_an_empty_seat_touches_nobody_elses(make, sim):
    belay = make.belay(sim, config=LOCAL)
    ann, bob = person(belay, "ann"), person(belay, "bob")
    connect(belay, sim, "ann", ann)
    connect(belay, sim, "bob", bob)
    sim.fault("quota_exceeded", MINI, account="ann")
    for _ in range(3):
        reply = belay.chat(MINI, key=ann)
        assert reply.status == 200 and reply.json["model"] == "elsewhere"
    assert set(seats(sim)) <= {"ann"}
    before = len(seats(sim))
    assert belay.chat(MINI, key=bob).json["model"] == MINI
    assert belay.chat(MINI).json["model"] == MINI, "the operator's seat does not rest for ann's quota"
    assert seats(sim, before) == ["bob", "pro_plus"]


def test_a_signed_out_person_leaves_copilot_and_borrows_no_seat(make, sim):
    belay = make.belay(sim, config=LOCAL)
    ann = person(belay, "ann")
    account = connect(belay, sim, "ann", ann)["account_id"]
    good(manage(belay, "/copilot/account/sign_out", {"account_id": account}, ann))
    until(lambda: account_of(belay, "ann")["state"] == "signed_out", "ann is signed out")
    before = len(seats(sim))
    assert belay.chat(MINI, key=ann).json["model"] == "elsewhere"
    refused = belay.chat(OPUS, key=ann, disable_fallbacks=True)
    assert refused.status == 503, refused.body
    assert "/github/connect" in refused.json["error"]["message"]
    assert seats(sim, before) == []


def test_the_operator_may_lend_the_default_seat_or_keep_it(make, sim):
    lent = LOCAL + "general_settings: {copilot_default_account: always}\n"
    belay = make.belay(sim, config=lent)
    ann = person(belay, "ann")
    account = connect(belay, sim, "ann", ann)["account_id"]
    good(manage(belay, "/copilot/account/sign_out", {"account_id": account}, ann))
    until(lambda: account_of(belay, "ann")["state"] == "signed_out", "ann is signed out")
    assert belay.chat(MINI, key=ann).json["model"] == MINI
    assert seats(sim) == ["pro_plus"]
    belay.config.write_text(LOCAL + "general_settings: {copilot_default_account: never}\n")
    cleo = person(belay, "cleo")
    until(lambda: belay.chat(OPUS, key=cleo, disable_fallbacks=True).status == 403, "the setting is read")
    assert belay.chat(MINI, key=cleo).json["model"] == "elsewhere"
    assert belay.chat(MINI).json["model"] == MINI, "the master key is the operator's"


def test_one_seat_has_one_person(belay, sim):
    ann, bob = person(belay, "ann"), person(belay, "bob")
    account = connect(belay, sim, "ann", ann)["account_id"]
    # The same GitHub account under another name.
    authorize(belay, sim, bob, "ann")

    def refused():
        html = good(manage(belay, "/copilot/connect/status", key=bob)).get("html", "")
        return "connected by another user" in html
    until(refused, "bob's sign-in as ann-gh is refused")
    assert account_of(belay, "bob")["connected_at"] is None
    # By an administrator.
    bound = manage(belay, "/copilot/account/bind", {"account_id": account, "user_id": "bob"})
    assert bound.status == 409 and "bound to user ann" in bound.json["error"]["message"]
    bobs_key = manage(belay, "/copilot/account/bind", {"account_id": account, "key": bob})
    assert bobs_key.status == 409
    # Unbound, it is still signed in as ann.
    good(manage(belay, "/copilot/account/unbind", {"account_id": account}))
    lent = manage(belay, "/copilot/account/bind", {"account_id": account, "user_id": "cleo"})
    assert lent.status == 404
    person(belay, "cleo")
    lent = manage(belay, "/copilot/account/bind", {"account_id": account, "user_id": "cleo"})
    assert lent.status == 409 and "sign it out" in lent.json["error"]["message"]
    # Nobody manages what is not theirs.
    good(manage(belay, "/copilot/account/bind", {"account_id": account, "user_id": "ann"}))
    for path in ("unbind", "sign_out", "delete"):
        assert manage(belay, f"/copilot/account/{path}", {"account_id": account}, bob).status == 403
    assert manage(belay, f"/copilot/account/info?account_id={account}", key=bob).status == 403
    assert belay.chat(MINI, key=bob).status == 200
    assert seats(sim) == ["pro_plus"]


def test_a_key_of_nobody_may_be_bound_and_let_go(belay, sim):
    ann = person(belay, "ann")
    account = connect(belay, sim, "ann", ann)["account_id"]
    team = good(manage(belay, "/team/new", {"team_alias": "ci"}))["team_id"]
    key = good(manage(belay, "/key/service-account/generate", {"team_id": team, "key_alias": "ci"}))["key"]
    good(manage(belay, "/copilot/account/bind", {"account_id": account, "key": key}))
    assert len(account_of(belay, "ann")["keys"]) == 1
    assert belay.chat(MINI, key=key).status == 200
    good(manage(belay, "/copilot/account/unbind", {"account_id": account, "key": key}))
    assert belay.chat(MINI, key=key).status == 200
    assert seats(sim) == ["ann", "pro_plus"]


def test_a_persons_key_in_anothers_hands_spends_no_seat_of_theirs(belay, sim):
    ann = person(belay, "ann")
    lead = person(belay, "lead")
    connect(belay, sim, "ann", ann)
    team = good(manage(belay, "/team/new", {"members_with_roles": [{"user_id": "lead", "role": "admin"},
                                                                   {"user_id": "ann", "role": "user"}]}))["team_id"]
    made = manage(belay, "/key/generate", {"team_id": team, "user_id": "ann"}, lead)
    assert made.status == 200, made.body
    assert belay.chat(MINI, key=made.json["key"]).status == 200
    assert seats(sim) == ["pro_plus"], "the lead holds this key, not ann"


def test_spend_names_the_account(belay, sim):
    ann = person(belay, "ann")
    account = connect(belay, sim, "ann", ann)["account_id"]
    assert belay.chat(MINI, key=ann).status == 200
    assert belay.chat(MINI).status == 200

    def logged():
        rows = good(manage(belay, "/spend/logs/v2?start_date=2020-01-01&end_date=2100-01-01"))["data"]
        return rows if len(rows) == 2 else None
    rows = until(logged, "two records")
    assert sorted(r["metadata"]["copilot_account"] for r in rows) == [account, "default"]


def test_disconnecting_removes_the_sign_in(belay, sim):
    ann = person(belay, "ann")
    account = connect(belay, sim, "ann", ann)["account_id"]
    folder = belay.home / ".local/share/belay/accounts" / account
    good(manage(belay, "/copilot/connect/disconnect", {}, ann))
    until(lambda: not folder.exists(), "the folder is gone")
    assert belay.chat(MINI, key=ann).status == 200
    assert seats(sim) == ["pro_plus"]


def test_nobodys_key_connects_nothing(belay):
    anyones = good(manage(belay, "/key/generate", {}))["key"]
    for key in (KEY, anyones):
        reply = manage(belay, "/copilot/connect/start", {}, key)
        assert reply.status == 403, reply.body


@pytest.mark.parametrize("billing, floor, used", [("credits", {"credits_floor": 500}, 1001),
                                                  ("requests", {"premium_floor": 500}, 1001)])
def test_a_floor_keeps_the_last_of_the_allowance(make, billing, floor, used):
    sim = make.simulator({"accounts": [{"name": "pro_plus", "billing": billing, "entitlement": 1500, "used": 900}]})
    belay = make.belay(sim, config=LOCAL)
    until(lambda: "1500" in repr(good(manage(belay, "/copilot/account/info?account_id=default"))["quotas"]),
          "the quota is known")
    ci = good(manage(belay, "/key/generate", {"metadata": floor, "key_alias": "ci"}))["key"]
    assert belay.chat(MINI, key=ci).json["model"] == MINI
    sim.control("/_sim/account", {"account": "pro_plus", "used": used})
    until(lambda: belay.chat(OPUS).status == 200 and belay.chat(MINI, key=ci).json["model"] == "elsewhere",
          "the upstream's headers tell of less")
    refused = belay.chat(OPUS, key=ci, disable_fallbacks=True)
    assert refused.status in (422, 429), refused.body
    assert "kept from this key" in refused.json["error"]["message"]
    assert belay.chat(OPUS).status == 200, "people may take it"

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployd.transport import BadToken, RoomRights, Tokens, constant_time_equal

SECRET = "a secret of more than sixty-four bytes, so that every HMAC is content"
NOW = 1_800_000_000.5


def tokens(
    *,
    now: float = NOW,
    secret: str = SECRET,
    algorithms: tuple[str, ...] = ("HS256",),
    issuer: str = "pod",
    require_issuer: bool = False,
) -> Tokens:
    return Tokens(
        secret,
        algorithms=algorithms,
        issuer=issuer,
        require_issuer=require_issuer,
        leeway=5,
        wall=lambda: now,
    )


def signed(claims: dict[str, Any], algorithm: str = "HS256", **header: object) -> str:
    return jwt.encode(claims, SECRET, algorithm=algorithm, headers=header)


def claims(**changes: object) -> dict[str, object]:
    return {"user_id": "u1", "username": "ann", "exp": NOW + 60} | changes


def refusal(token: str, checker: Tokens | None = None) -> BadToken:
    with pytest.raises(BadToken) as caught:
        (checker or tokens()).verify(token)
    return caught.value


def test_what_was_signed_is_who_it_is() -> None:
    identity = tokens().verify(tokens().sign("u1", username="ann", is_root=True, ttl=60))
    assert (identity.user_id, identity.username, identity.is_root) == ("u1", "ann", True)
    assert identity.expires_at == 1_800_000_061


def test_a_signed_token_carries_the_claims_that_existing_servers_know() -> None:
    token = tokens().sign("u1", username="ann", ttl=60)
    timeless: Any = {"verify_iat": False, "verify_nbf": False, "verify_exp": False}
    read = jwt.decode(token, SECRET, algorithms=["HS256"], options=timeless)
    jti = read.pop("jti")
    assert read == {
        "user_id": "u1",
        "username": "ann",
        "is_root": False,
        "iss": "pod",
        "sub": "u1",
        "iat": 1_800_000_000,
        "nbf": 1_800_000_000,
        "exp": 1_800_000_061,
    }
    assert tokens().sign("u1", ttl=60) != token
    assert len(jti) == 32


def test_the_first_algorithm_signs_and_each_of_them_verifies() -> None:
    both = tokens(algorithms=("HS512", "HS256"))
    assert jwt.get_unverified_header(both.sign("u", ttl=1))["alg"] == "HS512"
    assert both.verify(tokens().sign("u", ttl=60)).user_id == "u"


@pytest.mark.parametrize("algorithms", [(), ("none",), ("HS256", "NONE")])
def test_a_pod_cannot_be_told_to_sign_nothing(algorithms: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="HS256"):
        tokens(algorithms=algorithms)


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_the_token_does_not_choose_its_algorithm(algorithm: str) -> None:
    assert refusal(signed(claims(), algorithm)).code == "bad_token"


def test_an_unsigned_token_is_refused() -> None:
    unsigned = jwt.encode(claims(), "", algorithm="none")
    assert refusal(unsigned).code == "bad_token"


def test_another_secret_is_refused() -> None:
    other = tokens(secret=SECRET[::-1]).sign("u1", ttl=60)
    assert refusal(other).code == "bad_token"


@pytest.mark.parametrize(
    ("exp", "code"), [(-4.9, None), (-5, "expired_token"), (-900, "expired_token")]
)
def test_a_token_is_good_until_its_expiry_and_the_leeway(exp: float, code: str | None) -> None:
    token = signed(claims(exp=NOW + exp))
    if code is None:
        assert tokens().verify(token).expires_at == NOW + exp
    else:
        assert refusal(token).code == code


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_a_token_of_the_future_is_refused_beyond_the_leeway(claim: str) -> None:
    assert tokens().verify(signed(claims(**{claim: NOW + 4.9}))).user_id == "u1"
    problem = refusal(signed(claims(**{claim: NOW + 5.1})))
    assert (problem.code, claim in problem.sentence) == ("bad_token", True)


def test_only_the_clock_that_was_passed_in_counts() -> None:
    token = tokens(now=1000).sign("u1", ttl=60)
    assert tokens(now=1030).verify(token).user_id == "u1"
    assert refusal(token, tokens(now=1070)).code == "expired_token"


def test_the_issuer_matters_only_where_it_is_required() -> None:
    foreign = tokens(issuer="other").sign("u1", ttl=60)
    assert tokens().verify(foreign).user_id == "u1"
    assert refusal(foreign, tokens(require_issuer=True)).code == "bad_token"
    assert refusal(signed(claims()), tokens(require_issuer=True)).code == "bad_token"
    assert tokens(require_issuer=True).verify(tokens().sign("u1", ttl=60)).user_id == "u1"


@pytest.mark.parametrize(("given_id", "user_id"), [("u1", "u1"), (42, "42"), (42.0, "42")])
def test_a_user_id_may_be_a_number(given_id: object, user_id: str) -> None:
    assert tokens().verify(signed(claims(user_id=given_id))).user_id == user_id


def test_a_user_without_name_is_not_root() -> None:
    identity = tokens().verify(signed({"user_id": "u1", "exp": NOW + 60}))
    assert (identity.username, identity.is_root) == ("", False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"user_id": None},
        {"user_id": ""},
        {"user_id": True},
        {"user_id": 1.5},
        {"user_id": ["u1"]},
        {"username": 7},
        {"is_root": "true"},
        {"is_root": 1},
        {"exp": None},
        {"exp": True},
        {"exp": "2100-01-01"},
        {"exp": str(NOW + 60)},
        {"exp": 10**400},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"nbf": "now"},
        {"iat": [1]},
        {"aud": "another service"},
    ],
    ids=str,
)
def test_a_claim_of_the_wrong_type_is_refused(wrong: dict[str, object]) -> None:
    assert refusal(signed(claims(**wrong))).code == "bad_token"


def test_a_token_without_expiry_is_refused_with_the_remedy() -> None:
    assert "'exp'" in refusal(signed({"user_id": "u1"})).sentence


def test_a_token_without_user_is_refused_with_the_remedy() -> None:
    assert "'user_id'" in refusal(signed({"exp": NOW + 60})).sentence


def test_a_huge_token_is_refused_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwt, "decode", lambda *_, **__: pytest.fail("it was parsed"))
    assert "8192" in refusal("a" * 8193).sentence


def segment(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "token",
    [
        "",
        "not a token",
        "a.b.c",
        "..",
        "é.é.é",
        "\ud800",
        "\0",
        f"{segment('[' * 4000)}.{segment({})}.x",
        f"{segment({'alg': 'HS256'})}.{segment('1' * 5000)}.x",
        f"{segment([])}.{segment({})}.x",
        f"{segment({'alg': ['HS256']})}.{segment({})}.x",
        f"{segment({'alg': None})}.{segment({})}.x",
        f"{segment({'alg': 'HS256', 'kid': 5})}.{segment({})}.x",
    ],
)
def test_hostile_text_is_a_bad_token(token: str) -> None:
    assert refusal(token).code == "bad_token"


@given(st.text(max_size=200))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    assert refusal(text).code == "bad_token"


@given(
    st.dictionaries(
        st.sampled_from(["user_id", "username", "is_root", "exp", "nbf", "iat", "iss", "aud"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.none()),
    )
)
def test_no_well_signed_claims_do_more_than_be_refused(made_up: dict[str, object]) -> None:
    try:
        token = signed(made_up)
    except TypeError:  # PyJWT does not sign every issuer
        return
    try:
        identity = tokens().verify(token)
    except BadToken:
        return
    assert identity.user_id
    assert identity.expires_at is not None
    assert identity.expires_at + 5 > NOW


def test_no_message_holds_the_token() -> None:
    token = tokens(secret=SECRET[::-1]).sign("someone-secret", ttl=60)
    for hostile in (token, token + "x", signed(claims(username=7, user_id="someone-secret"))):
        problem = refusal(hostile)
        assert "someone-secret" not in problem.sentence
        assert not any(part in problem.sentence for part in hostile.split("."))


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        ("key", "key", True),
        ("key", "Key", False),
        ("", "", True),
        ("é", "é", True),
        ("é", "\ud800", False),
    ],
)
def test_keys_are_compared_whole(a: str, b: str, *, equal: bool) -> None:
    assert constant_time_equal(a, b) is equal


def test_a_token_for_rooms_is_taken_only_where_it_is_asked_for() -> None:
    token = tokens().sign("shop", ttl=60, rooms=RoomRights(publish=("a-*", "b")))
    assert "nothing else" in refusal(token).sentence
    identity = tokens().verify(token, for_rooms=True)
    assert identity.rooms == RoomRights(publish=("a-*", "b"), list=())
    assert not identity.is_root
    everything = tokens().verify(tokens().sign("ann", ttl=60), for_rooms=True)
    assert everything.rooms is None


@pytest.mark.parametrize(
    "claim",
    [
        [],
        "a-*",
        {"publish": "a-*"},
        {"publish": [""]},
        {"publish": [1]},
        {"delete": ["*"]},
    ],
)
def test_a_claim_about_rooms_that_is_not_understood_is_refused(claim: object) -> None:
    with pytest.raises(BadToken, match="not understood"):
        tokens().verify(signed(claims(rooms=claim)), for_rooms=True)


def test_no_token_is_for_rooms_alone_and_roots() -> None:
    with pytest.raises(BadToken, match="nothing else"):
        tokens().verify(signed(claims(rooms={"list": ["*"]}, is_root=True)), for_rooms=True)

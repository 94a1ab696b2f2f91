"""What is in force, for people."""

from pathlib import Path

from deployd.config import Row, explain, load, reference_markdown

REFERENCE = Path(__file__).parents[2] / "docs" / "configuration.md"


def rows(**environ: str) -> dict[str, Row]:
    return {row.path: row for row in explain(load(None, environ=environ))}


def test_the_reference_is_current() -> None:
    assert REFERENCE.read_text(encoding="utf-8") == reference_markdown(), (
        f"write reference_markdown() to {REFERENCE.name} again"
    )


def test_the_reference_has_every_setting() -> None:
    text = reference_markdown()

    assert [path for path in rows() if f"| `{path}`" not in text] == []


def test_a_row_says_everything_of_a_setting() -> None:
    assert rows(LOG_LEVEL="ERROR")["logging.level"] == Row(
        path="logging.level",
        value="ERROR",
        unit="",
        source="environment LOG_LEVEL",
        help="Least level shown (also LOG_LEVEL).",
    )
    assert rows()["limits.pingInterval"].unit == "seconds"


def test_values_are_written_as_files_write_them() -> None:
    found = rows(
        DEPLOYD_ORIGINS__ALLOWED="https://a.org",
        DEPLOYD_ACCESS__RULES='{"a-*": {"join": "root"}}',
        DEPLOYD_LIMITS__PING_INTERVAL="20.5",
    )

    assert found["origins.allowed"].value == ("https://a.org",)
    closed = {"publish": "root", "list": "root"}
    rule = {"join": "root", "emit": "members", **closed, "members": 0, "rate": 0.0}
    assert found["access.rules"].value == {"a-*": rule}
    assert found["limits.pingInterval"].value == 20.5
    assert found["limits.pongTimeout"].value == 10
    assert found["enabled"].value is True
    assert found["tls.certFile"].value == ""
    assert found["access.emitToAll"].value == "authenticated"


def test_secrets_are_masked_when_there_are_any() -> None:
    found = rows(DEPLOYD_BROKER__REDIS__PASSWORD="hunter2")

    assert found["broker.redis.password"].value == "********"
    assert found["broker.nats.password"].value == ""
    assert "hunter2" not in repr(found)

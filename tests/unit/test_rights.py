"""The table of rights: each role has only the rights that its code needs, and every topic is covered."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from ledger_streams import rights, topics
from ledger_streams.cli.topics import topics as command
from ledger_streams.settings import Settings

CONFIG = Settings(app_id="app", topic_prefix="p-")


def operations(role: rights.Role) -> set[tuple[str, str, str]]:
    return {(acl.resource, acl.name, acl.operation) for acl in rights.acls(CONFIG, role, "User:x")}


def test_every_topic_is_written_by_a_role_that_runs_and_read_by_one() -> None:
    running: tuple[rights.Role, ...] = ("worker", "projector", "gateway", "api")
    known = {entry for role in running for entry in operations(role)}
    redrives = CONFIG.topic(topics.REDRIVES)  # only an operator's
    for topic in topics.TOPICS:
        name = CONFIG.topic(topic.name)
        assert name == redrives or {("topic", name, "Read"), ("topic", name, "Write")} <= known, name


def test_an_outside_producer_may_only_write_payment_events() -> None:
    assert operations("payments") == {("topic", "p-payment-events", "Write")}


def test_the_api_may_write_what_it_sends_and_read_nothing() -> None:
    assert operations("api") == {
        ("topic", "p-payment-events", "Write"),
        ("topic", "p-wallet-commands", "Write"),
    }


@pytest.mark.parametrize("role", ["worker", "projector", "gateway", "api", "payments"])
def test_no_running_program_has_a_right_on_the_cluster_or_on_all_topics(role: rights.Role) -> None:
    names = {(resource, name) for resource, name, _ in operations(role)}
    assert ("cluster", "kafka-cluster") not in names
    assert len([name for resource, name in names if resource == "topic"]) < len(topics.TOPICS)


def test_a_role_s_transactions_are_settled_in_topics_that_it_may_read() -> None:
    for role in rights.ROLES:
        for name in rights.transactional_topics(CONFIG, role):
            assert {("topic", name, "Read"), ("topic", name, "Write")} <= operations(role)


def test_acls_are_printed_as_kafka_acls_commands() -> None:
    printed = CliRunner().invoke(command, ["acls", "--principal", "payments=User:shop"])
    assert printed.exit_code == 0
    assert printed.output.splitlines()[1] == (
        "kafka-acls --bootstrap-server 127.0.0.1:29092 --command-config admin.properties --add "
        "--allow-principal User:shop --operation Write --topic payment-events --resource-pattern-type literal"
    )


def test_acls_are_printed_as_json_for_every_role() -> None:
    printed = CliRunner().invoke(command, ["acls", "--json"])
    assert {entry["principal"] for entry in json.loads(printed.output)} == {
        f"User:{role}" for role in rights.ROLES
    }


@pytest.mark.parametrize("words", ["nobody=User:x", "worker", "worker=x"])
def test_an_unknown_role_is_refused_with_the_known_roles(words: str) -> None:
    printed = CliRunner().invoke(command, ["acls", "--principal", words])
    assert printed.exit_code == 2
    assert "worker, projector, gateway, api, operator, payments" in " ".join(printed.output.split())

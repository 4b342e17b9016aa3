"""A whole system over TLS and SASL, on a Kafka that grants each role what `topics acls` says and no more.

The broker looks for transactions that take too long every ten seconds, as Kafka does by default.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from redis import asyncio as aioredis
from redis.exceptions import ConnectionError as RedisConnectionError

from ledger_streams import metrics, topics
from ledger_streams.kafka.acls import Acl, grant
from ledger_streams.kafka.client_options import options
from ledger_streams.kafka.transactional_producer import connect, discard
from ledger_streams.kafka_settings import client_options
from ledger_streams.local.demo_bank import write_transactions
from ledger_streams.process_exit import EXIT_SOFTWARE
from ledger_streams.settings import SETTLED_BY_DEFAULT_IN_MS, Settings
from tests.e2e.outside import KeyValue, balance, ended, new_id, open_wallet, pay, record, requested, transfer
from tests.live import LiveSystem, eventually, running
from tests.provider_stage import simulator
from tests.secured import Secured, secured_stack

pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
    # aiokafka does not wait for the end of a TLS connection that it closes
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SESSION_MS = 6_000
TAKEOVER_S_MAX = 14.0 + 16.0
"""Kafka's default time to abort a transaction of such a short session, plus a margin for a busy machine."""
REDIS_S_MAX = 20.0
OTHER_CA = "/etc/ssl/certs/ca-certificates.crt"


@pytest.fixture(scope="module")
def secured() -> Iterator[Secured]:
    with secured_stack() as made:
        yield made
    gc.collect()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def live(secured: Secured, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveSystem]:
    """Two workers, a gateway, a projector and an api; topics and schema are made by the operator."""
    home = tmp_path_factory.mktemp("system")
    async with simulator(home, "acme") as url:
        config = secured.settings(
            "operator",
            home=home,
            app_id="secured",
            topic_prefix="secured-",
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=500,
            drain_s=0,
            providers=f"acme={url}",
        )
        await secured.grant(config)
        async with running(config) as system:
            for command in (("topics", "apply"), ("db", "upgrade")):
                code, out, err = await system.command(*command)
                assert code == 0, out + err
            await secured.as_roles(system).start_all(2)
            system.start("api")
            await system.ready(command="api")
            yield system


async def send_as_payments(secured: Secured, live: LiveSystem, records: list[KeyValue]) -> None:
    """Send what a producer outside sends, with its own rights."""
    async with AIOKafkaProducer(**options(client_options(secured.settings("payments")))) as producer:
        name = live.settings.topic(topics.PAYMENT_EVENTS)
        for sent in [await producer.send(name, value, key=key) for key, value in records]:
            await sent


async def test_an_import_payments_a_dead_letter_and_a_takeover_need_no_right_that_is_not_listed(
    secured: Secured, live: LiveSystem, tmp_path: Path
) -> None:
    file = tmp_path / "bank.csv"
    write_transactions(file, rows=60, accounts=5)
    report = await live.document("import", str(file), "--overdraft", "unlimited")
    assert (report["taken"], report["not_ended"]) == (60, 0)

    ada, bob = await open_wallet(live, funds="100.00"), await open_wallet(live)
    paid = transfer(ada, bob, "20.50")
    status, answer, _ = await live.request("POST", "/v1/payments?wait=20", command="api", json=paid)
    assert (status, answer["status"]) == (200, "completed")
    path = f"/v1/payments/{paid['payment_id']}/refund?wait=20"
    status, answer, _ = await live.request("POST", path, json={"amount": "10.25"})
    assert (status, answer["status"]) == (200, "completed")
    paid_out = {"kind": "withdrawal", "source_wallet_id": bob, "amount": "4.00", "currency": "EUR"}
    assert (await pay(live, paid_out | {"provider": "acme"}))["status"] == "completed"

    outside, bad = transfer(ada, bob, "1.00"), transfer(ada, bob, "-1.00")
    await send_as_payments(secured, live, [record(requested(each)) for each in (bad, outside)])
    assert (await ended(live, outside["payment_id"]))["status"] == "completed"
    assert (await ended(live, bad["payment_id"]))["reason"] == "invalid"
    (letter,) = await live.document("dlq", "list")
    redriven = await live.document("dlq", "redrive", letter["topic"])
    assert len(redriven["letters"]) == 1

    live.processes["worker-2"].kill()
    later, began_s = [transfer(ada, bob, "0.10") for _ in range(24)], time.monotonic()
    await send_as_payments(secured, live, [record(requested(each)) for each in later])
    for each in later:
        assert (await ended(live, each["payment_id"], seconds=TAKEOVER_S_MAX))["status"] == "completed"
    assert time.monotonic() - began_s < TAKEOVER_S_MAX
    assert [await balance(live, wallet) for wallet in (ada, bob)] == ["86.35", "9.65"]

    await check_well(live)


async def check_well(live: LiveSystem) -> None:
    """Everything agrees, and nobody has missed a right."""

    async def is_reconciled() -> bool:
        return (await live.command("reconcile"))[0] == 0

    await eventually(is_reconciled, what="everything agrees")
    assert_nothing_refused(live, killed="worker-2")


def assert_nothing_refused(live: LiveSystem, *, killed: str) -> None:
    for name, process in live.processes.items():
        assert name == killed or process.exit_code is None, process.tail()
        assert "AuthorizationFailed" not in process.log.read_text(), name
        assert "Kafka does not allow or know" not in process.log.read_text(), name


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"kafka_security": "plaintext", "sasl": False}, "LEDGER_KAFKA_SECURITY is plaintext"),
        ({"kafka_security": "ssl", "sasl": False}, "LEDGER_KAFKA_SECURITY is ssl"),
        ({"kafka_ca": OTHER_CA}, "set LEDGER_KAFKA_CA to the file of the authority that signed it"),
        ({"kafka_sasl_password": "wrong"}, "check LEDGER_KAFKA_SASL_USER and _SASL_PASSWORD"),
    ],
)
async def test_an_authorization_error_of_kafka_names_the_setting_and_ends_an_app(
    secured: Secured, tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    if not changes.pop("sasl", True):
        changes |= {"kafka_sasl_mechanism": "", "kafka_sasl_user": "", "kafka_sasl_password": ""}
        changes |= {"kafka_ca": ""} if changes["kafka_security"] == "plaintext" else {}
    config = secured.settings("worker", home=tmp_path, app_id=f"no-{new_id()}", **changes)
    async with running(config) as system:
        code, _out, err = await system.command("topics", "check")
        assert code == 1 and sentence in err and "Traceback" not in err
        if changes.get("kafka_ca"):  # one of them will do: the others end in the same lines
            worker = system.start("worker")
            assert await asyncio.to_thread(worker.wait, 60.0) == EXIT_SOFTWARE
            assert sentence in worker.log.read_text()


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("?sslmode=disable", "check user, password and sslmode in LEDGER_POSTGRES"),
        (f"?sslmode=verify-full&sslrootcert={OTHER_CA}", "check sslmode and sslrootcert in LEDGER_POSTGRES"),
    ],
)
async def test_an_authentication_error_of_postgresql_names_the_setting(
    secured: Secured, live: LiveSystem, query: str, sentence: str
) -> None:
    changed = live.settings.model_copy(update={"postgres": secured.plain.postgres + query})
    async with running(changed) as system:
        code, out, err = await system.command("reconcile")
    assert code != 0 and sentence in out + err and "Traceback" not in err


async def test_redis_is_reached_with_tls_alone_and_its_authority(secured: Secured) -> None:
    plain = secured.plain.redis
    other = f"{plain}?ssl_ca_certs={OTHER_CA}".replace("redis", "rediss", 1)

    async def is_reached(url: str) -> bool:
        async with aioredis.Redis.from_url(url, socket_timeout=REDIS_S_MAX) as redis:
            return bool(await redis.ping())

    assert await is_reached(secured.settings().redis)
    for url, reason in ((plain, r"(?i)closed|reset"), (other, "certificate verify failed")):
        with pytest.raises(RedisConnectionError, match=reason):
            await is_reached(url)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_a_user_can_authenticate_with_scram(secured: Secured, mechanism: str) -> None:
    config = secured.settings(kafka_sasl_mechanism=mechanism, topic_prefix="nowhere-")
    assert len(await topics.check(config)) == len(topics.TOPICS)


async def test_a_missing_right_of_a_role_is_named(secured: Secured, live: LiveSystem, tmp_path: Path) -> None:
    """Here a worker that Kafka knows as the outside producer of payments."""
    config = live.settings.model_copy(update={"home": tmp_path, "worker_id": "7"})
    password = secured.tls.users["payments"]
    secured_topic = config.topic(topics.SAGA_COMMANDS)
    async with running(config) as system:
        worker = system.start(
            "worker", LEDGER_KAFKA_SASL_USER="payments", LEDGER_KAFKA_SASL_PASSWORD=password
        )

        async def says() -> bool:
            text = worker.log.read_text()
            topic = secured_topic in text and "is not authorized for this client" in text
            return topic and "with ACLs, also topics acls" in text

        await worker.eventually(says, what="says which right it lacks", seconds=90)


async def test_without_the_right_to_look_for_hanging_transactions_a_producer_starts_and_counts_it(
    secured: Secured, live: LiveSystem
) -> None:
    """The gateway may write there in its transactions, and may not read, so the broker tells it nothing."""
    config = live.settings
    topic = config.topic(topics.PAYMENT_EVENTS)
    admin, gateway = client_options(secured.settings()), client_options(secured.settings("gateway"))
    await grant(admin, [Acl("User:gateway", "topic", topic, "literal", "Write")])
    places = [
        TopicPartition(topic, number) for number in range(topics.spec(topics.PAYMENT_EVENTS).partitions)
    ]
    async with AIOKafkaConsumer(**options(admin), enable_auto_commit=False) as consumer:
        before = await consumer.end_offsets(places)
        denied = metrics.KAFKA_REQUESTS_DENIED.labels("DescribeProducers")
        counted = denied._value.get()
        producer = AIOKafkaProducer(**options(gateway), transactional_id=f"{config.app_id}-gateway-x")
        await connect(producer, [topic])
        await discard(producer)
        assert denied._value.get() > counted

        async def is_marked() -> bool:
            after = await consumer.end_offsets(places)
            return all(after[place] > before[place] for place in places)

        await eventually(is_marked, what="each partition has its marker")


async def test_a_transaction_left_open_ends_within_the_session_though_the_broker_looks_every_ten_seconds(
    secured: Secured, live: LiveSystem
) -> None:
    session = Settings(session_timeout_ms=15_000)
    place = TopicPartition(live.settings.topic(topics.REDRIVES), 0)
    admin = options(client_options(secured.settings()))
    producer = AIOKafkaProducer(
        **admin, transactional_id="left-open", transaction_timeout_ms=session.dead_transaction_ms
    )
    await producer.start()
    await producer.begin_transaction()
    began_s = time.monotonic()
    await producer.send_and_wait(place.topic, b"{}", b"nobody", partition=0)
    await producer.client.close()
    async with AIOKafkaConsumer(**admin, enable_auto_commit=False) as all_of_it:
        end = (await all_of_it.end_offsets([place]))[place]
    async with AIOKafkaConsumer(
        **admin, enable_auto_commit=False, isolation_level="read_committed"
    ) as committed:

        async def is_over() -> bool:
            return bool((await committed.end_offsets([place]))[place] > end)

        await eventually(is_over, what="the transaction is over", seconds=session.session_timeout_ms / 1000)
    took_ms = (time.monotonic() - began_s) * 1000
    assert took_ms <= session.dead_transaction_ms + SETTLED_BY_DEFAULT_IN_MS
    await discard(producer)

"""ACLs: rights granted on a Kafka by its administrator, one request each, as Kafka's protocol counts them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.admin import CreateAclsRequest

from ledger_streams.bounded_close import close_within
from ledger_streams.kafka.client_options import Bootstrap, options, unavailable

RESOURCES: Final = {"topic": 2, "group": 3, "cluster": 4, "transactional-id": 5}
PATTERNS: Final = {"literal": 3, "prefixed": 4}
OPERATIONS: Final = {
    "Read": 3,
    "Write": 4,
    "Create": 5,
    "Alter": 7,
    "Describe": 8,
    "DescribeConfigs": 10,
    "AlterConfigs": 11,
}
ALLOW: Final = 3
ANY_HOST: Final = "*"


class Acl(NamedTuple):
    """One operation on one resource for one principal, in the words of kafka-acls."""

    principal: str
    resource: str
    name: str
    pattern: str
    operation: str


async def grant(bootstrap: Bootstrap, acls: Iterable[Acl]) -> int:
    """Grant all and return how many; safe to repeat.  Raises Unavailable, as to who may not grant."""
    granted = 0
    admin = AIOKafkaAdminClient(**options(bootstrap))
    try:
        await admin.start()
        for acl in acls:
            answer = await admin._send_to_controller(_request(acl))
            for code, message in answer.creation_responses:
                if code:
                    raise for_code(code)(message or acl.name)
            granted += 1
    except KafkaError as error:
        raise await unavailable(bootstrap, error) from error
    finally:
        await close_within("the admin client", admin.close())
    return granted


def _request(acl: Acl) -> CreateAclsRequest:
    resource, pattern, operation = RESOURCES[acl.resource], PATTERNS[acl.pattern], OPERATIONS[acl.operation]
    return CreateAclsRequest(resource, acl.name, pattern, acl.principal, ANY_HOST, operation, ALLOW)

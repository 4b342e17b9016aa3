"""The API against its own OpenAPI document: every answer conforms to it.

Schemathesis makes a fixed number of requests per operation from a fixed seed: first about
missing objects, then about existing wallets and payments.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.e2e.outside import new_id, open_wallet, pay, transfer
from tests.live import LiveSystem

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

SEED = 20261125
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "negative_data_rejection",
    "missing_required_header",
    "allow_header_conformance",
)
"""All but that what is valid by the schema is taken: none says how many digits a currency has."""
WAIT = {"query.wait": "0.25"}
"""Seconds: what waits for somebody else would take all of the time it is given."""
OPTIONS = (
    *("--seed", str(SEED), "--mode", "all", "--max-examples", "6"),
    *("--checks", ",".join(CHECKS), "--suppress-health-check", "all", "--no-color", "--warnings", "off"),
    *("--generation-database", "none", "--request-timeout", "20"),
)


async def checked(live: LiveSystem, folder: Path, phases: str, parameters: dict[str, str]) -> None:
    """Run schemathesis with these values for parameters; fail with what it says."""
    lines = [f'"{name}" = "{value}"' for name, value in (parameters | WAIT).items()]
    config = folder / "schemathesis.toml"
    config.write_text("\n".join(["[parameters]", *lines]) + "\n")
    url = f"http://127.0.0.1:{live.ports['worker-1']}"
    program = Path(sys.executable).with_name("schemathesis")
    child = await asyncio.create_subprocess_exec(
        *(program, "--config-file", config, "run", f"{url}/openapi.json", "--phases", phases, *OPTIONS),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        out, _ = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
    assert child.returncode == 0, out.decode()


async def test_answers_about_missing_objects_conform_to_the_document(
    shared: LiveSystem, tmp_path: Path
) -> None:
    await checked(shared, tmp_path, "fuzzing", {})


async def test_answers_about_existing_objects_conform_to_the_document(
    shared: LiveSystem, tmp_path: Path
) -> None:
    ada, bob, hold_id = await open_wallet(shared, funds="1000.00"), await open_wallet(shared), new_id()
    payment = await pay(shared, transfer(ada, bob, "10.00"))
    hold = {"hold_id": hold_id, "amount": "1.00", "currency": "EUR"}
    assert (await shared.request("POST", f"/v1/wallets/{ada}/holds", json=hold))[0] == 201
    ids = {"wallet_id": ada, "user_id": ada, "payment_id": payment["payment_id"], "hold_id": hold_id}
    await checked(
        shared, tmp_path, "coverage,fuzzing", {f"path.{name}": value for name, value in ids.items()}
    )


async def test_in_the_end_everything_reconciles(shared: LiveSystem) -> None:
    reconciled = await shared.document("reconcile")
    assert (reconciled["differences"], reconciled["lagging"]) == ([], {})

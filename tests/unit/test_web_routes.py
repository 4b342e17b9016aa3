"""Pages beside the API: the app serves health and metrics, and none of Faust's own pages."""

from __future__ import annotations

from collections.abc import AsyncIterator

import faust
import pytest
from aiohttp.test_utils import TestClient, TestServer

from ledger_streams.engine.state.takeover_progress import PublicText
from tests.unit.web_stage import USER, WALLET, Stage, served
from web.routes import WEB_SETTINGS, add_health


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with served(Stage()) as stage:
        yield stage


async def test_live_and_metrics_answer_while_all_dependencies_are_unavailable(stage: Stage) -> None:
    stage.away.update({"worker", "kafka", "postgres", "redis"})
    live = await stage.client.get("/health/live")
    assert (live.status, await live.json()) == (200, {"status": "live"})
    assert (await stage.client.get("/metrics")).status == 200
    assert (await stage.client.get("/health/ready")).status == 503


async def test_ready_shows_each_dependency_and_does_without_the_cache(stage: Stage) -> None:
    ready = await stage.client.get("/health/ready")
    assert await ready.json() == {"status": "ready", "checks": {"redis": "ok", "tables": "ok"}}
    stage.readiness["redis"] = "connection to 10.0.0.7 refused"
    ready = await stage.client.get("/health/ready")
    assert (ready.status, (await ready.json())["checks"]["redis"]) == (200, "away")


async def test_an_unready_worker_reports_its_phase_and_no_error_text(stage: Stage) -> None:
    stage.readiness |= {
        "tables": PublicText("12 of 40 records"),
        "postgres": "connection to 10.0.0.7 refused",
    }
    ready = await stage.client.get("/health/ready")
    detail = (await ready.json())["detail"]
    assert (ready.status, "postgres, tables (12 of 40 records)." in detail) == (503, True), detail


async def test_a_projector_with_parked_records_is_ready_and_reports_them(stage: Stage) -> None:
    stage.readiness["parked_records"] = PublicText("3 wait: ledger-streams projections parked list")
    ready = await stage.client.get("/health/ready")
    assert (ready.status, (await ready.json())["checks"]["parked_records"].split(":")[0]) == (200, "3 wait")


async def test_requests_are_measured_by_route_and_never_by_path(stage: Stage) -> None:
    await stage.client.get(f"/v1/wallets/{WALLET}")
    await stage.client.get("/wp-login.php")
    metrics = await stage.client.get("/metrics")
    assert metrics.headers["Content-Type"].startswith("text/plain; version=")
    text = await metrics.text()
    counted = 'ledger_http_request_seconds_count{method="GET",route="%s",status="404"}'
    assert counted % "/v1/wallets/{wallet_id}" in text
    assert counted % "unmatched" in text
    assert WALLET not in text
    assert "wp-login" not in text


async def test_an_unknown_method_is_measured_as_other(stage: Stage) -> None:
    assert (await stage.client.request("PROPFIND", "/v1/payments")).status == 405
    text = await (await stage.client.get("/metrics")).text()
    assert "PROPFIND" not in text


@pytest.mark.parametrize(
    "path",
    [
        "/table/",
        "/table/wallets/",
        "/table/wallets/x/",
        "/router/",
        "/router/topics",
        "/graph/",
        "/performance/",
    ],
)
async def test_fausts_own_pages_are_off(path: str, stage: Stage) -> None:
    assert (await stage.client.get(path)).status == 404


async def test_fausts_own_pages_stay_off_with_any_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for page in ("TABLES", "ROUTER", "STATS", "GRAPH", "METRICS"):
        monkeypatch.setenv(f"APP_WEB_{page}_ENABLED", "1")
    async with served(Stage()) as stage:
        for path in ("/table/", "/router/", "/graph/", "/assignment/", "/performance/", "/"):
            assert (await stage.client.get(path)).status == 404


async def test_head_answers_as_get_without_a_body(stage: Stage) -> None:
    await stage.open()
    response = await stage.client.head(f"/v1/users/{USER}/wallets")
    assert (response.status, await response.read()) == (200, b"")


async def test_the_path_of_batches_is_no_payments(stage: Stage) -> None:
    response = await stage.client.get("/v1/payments/batch")
    assert (response.status, response.headers["Allow"]) == (405, "POST")
    await stage.client.get(f"/v1/payments/{WALLET}")
    metrics = await (await stage.client.get("/metrics")).text()
    assert 'route="/v1/payments/{payment_id}",status="404"' in metrics


async def test_no_other_site_may_read_answers(stage: Stage) -> None:
    response = await stage.client.get("/health/live", headers={"Origin": "https://elsewhere.example"})
    assert "Access-Control-Allow-Origin" not in response.headers


async def test_an_app_without_the_api_has_health_alone(stage: Stage) -> None:
    app = faust.App("web-tests-health", broker="kafka://127.0.0.1:1", **WEB_SETTINGS)
    add_health(app, stage.ready)
    app.web.init_server()
    async with TestClient(TestServer(app.web.web_app)) as client:
        assert (await client.get("/health/ready")).status == 200
        missing = await client.get(f"/v1/wallets/{WALLET}")
        assert (missing.status, missing.content_type) == (404, "application/problem+json")

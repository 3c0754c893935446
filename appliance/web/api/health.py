"""Whether the appliance is alive and ready, for balancers, health checks and Prometheus."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from appliance import __version__, telemetry
from appliance.errors import ApplianceError
from appliance.web.access import require_key_to_all

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_LOCAL = ("127.0.0.1", "::1")


async def alive(request: Request) -> Response:
    """/healthz: the process answers."""
    return PlainTextResponse("ok\n")


async def health(request: Request) -> Response:
    """/health, as systems A, B and D had it: always 200 while the process answers; `status` says more."""
    state: telemetry.Health = request.app.state.health()
    return JSONResponse(
        {
            "status": "healthy" if state.ready else "degraded",
            "version": __version__,
            "problems": [problem.text for problem in state.problems],
            "journal_backlog_bytes": state.journal_backlog_bytes,
            "lag_seconds": round(state.lag_seconds, 3),
        }
    )


async def ready(request: Request) -> Response:
    """/readyz: 503 while events cannot be taken or stored, with the reasons."""
    state: telemetry.Health = request.app.state.health()
    problems = [problem.text for problem in state.problems]
    return JSONResponse({"ready": state.ready, "problems": problems}, status_code=200 if state.ready else 503)


async def databases(request: Request) -> Response:
    """/api/health, as Plausible has it: the state of its two databases, which are one here."""
    state: telemetry.Health = request.app.state.health()
    word = "ok" if state.ready else f"error: {'; '.join(problem.text for problem in state.problems)}"
    answer = {"postgres": word, "clickhouse": word, "sites_cache": "ok"}
    return JSONResponse(answer, status_code=200 if state.ready else 500)


async def metrics(request: Request) -> Response:
    """/metrics in Prometheus' text format; from elsewhere than this machine it takes a private key."""
    local = request.client is not None and request.client.host in _LOCAL and "x-forwarded-for" not in request.headers
    if not (request.app.state.settings.metrics_public or local):
        try:
            await require_key_to_all(request)
        except ApplianceError as error:
            return PlainTextResponse(f"{error}\n", status_code=error.status)
    registry = CollectorRegistry()
    registry.register(_Collector(request.app.state.health()))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE)


class _Collector:
    """Families made at the time of the question, so that counting costs nothing."""

    def __init__(self, state: telemetry.Health) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        for name, kind, description, samples in telemetry.metrics(self._state):
            labels = list(samples[0][0]) if samples else []
            family = (CounterMetricFamily if kind == "counter" else GaugeMetricFamily)(name, description, labels=labels)
            for values, number in samples:
                family.add_metric(list(values.values()), number)
            yield family


def routes() -> list[Route]:
    return [
        Route("/health", health),
        Route("/healthz", alive),
        Route("/api/health", databases),
        Route("/readyz", ready),
        Route("/metrics", metrics),
    ]

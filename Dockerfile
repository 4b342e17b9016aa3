# One image for every process of the application: `ledger-streams worker`, `gateway`, `projector`, `api`, `run`, `topics`, ...
FROM python:3.11-slim-bookworm AS build
WORKDIR /app
COPY requirements.lock pyproject.toml README.md ./
RUN python -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir -r requirements.lock
COPY ledger_streams ledger_streams
COPY agents agents
COPY tables tables
COPY web web
RUN /opt/venv/bin/pip install --no-cache-dir --no-deps -e .

FROM python:3.11-slim-bookworm
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends libstdc++6 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 ledger && install -d -o ledger -g ledger /data
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 LEDGER_HOME=/data
USER 10001
WORKDIR /app
VOLUME /data
EXPOSE 6066
ENTRYPOINT ["ledger-streams"]
CMD ["worker"]

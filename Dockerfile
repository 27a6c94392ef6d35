# Strop's image: the server, the workers, the command line and, from the same packages, the
# Chroma server. Build it with BuildKit; every package comes from uv.lock.
#
#   docker build -t strop:local .
#   docker build -t strop:local --build-arg BASE=python:3.11-slim-bookworm .
#
# Behind a proxy that signs with a certificate of its own, hand the bundle in for the build only:
#   docker build -t strop:local --secret id=ca,src=/etc/ssl/certs/ca-certificates.crt .
ARG BASE=debian:12-slim

FROM ${BASE} AS system
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        bubblewrap ca-certificates python3 tini \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 10001 strop \
    && useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/strop --shell /usr/sbin/nologin strop \
    && install -d -o strop -g strop -m 0700 /var/lib/strop /var/lib/chroma

FROM system AS build
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-pip \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/strop
ENV UV_CACHE_DIR=/cache UV_COMPILE_BYTECODE=1 UV_HTTP_TIMEOUT=180 UV_LINK_MODE=copy \
    UV_NO_PROGRESS=1 UV_PYTHON_DOWNLOADS=never
RUN --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi; \
    python3 -m pip install --quiet --no-cache-dir --disable-pip-version-check \
        --root-user-action=ignore --target /opt/uv "uv>=0.9,<1"
# The packages change less often than the code, so they are a layer of their own.
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN --mount=type=secret,id=ca --mount=type=cache,target=/cache \
    if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca; fi; \
    /opt/uv/bin/uv sync --frozen --no-install-project --no-default-groups --group weights \
        --python /usr/bin/python3
COPY strop ./
COPY app app/
COPY agents agents/
COPY tools tools/
COPY memory memory/
COPY sandboxes sandboxes/
COPY models models/
COPY evals evals/
RUN --mount=type=secret,id=ca --mount=type=cache,target=/cache \
    if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca; fi; \
    /opt/uv/bin/uv sync --frozen --no-default-groups --group weights --python /usr/bin/python3 \
    && python3 -m compileall -q app agents tools memory sandboxes models evals

FROM system
LABEL org.opencontainers.image.title="Strop" \
    org.opencontainers.image.description="A multi-agent runtime with self-evolving memory" \
    org.opencontainers.image.licenses="MIT"
COPY --from=build /opt/strop /opt/strop
COPY --chmod=0755 deploy/strop.sh /usr/local/bin/strop
ENV HOME=/var/lib/strop PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 STROP_HOME=/var/lib/strop
WORKDIR /var/lib/strop
VOLUME /var/lib/strop
USER 10001:10001
EXPOSE 8321
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["/opt/strop/.venv/bin/python", "-P", "/opt/strop/app/probe.py", "8321"]
# tini hands SIGTERM on and collects what sandboxes leave behind.
ENTRYPOINT ["/usr/bin/tini", "--", "/usr/local/bin/strop"]
CMD ["serve"]

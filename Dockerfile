# The bot in a container: `runtime` trades and has no TensorFlow, `trainer` has it and retrains (docs/docker.md).
#
# The base comes by its digest, so that the same file gives the same image: `make image-pin` looks it up once and writes it
# to .env, or give it by hand:
#   docker build --build-arg PYTHON_IMAGE=python:3.11-slim-bookworm@sha256:... --target runtime .
# There is no default on purpose: a digest that nobody looked up would be one that nobody can trust.
ARG PYTHON_IMAGE

# --- base -------------------------------------------------------------------------------------------------
FROM ${PYTHON_IMAGE} AS base
ARG PYTHON_IMAGE
SHELL ["/bin/bash", "-o", "errexit", "-o", "nounset", "-o", "pipefail", "-c"]
RUN [[ "${PYTHON_IMAGE}" == *@sha256:* ]] || { \
        echo "PYTHON_IMAGE is ${PYTHON_IMAGE}: name a digest (python:3.11-slim-bookworm@sha256:...); make image-pin finds it" >&2; \
        exit 1; \
    }
# Nothing is written beside the code at run time: its root file system may be read-only.
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

# --- build: tools and packages, each by its hash ----------------------------------------------------------
FROM base AS tools
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    UV_NO_CACHE=1 \
    UV_LINK_MODE=copy
WORKDIR /build
COPY requirements/uv.lock requirements/build.lock requirements/
RUN python -m venv /opt/tools \
    && /opt/tools/bin/python -m pip install --require-hashes -r requirements/uv.lock -r requirements/build.lock

FROM tools AS wheel
COPY pyproject.toml README.md LICENSE ./
COPY backtests backtests
COPY bot bot
COPY config config
COPY models models
COPY strategies strategies
RUN /opt/tools/bin/python -m pip wheel --no-deps --no-build-isolation --wheel-dir /build/dist .

# Bytecode is compiled here, once: without it every start would compile a hundred megabytes of ccxt.
FROM tools AS runtime-packages
COPY requirements/runtime.lock requirements/
RUN python -m venv --without-pip /opt/bot \
    && /opt/tools/bin/uv pip install --python /opt/bot/bin/python --compile-bytecode --require-hashes -r requirements/runtime.lock
COPY --from=wheel /build/dist dist
RUN /opt/tools/bin/uv pip install --python /opt/bot/bin/python --compile-bytecode --no-deps --no-index dist/*.whl

FROM tools AS trainer-packages
COPY requirements/train.lock requirements/
RUN python -m venv --without-pip /opt/bot \
    && /opt/tools/bin/uv pip install --python /opt/bot/bin/python --compile-bytecode --require-hashes -r requirements/train.lock
COPY --from=wheel /build/dist dist
RUN /opt/tools/bin/uv pip install --python /opt/bot/bin/python --compile-bytecode --no-deps --no-index dist/*.whl

# --- service: what both images share ----------------------------------------------------------------------
FROM base AS service
ARG PYTHON_IMAGE
ARG BOT_UID=10001
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="lstm-scalping-bot" \
      org.opencontainers.image.description="An event-driven crypto-scalping daemon: 1-minute candles in, LSTM predictions, paper trading unless told otherwise." \
      org.opencontainers.image.licenses="GPL-3.0-or-later" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${PYTHON_IMAGE}"
# Whatever a library keeps for itself goes to /tmp, a tmpfs; whatever the bot keeps goes to its one volume. There is no user
# of this number in /etc/passwd, so the names that libraries ask for are said here.
ENV BOT_STATE_DIR=/var/lib/bot \
    HOME=/tmp \
    LOGNAME=bot \
    MPLCONFIGDIR=/tmp/matplotlib \
    NUMBA_CACHE_DIR=/tmp/numba \
    PATH=/opt/bot/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    USER=bot \
    XDG_CACHE_HOME=/tmp/cache
RUN install -d -m 0700 -o "${BOT_UID}" -g "${BOT_UID}" /var/lib/bot \
    && install -d -m 0755 /srv/bot
VOLUME ["/var/lib/bot"]
# A strategy or settings of your own are mounted here, read-only: the bot looks for them where it stands.
WORKDIR /srv/bot
USER ${BOT_UID}:${BOT_UID}
# Progress, not an open port: healthy is a bot that decides its minutes. A first start warms up for some minutes.
HEALTHCHECK --interval=30s --timeout=10s --start-period=300s --retries=3 CMD ["bot", "healthcheck"]
# The bot ends its minute, cancels nothing that protects a position, and leaves with exit code 0.
STOPSIGNAL SIGTERM
ENTRYPOINT ["bot"]
CMD ["run"]

# --- trainer ----------------------------------------------------------------------------------------------
FROM service AS trainer
USER 0:0
# LightGBM's wheel is linked against the system's OpenMP.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*
ARG BOT_UID=10001
ENV TF_CPP_MIN_LOG_LEVEL=2
COPY --from=trainer-packages /opt/bot /opt/bot
USER ${BOT_UID}:${BOT_UID}
CMD ["retrainer"]

# --- runtime, the target of a plain `docker build .` ------------------------------------------------------
FROM service AS runtime
COPY --from=runtime-packages /opt/bot /opt/bot

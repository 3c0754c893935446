# syntax=docker/dockerfile:1
# One image, one process, one volume: /data. Debian, not Alpine: some wheels exist for glibc alone.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/appliance
WORKDIR /src
# The dependencies first, so that a change of ours does not fetch them again.
COPY requirements.lock ./
RUN /opt/appliance/bin/pip install --require-hashes --only-binary :all: -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY appliance ./appliance
RUN /opt/appliance/bin/pip install --no-deps . \
 && /opt/appliance/bin/python -m pip uninstall --yes pip

FROM python:${PYTHON}-slim
LABEL org.opencontainers.image.title="Analytics appliance" \
      org.opencontainers.image.description="Self-hosted web and product analytics in one process" \
      org.opencontainers.image.licenses="MIT"
RUN groupadd --gid 10001 appliance \
 && useradd --uid 10001 --gid appliance --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin appliance \
 && install --directory --owner appliance --group appliance --mode 0700 /data
COPY --from=build /opt/appliance /opt/appliance
ENV PATH=/opt/appliance/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    APPLIANCE_HOST=0.0.0.0 \
    APPLIANCE_DATA_DIR=/data
WORKDIR /data
USER 10001:10001
# After the folder has its owner, or the volume would belong to root.
VOLUME /data
EXPOSE 8000
# Not a URL library that reads proxy variables: this asks the process beside it, and nobody else.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import http.client as h, os; c = h.HTTPConnection('127.0.0.1', int(os.environ.get('APPLIANCE_PORT', 8000)), timeout=4); c.request('GET', '/readyz'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["appliance"]
CMD ["serve"]

# For a release, pin the base: --build-arg BASE=python:3.11-slim-bookworm@sha256:…
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv --without-pip /opt/venv && python -m venv /opt/build
COPY requirements.lock requirements-build.lock ./
RUN python -m pip --python /opt/venv/bin/python install --require-hashes --only-binary :all: -r requirements.lock \
 && /opt/build/bin/pip install --require-hashes --only-binary :all: -r requirements-build.lock
COPY pyproject.toml LICENSE ./
COPY engine engine
COPY rules rules
COPY examples/demo examples/demo
RUN /opt/build/bin/pip wheel --no-deps --no-index --no-build-isolation --wheel-dir dist . \
 && python -m pip --python /opt/venv/bin/python install --no-deps --no-index dist/*.whl

# Owned by root and readable by everyone, so that it also runs under the random user of group 0 that OpenShift chooses.
# Nothing is written: it works with a read-only root filesystem. A user of no entry in /etc/passwd has no home unless one is set.
FROM ${BASE}
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="rulepack" \
      org.opencontainers.image.description="A Kubernetes operator with a declarative rules engine inside" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY LICENSE /licenses/LICENSE
COPY --from=build /opt/venv /opt/venv
ENV HOME=/ PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 65532:0
ENTRYPOINT ["rulepack"]
CMD ["run"]

# For a release, pin the base: --build-arg BASE=python:3.11-slim-bookworm@sha256:…
ARG BASE=python:3.11-slim-bookworm

# Built on the builder's own platform for any other: nothing that is installed runs before the image does, so none is emulated.
FROM --platform=${BUILDPLATFORM} ${BASE} AS build
ARG TARGETARCH
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONHASHSEED=0
WORKDIR /src
RUN python -m venv --without-pip /opt/venv && python -m venv /opt/build
COPY requirements.lock requirements-build.lock ./
RUN case "${TARGETARCH:-$(uname -m)}" in arm64|aarch64) machine=aarch64 ;; *) machine=x86_64 ;; esac \
 && for tag in 2014 _2_17 _2_24 _2_26 _2_28 _2_34; do platforms="$platforms --platform=manylinux${tag}_$machine"; done \
 && python -m pip install --no-compile $platforms --target /opt/packages --require-hashes --only-binary :all: -r requirements.lock \
 && rm -rf /opt/packages/bin && mv /opt/packages/* /opt/venv/lib/python3*/site-packages/ && rmdir /opt/packages \
 && /opt/build/bin/pip install --require-hashes --only-binary :all: -r requirements-build.lock
# Left out: the lexers of Pygments, which rich brings, and what some packages bring of tests and for compilers and type checkers.
RUN cd /opt/venv/lib/python3*/site-packages \
 && rm -rf */tests \
 && find pygments/lexers -name '*.py' -not -name __init__.py -not -name _mapping.py -delete \
 && find . -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.h' \) -delete
COPY pyproject.toml LICENSE ./
COPY engine engine
COPY rules rules
COPY examples/demo examples/demo
RUN /opt/build/bin/pip wheel --no-deps --no-index --no-build-isolation --wheel-dir dist . \
 && python -m pip --python /opt/venv/bin/python install --no-compile --no-deps --no-index dist/*.whl
# Compiled code that names no time, so that two builds are the same, and is never checked against its source, which nothing changes.
RUN python -m compileall -q -f --invalidation-mode unchecked-hash /opt/venv/lib

# Owned by root and readable by everyone, so that it also runs under the random user of group 0 that OpenShift chooses.
# Nothing is written: it works with a read-only root filesystem. A user of no entry in /etc/passwd has no home unless one is set.
# The platform is the default, and said because buildah 1.28 would go on with the one of the stage before.
FROM --platform=${TARGETPLATFORM} ${BASE}
ARG VERSION=0.0.0
ARG RELEASE=1
ARG REVISION=unknown
LABEL org.opencontainers.image.title="rulepack" \
      org.opencontainers.image.description="A Kubernetes operator with a declarative rules engine inside" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.vendor="The rulepack project" \
      org.opencontainers.image.source="https://github.com/rulepack/rulepack" \
      org.opencontainers.image.documentation="https://github.com/rulepack/rulepack/tree/main/docs" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# Red Hat's preflight asks for these, and for the folder /licenses.
LABEL name="rulepack" \
      vendor="The rulepack project" \
      maintainer="maintainers@rulepack.dev" \
      version="${VERSION}" \
      release="${RELEASE}" \
      summary="Rulepack, a Kubernetes operator with a declarative rules engine inside" \
      description="Evaluates rules, written in YAML and CEL, on every change of the objects that they watch, and acts on others."
COPY LICENSE /licenses/LICENSE
COPY --from=build /opt/venv /opt/venv
ENV HOME=/ PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 65532:0
ENTRYPOINT ["rulepack"]
CMD ["run"]

# workspace-authz with MLflow, and drivers for every database and bucket that MLflow knows. `make image` builds it
# with docker, podman or buildah. Arguments of a container are those of `mlflow server`.
#
# The base is any image with Python 3.11 or newer and its venv module. Pin yours by digest; see docs/image.md:
#   --build-arg BASE=python:3.11-slim@sha256:…
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
WORKDIR /src
COPY image/build image/build
COPY requirements/setup.txt requirements/sbom.txt requirements/server-all.txt requirements/
RUN image/build tools
RUN image/build locked
COPY pyproject.toml README.md LICENSE ./
COPY workspace_authz workspace_authz
RUN image/build project

FROM ${BASE}
COPY image/finish /tmp/finish
RUN /tmp/finish && rm /tmp/finish
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    GIT_PYTHON_REFRESH=quiet \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /mlflow
USER 1001:0
EXPOSE 8080
ENTRYPOINT ["mlflow", "server"]
CMD ["--app-name=workspace-authz", "--enable-workspaces", "--workspace-store-uri=kubernetes://", "--host=0.0.0.0", "--port=8080"]

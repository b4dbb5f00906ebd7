# workspace-authz with MLflow. Arguments are those of `mlflow server`:
#   docker build -t workspace-authz:0.1.0 .
FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements/setup.txt requirements/server.txt requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/setup.txt \
    && python -m venv --without-pip /opt/venv \
    && uv pip install --no-cache --python /opt/venv --require-hashes -r requirements/server.txt
COPY pyproject.toml README.md LICENSE ./
COPY workspace_authz workspace_authz
RUN hatchling build --target wheel --directory /dist \
    && uv pip install --no-cache --python /opt/venv --no-deps /dist/*.whl

FROM python:3.11-slim
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# Group 0 owns what must be writable: OpenShift runs the image with an arbitrary user id in that group.
RUN mkdir /mlflow && chown 1001:0 /mlflow && chmod g=u /mlflow
WORKDIR /mlflow
USER 1001
EXPOSE 8080
ENTRYPOINT ["mlflow", "server"]
CMD ["--app-name=workspace-authz", "--enable-workspaces", "--workspace-store-uri=kubernetes://", "--host=0.0.0.0", "--port=8080"]

# The image of the online endpoint. Never built where this was written; its server was run without a container.
ARG BASE=docker.io/library/python:3.11-slim-bookworm
FROM ${BASE}

COPY requirements/online.txt /opt/segengine/requirements.txt
RUN python -m pip install --no-cache-dir --require-hashes --no-deps --only-binary=:all: \
      -r /opt/segengine/requirements.txt
COPY segengine /opt/segengine/source/segengine

ENV PYTHONPATH=/opt/segengine/source PYTHONUNBUFFERED=1
EXPOSE 5001
# Azure sets AML_APP_ROOT and AZUREML_ENTRY_SCRIPT from the deployment's code.
CMD ["sh", "-c", "exec azmlinfsrv --entry_script \"$AML_APP_ROOT/$AZUREML_ENTRY_SCRIPT\" --port 5001"]

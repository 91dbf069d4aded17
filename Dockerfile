# sadefect with what the lock names: `make image`, then
#   docker run -v STORE:/store -v DATA:/data sadefect record --minutes 60
# Runs as a user without rights; the store and the data are volumes.
FROM python:3.11-slim AS install
WORKDIR /sadefect
COPY requirements.lock .
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY sadefect sadefect
COPY workflow workflow
COPY book book
COPY notebooks notebooks
COPY recorded recorded
COPY _config.yml CHANGELOG.md CITATION.cff ./
# Snakemake is not in the lock.
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check --editable ".[workflow]"

FROM python:3.11-slim
COPY --from=install /venv /venv
COPY --from=install /sadefect /sadefect
RUN useradd --create-home --uid 1000 sadefect && mkdir /store /data && chown sadefect /store /data
# A result says what commit made it; .git is not copied.
ARG COMMIT
ENV SADEFECT_COMMIT=$COMMIT
USER 1000
WORKDIR /sadefect
ENV PATH=/venv/bin:$PATH SADEFECT_CACHE=/store SADEFECT_DATA=/data TF_CPP_MIN_LOG_LEVEL=3
ENTRYPOINT ["sadefect"]
CMD ["--help"]

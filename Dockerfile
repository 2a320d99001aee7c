# Precis: docker build -t precis . && docker run -p 8484:8484 -v ./config.yaml:/etc/precis/config.yaml precis
FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE config.yaml ./
COPY proxy proxy
RUN python -m venv /opt/precis && /opt/precis/bin/pip install --no-cache-dir .

FROM python:3.11-slim
COPY --from=build /opt/precis /opt/precis
COPY config.yaml /etc/precis/config.yaml
RUN useradd --system --no-create-home precis && install -d -o precis /var/cache/precis
USER precis
ENV PATH=/opt/precis/bin:$PATH XDG_CACHE_HOME=/var/cache
EXPOSE 8484
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8484/health/readiness', timeout=2)"]
# Beyond loopback Precis asks for tenants, or for server.allow_anonymous: true in the mounted file.
ENTRYPOINT ["precis", "serve", "--config", "/etc/precis/config.yaml", "--host", "0.0.0.0"]

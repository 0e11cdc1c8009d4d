# One image for all processes of the product: `delivery api`, `worker`, `beat`, `migrate`, `sandbox`.
# Its own packages are copied and not built: nothing is fetched that requirements.txt does not pin by hash.

FROM python:3.11-slim-bookworm AS build
COPY requirements.txt /build/requirements.txt
# Without pip in it: nothing is installed later.
RUN python3 -m venv --without-pip /opt/delivery
RUN python3 -m pip --python /opt/delivery/bin/python install --no-cache-dir --no-compile --require-hashes -r /build/requirements.txt
COPY worker /opt/delivery/lib/python3.11/site-packages/worker
COPY api /opt/delivery/lib/python3.11/site-packages/api
COPY cli /opt/delivery/lib/python3.11/site-packages/cli
COPY sandbox /opt/delivery/lib/python3.11/site-packages/sandbox
RUN printf '#!/opt/delivery/bin/python\nfrom cli.main import run\nrun()\n' > /opt/delivery/bin/delivery && chmod 755 /opt/delivery/bin/delivery
# The file system is read-only later: what is compiled now starts faster then.
RUN /opt/delivery/bin/python -m compileall -q /opt/delivery/lib

FROM python:3.11-slim-bookworm
COPY --from=build /opt/delivery /opt/delivery
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin delivery
ENV PATH=/opt/delivery/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 DELIVERY_LOG_FORMAT=json
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000 8001 9100
ENTRYPOINT ["delivery"]
CMD ["--help"]

# In place of rust, where no image registry is reachable: the toolchain of this machine.
FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates gcc g++ libc6-dev make cmake \
    && rm -rf /var/lib/apt/lists/*
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY toolchain /usr/local/toolchain
ENV PATH=/usr/local/toolchain/bin:$PATH RUSTUP_TOOLCHAIN=

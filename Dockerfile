# The image of Hallpass: one binary, no shell is needed to run it, not as root.
FROM rust:1.95-bookworm AS build
# `dev` for a quick build without optimisation.
ARG PROFILE=release
WORKDIR /src
COPY . .
RUN cargo install --locked --path . --root /out --profile "$PROFILE"

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin hallpass \
    && install -d -o hallpass -g hallpass -m 0700 /config /data
COPY --from=build /out/bin/hallpass /usr/local/bin/hallpass
USER hallpass
WORKDIR /data
EXPOSE 8090
ENTRYPOINT ["hallpass"]
CMD ["serve"]

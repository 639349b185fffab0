# In place of keycloak/keycloak, where no image registry is reachable: Keycloak's own distribution, a Java runtime, the
# same ports, variables and commands.
FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends openjdk-17-jre-headless && rm -rf /var/lib/apt/lists/*
COPY keycloak /opt/keycloak
RUN useradd --uid 1000 --home-dir /opt/keycloak keycloak && install -d /opt/keycloak/data/h2 \
    && chown -R keycloak /opt/keycloak
USER keycloak
EXPOSE 8080 9000
ENTRYPOINT ["/opt/keycloak/bin/kc.sh"]

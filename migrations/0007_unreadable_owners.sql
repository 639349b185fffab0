-- Owners whose tokens are suspended because Keycloak does not answer about them, while it answers for others; and since when.
CREATE TABLE unreadable_owners (
    user_id TEXT PRIMARY KEY,
    since BIGINT NOT NULL
);

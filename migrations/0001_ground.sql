-- One set of statements for SQLite and PostgreSQL. Two column types: TEXT and BIGINT. Times are epoch
-- milliseconds, flags are nullable times, lists are JSON, ids are hyphenated UUIDs.

-- What this store belongs to.
CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- Replicas hear of changes by number. The one counter row is locked by each writer, so that the order
-- of the numbers is the order of the commits.
CREATE TABLE change_counter (
    id BIGINT PRIMARY KEY,
    last_number BIGINT NOT NULL
);
INSERT INTO change_counter (id, last_number) VALUES (1, 0);
CREATE TABLE changes (
    number BIGINT PRIMARY KEY,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    changed_at BIGINT NOT NULL
);

CREATE TABLE signing_keys (
    kid TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    sealed_private_key TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    activated_at BIGINT,
    retired_at BIGINT
);
CREATE UNIQUE INDEX signing_keys_one_active ON signing_keys (state) WHERE state = 'active';

-- One row an owner: the lock under which live tokens are counted.
CREATE TABLE owners (
    user_id TEXT PRIMARY KEY,
    tokens_created BIGINT NOT NULL
);

CREATE TABLE tokens (
    pat_id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    username TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    kid TEXT NOT NULL,
    owner_roles TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    revoked_reason TEXT,
    suspended_at BIGINT,
    last_used_at BIGINT,
    last_used_ip TEXT,
    scopes TEXT,
    roles TEXT,
    audience TEXT,
    allowed_cidrs TEXT,
    rotated_from TEXT,
    rotated_to TEXT,
    grace_until BIGINT
);
CREATE UNIQUE INDEX tokens_one_name ON tokens (user_id, name) WHERE rotated_to IS NULL;
CREATE INDEX tokens_of_owner ON tokens (user_id, created_at, pat_id);

CREATE TABLE audit_events (
    event_id TEXT PRIMARY KEY,
    occurred_at BIGINT NOT NULL,
    action TEXT NOT NULL,
    credential_id TEXT NOT NULL,
    credential_name TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    actor_name TEXT NOT NULL,
    actor_credential TEXT NOT NULL,
    address TEXT NOT NULL,
    request_id TEXT NOT NULL,
    reason TEXT
);
CREATE INDEX audit_events_by_credential ON audit_events (credential_id, occurred_at);

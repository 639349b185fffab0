-- What a token says of its owner's authority, and what of its owner was accepted since.

-- The claims of the token that carry authority, as canonical JSON; null: it has none, or is older than this column.
ALTER TABLE tokens ADD COLUMN authority_claims TEXT;
-- The owner's roles and claims that an operator accepted when they released the token; null: those at its issue count.
ALTER TABLE tokens ADD COLUMN accepted_roles TEXT;
ALTER TABLE tokens ADD COLUMN accepted_claims TEXT;

-- API clients that Hallpass deleted, until the owners who had roles of them are looked at: Hallpass passes over the events
-- of its own acts.
CREATE TABLE deleted_clients (
    client_id TEXT PRIMARY KEY,
    deleted_at BIGINT NOT NULL
);

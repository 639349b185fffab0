-- What the owner of a token is called now: `username` follows them from here on, and so does their address.

-- The owner's email address; empty: they have none. Null: nobody has asked Keycloak yet.
ALTER TABLE tokens ADD COLUMN email TEXT;
-- 1: Keycloak says that it is theirs.
ALTER TABLE tokens ADD COLUMN email_verified BIGINT;

-- Personal access tokens: searched, sorted by everything that a list shows, and rotated in families.

-- What a search looks at: name and owner's name, in lower case.
ALTER TABLE tokens ADD COLUMN search_text TEXT NOT NULL DEFAULT '';
UPDATE tokens SET search_text = name || '
' || LOWER(username);
-- The first token of the chain of rotations that this one is in; null: this is the first.
ALTER TABLE tokens ADD COLUMN family_id TEXT;
-- When a person last made or rotated it by themselves; null: at its creation.
ALTER TABLE tokens ADD COLUMN chain_began_at BIGINT;

-- Never used is 0: the two databases put a null at different ends of a list.
UPDATE tokens SET last_used_at = 0 WHERE last_used_at IS NULL;

-- Each order that an administrator can ask for. Behind the key stand the columns that a search and a status look at,
-- so that a row is read from the table only when it is on the page.
CREATE INDEX tokens_by_name
    ON tokens (name, pat_id, search_text, expires_at, revoked_at, suspended_at, grace_until);
CREATE INDEX tokens_by_username
    ON tokens (username, pat_id, search_text, expires_at, revoked_at, suspended_at, grace_until);
CREATE INDEX tokens_by_creation
    ON tokens (created_at, pat_id, search_text, expires_at, revoked_at, suspended_at, grace_until);
CREATE INDEX tokens_by_end
    ON tokens (expires_at, pat_id, search_text, revoked_at, suspended_at, grace_until);
CREATE INDEX tokens_by_use
    ON tokens (last_used_at, pat_id, search_text, expires_at, revoked_at, suspended_at, grace_until);
-- How many there are of a status.
CREATE INDEX tokens_by_state
    ON tokens (revoked_at, suspended_at, expires_at, grace_until, search_text);
CREATE INDEX tokens_by_id
    ON tokens (pat_id, search_text, expires_at, revoked_at, suspended_at, grace_until);

CREATE INDEX tokens_newest_of_family ON tokens (family_id) WHERE rotated_to IS NULL;
CREATE INDEX tokens_unrevoked_of_family ON tokens (family_id) WHERE revoked_at IS NULL;
CREATE INDEX tokens_rotated ON tokens (rotated_to) WHERE rotated_to IS NOT NULL;

-- Rotated tokens that come back after their grace.

-- Who rotated the token: `pat` is the token itself, `person` its owner. Null: nobody did, or a version before this one.
ALTER TABLE tokens ADD COLUMN rotated_by TEXT;
-- When a token that a person rotated was first used after its grace.
ALTER TABLE tokens ADD COLUMN late_use_at BIGINT;

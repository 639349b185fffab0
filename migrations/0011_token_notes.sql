-- What people say of the end of a token, and why one is suspended: for its owner.

-- The words of whoever revoked it.
ALTER TABLE tokens ADD COLUMN revoked_note TEXT;
-- Why it was last suspended.
ALTER TABLE tokens ADD COLUMN suspended_reason TEXT;
-- Of those that the brake holds it is known.
UPDATE tokens SET suspended_reason =
    (SELECT held_reason FROM owners WHERE owners.user_id = tokens.user_id AND held_at IS NOT NULL)
    WHERE suspended_at IS NOT NULL;

-- What happens to owners, followed: how far the realm's events were read, and what is known of each owner.

-- One row a list of events; the position is the time of the newest event that is dealt with, by Keycloak's clock.
CREATE TABLE followed_events (
    source TEXT PRIMARY KEY,
    position BIGINT NOT NULL
);

-- Since when it is known that the owner comes from somewhere else, such as LDAP: they can seem disabled or gone.
ALTER TABLE owners ADD COLUMN federated_at BIGINT;
-- When the sweep began that found the owner disabled or gone, where it is not certain.
ALTER TABLE owners ADD COLUMN doubted_at BIGINT;

-- The brake holds the owner's tokens suspended since then, until a person decides; and what was to happen to them.
ALTER TABLE owners ADD COLUMN held_at BIGINT;
ALTER TABLE owners ADD COLUMN held_reason TEXT;
CREATE INDEX owners_held ON owners (user_id) WHERE held_at IS NOT NULL;

-- One row: which process follows the realm, and how far it is. The beat changes while that process lives: the others
-- take over by the beat that they saw stand still, so no two clocks are compared.
CREATE TABLE follower (
    id BIGINT PRIMARY KEY,
    process TEXT,
    beat BIGINT NOT NULL,
    -- When the newest reading of events began that dealt with all of them.
    polled_at BIGINT,
    -- When the newest sweep began that looked at every owner.
    swept_at BIGINT
);
INSERT INTO follower (id, process, beat) VALUES (1, NULL, 0);

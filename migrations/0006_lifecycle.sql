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

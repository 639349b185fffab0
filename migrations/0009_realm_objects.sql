-- What bootstrap made in the realm, by Keycloak's own ids: an object of the same name with another id is not ours.
CREATE TABLE realm_objects (
    keycloak_id TEXT PRIMARY KEY,
    -- client, client_scope or key_provider.
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    -- When the id was chosen, before Keycloak was asked to use it.
    chosen_at BIGINT NOT NULL,
    -- When the object was seen in Keycloak under this id; null: whether it was made is not known.
    made_at BIGINT
);
CREATE UNIQUE INDEX realm_objects_one_name ON realm_objects (kind, name);

-- API clients: who owns them, what they were last known to be, and what is being done to them.

-- One row an account that has, or had, clients. The count is what the quota is held against, and its row is the lock
-- under which clients are created.
CREATE TABLE accounts (
    account_id TEXT PRIMARY KEY,
    -- Set by an administrator; null: the configured one.
    quota BIGINT,
    clients BIGINT NOT NULL
);

CREATE TABLE clients (
    -- Also an attribute of the Keycloak client: so a leftover is known for certain.
    record_id TEXT PRIMARY KEY,
    client_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    owner_username TEXT NOT NULL,
    -- Keycloak's internal id; null until Keycloak has made the client.
    keycloak_id TEXT,
    -- The fields as Keycloak was last seen to have them, as JSON.
    spec TEXT NOT NULL,
    -- The fields as Hallpass last wrote them, as JSON: what differs was changed by somebody else.
    written TEXT NOT NULL,
    display_name TEXT NOT NULL,
    -- What a search looks at, in lower case.
    search_text TEXT NOT NULL,
    -- Set where display names are unique within the account.
    unique_name TEXT,
    created_at BIGINT NOT NULL,
    secret_created_at BIGINT,
    -- What is being done to it, until when nobody else touches it, and what it will be then.
    operation TEXT,
    lease_until BIGINT,
    plan TEXT,
    -- Counts changes of this row: a change is made to what was read, or not at all.
    version BIGINT NOT NULL,
    missing_at BIGINT,
    drifted_at BIGINT,
    orphaned_at BIGINT
);
CREATE UNIQUE INDEX clients_one_id ON clients (client_id);
CREATE UNIQUE INDEX clients_one_keycloak_id ON clients (keycloak_id);
CREATE UNIQUE INDEX clients_one_name ON clients (account_id, unique_name);
CREATE INDEX clients_of_account ON clients (account_id, created_at, client_id);
CREATE INDEX clients_by_creation ON clients (created_at, client_id);
CREATE INDEX clients_of_owner ON clients (owner_id, created_at, client_id);
CREATE INDEX clients_in_operation ON clients (lease_until) WHERE operation IS NOT NULL;

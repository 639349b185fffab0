-- API clients in the orders that an administrator can ask for.
CREATE INDEX clients_by_display_name ON clients (display_name, client_id);
CREATE INDEX clients_by_account ON clients (account_id, client_id);
CREATE INDEX clients_by_owner ON clients (owner_username, client_id);

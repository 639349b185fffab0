-- What is known of API clients beside their fields.

-- Which fields somebody changed in Keycloak, as a JSON list; null: none, or nobody looked yet.
ALTER TABLE clients ADD COLUMN drifted_fields TEXT;
-- Since when the owner to whom the client was handed on may read its secret once.
ALTER TABLE clients ADD COLUMN secret_unread_at BIGINT;

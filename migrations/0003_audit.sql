-- The audit log as a list: each way to look at it has its index, in the order in which it is answered.

-- The credential's and the actor's name, in lower case. Empty only in rows of a version before this one that still
-- runs beside it: a search does not find them, every other filter does.
ALTER TABLE audit_events ADD COLUMN search_text TEXT NOT NULL DEFAULT '';
-- The database lowers what it can; SQLite knows the 26 letters only.
UPDATE audit_events SET search_text = LOWER(credential_name || '
' || actor_name);

DROP INDEX audit_events_by_credential;
CREATE INDEX audit_events_in_order ON audit_events (occurred_at, event_id);
CREATE INDEX audit_events_of_credential ON audit_events (credential_id, occurred_at, event_id);
CREATE INDEX audit_events_of_owner ON audit_events (owner_id, occurred_at, event_id);
CREATE INDEX audit_events_by_actor ON audit_events (actor_id, occurred_at, event_id);
CREATE INDEX audit_events_of_action ON audit_events (action, occurred_at, event_id);

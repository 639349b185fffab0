//! The audit log: one event with each act, in its transaction, for good.

use hallpass::audit::{Act, Event};
use hallpass::store::NewToken;
use sqlx::Row as _;

use super::{Fresh, delete, event, new_token, on_each, revoke};

impl Fresh {
    async fn audit(&self) -> Vec<Vec<Option<String>>> {
        let rows = self
            .rows(
                "SELECT action, event_id, credential_id, credential_name, owner_id, actor_id, actor_name, \
                 actor_credential, address, request_id, reason, CAST(occurred_at AS TEXT) \
                 FROM audit_events ORDER BY occurred_at, action",
            )
            .await;
        rows.iter().map(|row| (0..row.len()).map(|column| row.get(column)).collect()).collect()
    }

    /// How many rows there are of everything that an act writes.
    async fn sizes(&self) -> [i64; 4] {
        let mut sizes = [0; 4];
        for (size, table) in sizes.iter_mut().zip(["tokens", "changes", "audit_events", "owners"]) {
            *size = self.count(table).await;
        }
        sizes
    }
}

fn as_written(event: &Event) -> Vec<Option<String>> {
    let texts = [
        event.action.name().to_owned(),
        event.id.to_string(),
        event.credential_id.clone(),
        event.credential_name.clone(),
        event.owner_id.to_string(),
        event.actor_id.to_string(),
        event.actor_name.clone(),
        event.actor_credential.clone(),
        event.address.clone(),
        event.request_id.clone(),
    ];
    let mut columns: Vec<_> = texts.into_iter().map(Some).collect();
    columns.extend([event.full_reason(), Some(event.at.millis().to_string())]);
    columns
}

#[tokio::test]
async fn the_audit_log_survives_the_token() {
    on_each!(|fresh| {
        let token = new_token("alice", "ci");
        let mut created = event(Act::TokenCreated, &token);
        created.reason = None;
        fresh.store.create_token(&token, 0, &created).await.unwrap();
        let mut revoked = event(Act::TokenRevoked, &token);
        revoked.at = created.at.plus(super::DAY);
        revoke(&fresh.store, token.pat_id, &revoked).await.unwrap();
        let mut deleted = event(Act::TokenDeleted, &token);
        deleted.at = revoked.at.plus(super::DAY);
        delete(&fresh.store, token.pat_id, &deleted).await.unwrap();
        assert_eq!(fresh.count("tokens").await, 0);
        assert_eq!(fresh.audit().await, [&created, &revoked, &deleted].map(as_written));
    });
}

/// An event whose id is taken cannot be written: then the act is not done either.
fn unwritable(action: Act, token: &NewToken, written: &Event) -> Event {
    Event { id: written.id, ..event(action, token) }
}

#[tokio::test]
async fn an_act_that_cannot_be_told_is_not_done() {
    on_each!(|fresh| {
        let token = new_token("alice", "ci");
        let created = event(Act::TokenCreated, &token);
        fresh.store.create_token(&token, 0, &created).await.unwrap();
        let before = fresh.sizes().await;
        let record = fresh.store.find_token(&token.user_id, token.pat_id).await.unwrap();

        let other = new_token("bob", "other");
        let failing = unwritable(Act::TokenCreated, &other, &created);
        fresh.store.create_token(&other, 0, &failing).await.unwrap_err();
        let failing = unwritable(Act::TokenRevoked, &token, &created);
        revoke(&fresh.store, token.pat_id, &failing).await.unwrap_err();
        let failing = unwritable(Act::TokenDeleted, &token, &created);
        delete(&fresh.store, token.pat_id, &failing).await.unwrap_err();

        assert_eq!(fresh.sizes().await, before);
        assert_eq!(fresh.store.find_token(&token.user_id, token.pat_id).await.unwrap(), record);
        assert_eq!(fresh.store.last_change().await.unwrap(), 0);
        // And the same acts, told, are done.
        super::create(&fresh.store, &other).await.unwrap();
        let revoked = event(Act::TokenRevoked, &token);
        revoke(&fresh.store, token.pat_id, &revoked).await.unwrap();
        assert_eq!(fresh.sizes().await, [2, 1, 3, 2]);
    });
}

//! Following the realm: one process of those that serve from one store does.
//!
//! 1. Events of administrators and users are read every `lifecycle.poll_interval`, with an overlap, since they are
//!    stamped before their commit; those that were seen are passed over. What an event is about is read anew and compared,
//!    and once more a moment later: Keycloak forgets what it remembers of users and roles only after the commit.
//!    How far they are dealt with is in the store, so that a restart, or another process, goes on from there.
//! 2. Everything is looked at when a process begins to follow, and every `lifecycle.sweep_interval`.
//! 3. Interrupted operations are brought to an end at start and every few seconds, by each process.
//!
//! Each of them fails on its own, is said once, and is tried again. One client or user that cannot be looked at does not
//! keep the others; it is looked at again with the next events.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::feed::Feed;
use super::many::Many;
use super::owners::{Force, Hint, TokenOwners};
use super::round::Looked;
use super::turn::Turn;
use crate::client::Clients;
use crate::clock::Timestamp;
use crate::config::Lifecycle;
use crate::error::Error;
use crate::id::UserId;
use crate::keycloak::{ClientId, EventKind, Keycloak, Subject, UserChange, Wide};
use crate::store::{DeletedClient, StoreError};

const RECONCILE_INTERVAL: Duration = Duration::from_secs(5);
/// A sweep that failed is tried again this much later, or after the interval where that is shorter.
const RETRY: Duration = Duration::from_secs(30);

/// Follows the realm. Clones share the position.
#[derive(Clone)]
pub struct Watch {
    keycloak: Keycloak,
    clients: Clients,
    token_owners: TokenOwners,
    settings: Lifecycle,
    position: Arc<Mutex<Position>>,
    /// Owners of whom one event concerns several.
    many: Many,
    polled: Polled,
}

/// When the newest reading of events began after which nothing was left to do. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Polled(Arc<AtomicI64>);

impl Polled {
    pub(super) fn get(&self) -> Option<Timestamp> {
        let millis = self.0.load(Ordering::Relaxed);
        (millis > 0).then(|| Timestamp::from_millis(millis))
    }
}

/// How far the events were read, and what of them could not be dealt with yet.
struct Position {
    feeds: [Feed; 2],
    /// What happened while nobody followed was read.
    caught_up: bool,
    clients: BTreeSet<String>,
    users: BTreeMap<UserId, UserChange>,
    /// Looked at once: again with the next events.
    again: BTreeMap<UserId, UserChange>,
    /// Clients that Hallpass deleted, and for which looks were asked.
    deleted: BTreeSet<DeletedClient>,
}

impl Position {
    /// From where the store says; what happened before the first start is the first sweep's.
    fn noted() -> Self {
        Self {
            feeds: [Feed::new(EventKind::Admin), Feed::new(EventKind::User)],
            caught_up: false,
            clients: BTreeSet::new(),
            users: BTreeMap::new(),
            again: BTreeMap::new(),
            deleted: BTreeSet::new(),
        }
    }
}

impl Watch {
    /// Follows by way of these.
    #[must_use]
    pub fn new(keycloak: Keycloak, clients: Clients, token_owners: TokenOwners) -> Self {
        Self {
            settings: token_owners.settings,
            many: Many::new(keycloak.clone(), token_owners.clone()),
            keycloak,
            clients,
            token_owners,
            position: Arc::new(Mutex::new(Position::noted())),
            polled: Polled::default(),
        }
    }

    /// Follows until `end`, whenever it is this process's turn.
    pub async fn run(self, end: impl Future<Output = ()>) {
        let (store, poll) = (self.clients.store.clone(), self.settings.poll_interval);
        let turn = Turn::new(store, &self.clients.clock, self.polled.clone(), poll);
        let turns = async {
            loop {
                let beat = turn.wait().await;
                *self.position.lock().await = Position::noted();
                tokio::select! {
                    () = self.follow() => {}
                    () = turn.keep(beat) => {}
                }
            }
        };
        tokio::select! {
            () = async { tokio::join!(turns, self.reconcile()); } => {}
            () = end => {}
        }
        turn.leave().await;
    }

    async fn follow(&self) {
        let Lifecycle { poll_interval, sweep_interval, .. } = self.settings;
        let retry = RETRY.min(sweep_interval);
        let sweep_clients = || self.clients.sweep();
        let sweep_owners = || self.token_owners.sweep();
        tokio::join!(
            repeat("events cannot be followed", poll_interval, poll_interval, || self.poll()),
            repeat("API clients cannot be swept", sweep_interval, retry, sweep_clients),
            repeat("owners of tokens cannot be swept", sweep_interval, retry, sweep_owners),
            self.many.look_when_asked(),
        );
    }

    /// Reads new events, and looks at what they are about.
    pub async fn poll(&self) -> Result<(), Error> {
        let position = &mut *self.position.lock().await;
        let begun = self.clients.clock.now();
        // Without it our own acts are followed as anybody's.
        let own_client = self.token_owners.owners.get_own_client().await.ok();
        let own_client = own_client.as_ref().map(ClientId::uuid);
        let (mut unread, mut fresh) = (None, BTreeMap::new());
        self.ask_for_deleted_clients(&mut position.deleted).await?;
        for feed in &mut position.feeds {
            let (store, now) = (&self.clients.store, self.clients.clock.now());
            match feed.read(&self.keycloak, store, own_client, now).await {
                Ok(subjects) => {
                    for subject in subjects {
                        match subject {
                            Subject::Client(uuid) => drop(position.clients.insert(uuid)),
                            Subject::User(user, change) => note(&mut fresh, user, change),
                            Subject::Owners(wide) => self.many.ask(wide),
                        }
                    }
                }
                Err(error) => unread = Some(error),
            }
        }
        if !position.caught_up {
            let missed = fresh.extract_if(.., |_, change| !change.may_be_a_departure());
            self.many.ask_for_missed(missed.map(|(user, _)| user));
            position.caught_up = unread.is_none();
        }
        for (user, change) in std::mem::take(&mut position.again) {
            position.users.entry(user).or_insert(change);
        }
        for (user, change) in &fresh {
            note(&mut position.users, user.clone(), *change);
        }
        position.again = fresh;
        let unsettled = self.settle(&mut position.clients, &mut position.users).await;
        if let Some(error) = unread.or(unsettled) {
            return Err(error);
        }
        // What concerns many is not kept anywhere else: who goes on from here reads it again.
        if self.many.is_done() {
            for feed in &mut position.feeds {
                feed.settle(&self.clients.store).await?;
            }
            for client in std::mem::take(&mut position.deleted) {
                self.clients.store.forget_deleted_client(&client).await?;
            }
        }
        self.polled.0.store(begun.millis(), Ordering::Relaxed);
        Ok(())
    }

    /// Events of our own acts are passed over; but with a client that we delete its roles are gone.
    async fn ask_for_deleted_clients(
        &self,
        asked: &mut BTreeSet<DeletedClient>,
    ) -> Result<(), StoreError> {
        for client in self.clients.store.list_deleted_clients().await? {
            if asked.insert(client.clone()) {
                self.many.ask(Wide::FormerClient(client.client_id));
            }
        }
        Ok(())
    }

    /// Looks at these; what cannot be looked at stays. Answers the last failure.
    async fn settle(
        &self,
        clients: &mut BTreeSet<String>,
        users: &mut BTreeMap<UserId, UserChange>,
    ) -> Option<Error> {
        let mut failure = None;
        for uuid in std::mem::take(clients) {
            if let Err(error) = self.clients.observe_keycloak_client(&uuid).await {
                failure = Some(error);
                clients.insert(uuid);
            }
        }
        let noted = std::mem::take(users);
        let force = Force::EndUnlessWeighed;
        let hints =
            noted.iter().map(|(user, change)| (user.clone(), Hint::Event(*change))).collect();
        for Looked { owner, outcome } in self.token_owners.look_at_each(hints, force).await {
            let Err(error) = outcome else { continue };
            tracing::debug!(user_id = %owner, cause = error.chain(), "an owner cannot be looked at");
            failure = Some(error);
            users.extend(noted.get(&owner).map(|change| (owner.clone(), *change)));
        }
        for (user, change) in noted {
            if let Err(error) = self.clients.observe_owner(&user).await {
                failure = Some(error);
                users.insert(user, change);
            }
        }
        failure
    }

    async fn reconcile(&self) {
        let reconcile = || self.clients.reconcile();
        let interval = RECONCILE_INTERVAL;
        repeat("operations cannot be ended", interval, interval, reconcile).await;
    }
}

/// The last word of whether a user left counts; what says nothing of it takes nothing back.
fn note(users: &mut BTreeMap<UserId, UserChange>, user: UserId, change: UserChange) {
    let noted = users.entry(user).or_insert(change);
    if change != UserChange::Changed {
        *noted = change;
    }
}

/// Does it again and again, after a failure sooner; says once that it fails, and once that it goes on.
async fn repeat<F: Future<Output = Result<(), Error>>>(
    complaint: &'static str,
    period: Duration,
    retry: Duration,
    act: impl Fn() -> F,
) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        if failing {
            sleep(retry).await;
            ticks.reset();
        } else {
            ticks.tick().await;
        }
        let outcome = act().await;
        match &outcome {
            Ok(()) if failing => tracing::info!(complaint, "this works again"),
            Err(error) if !failing => tracing::error!(complaint, cause = error.chain(), %error),
            _ => {}
        }
        failing = outcome.is_err();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_of_whether_a_user_left_counts() {
        use UserChange::{Changed, Edited, Enabled, Left};
        for (changes, noted) in [
            (&[Changed, Left][..], Left),
            (&[Left, Changed], Left),
            (&[Left, Enabled], Enabled),
            (&[Enabled, Left, Changed, Changed], Left),
            (&[Left, Edited], Edited),
        ] {
            let mut users = BTreeMap::new();
            for change in changes {
                note(&mut users, UserId::new("u"), *change);
            }
            assert_eq!(users[&UserId::new("u")], noted, "{changes:?}");
        }
    }
}

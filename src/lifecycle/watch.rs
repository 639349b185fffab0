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

use super::agenda::Agenda;
use super::feed::Feed;
use super::many::Many;
use super::owners::{Force, Found, Hint, TokenOwners};
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
    news: Arc<Mutex<News>>,
    position: Arc<Mutex<Position>>,
    /// Owners of whom one event concerns several.
    many: Many,
    agenda: Agenda,
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

/// How far the events were read, and what of them nobody has begun to deal with.
struct News {
    feeds: [Feed; 2],
    /// What happened while nobody followed was read.
    caught_up: bool,
    clients: BTreeSet<String>,
    users: BTreeMap<UserId, UserChange>,
    /// Clients that Hallpass deleted, and for which looks were asked.
    deleted: BTreeSet<DeletedClient>,
}

impl News {
    /// From where the store says; what happened before the first start is the first sweep's.
    fn noted() -> Self {
        Self {
            feeds: [Feed::new(EventKind::Admin), Feed::new(EventKind::User)],
            caught_up: false,
            clients: BTreeSet::new(),
            users: BTreeMap::new(),
            deleted: BTreeSet::new(),
        }
    }

    fn are_dealt_with(&self) -> bool {
        self.clients.is_empty() && self.users.is_empty()
    }
}

/// What of the news could not be dealt with yet.
#[derive(Default)]
struct Position {
    clients: BTreeSet<String>,
    users: BTreeMap<UserId, UserChange>,
    /// Looked at once: again with the next events.
    again: BTreeMap<UserId, UserChange>,
}

impl Watch {
    /// Follows by way of these.
    #[must_use]
    pub fn new(keycloak: Keycloak, clients: Clients, token_owners: TokenOwners) -> Self {
        Self {
            settings: token_owners.settings,
            many: Many::new(keycloak.clone(), token_owners.clone()),
            agenda: token_owners.agenda.clone(),
            keycloak,
            clients,
            token_owners,
            news: Arc::new(Mutex::new(News::noted())),
            position: Arc::default(),
            polled: Polled::default(),
        }
    }

    /// Changes that concern many owners and are not dealt with yet.
    #[must_use]
    pub fn count_pending(&self) -> u32 {
        self.agenda.count()
    }

    /// Follows until `end`, whenever it is this process's turn.
    pub async fn run(self, end: impl Future<Output = ()>) {
        let (store, poll) = (self.clients.store.clone(), self.settings.poll_interval);
        let turn = Turn::new(store, &self.clients.clock, self.polled.clone(), poll);
        let turns = async {
            loop {
                let beat = turn.wait().await;
                *self.news.lock().await = News::noted();
                *self.position.lock().await = Position::default();
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
            self.read_when_asked(),
        );
    }

    /// Reads new events, and looks at what they are about.
    pub async fn poll(&self) -> Result<(), Error> {
        let position = &mut *self.position.lock().await;
        let begun = self.clients.clock.now();
        let (unread, fresh) = {
            let news = &mut *self.news.lock().await;
            let unread = self.read(news).await.err();
            position.clients.append(&mut news.clients);
            (unread, std::mem::take(&mut news.users))
        };
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
        let news = &mut *self.news.lock().await;
        if self.agenda.is_done() && news.are_dealt_with() {
            for feed in &mut news.feeds {
                feed.settle(&self.clients.store).await?;
            }
            for client in std::mem::take(&mut news.deleted) {
                self.clients.store.forget_deleted_client(&client).await?;
            }
        }
        self.polled.0.store(begun.millis(), Ordering::Relaxed);
        Ok(())
    }

    /// Reads events whenever a look wants to know what happened up to now.
    async fn read_when_asked(&self) {
        loop {
            self.agenda.reading_wanted().await;
            // A failure is for the next poll to tell.
            let _ = self.read(&mut *self.news.lock().await).await;
        }
    }

    /// Reads new events: what concerns many is asked for, the rest is for the next poll.
    async fn read(&self, news: &mut News) -> Result<(), Error> {
        let number = self.agenda.begin_reading();
        let read = self.read_feeds(news).await;
        self.agenda.end_reading(number);
        read
    }

    async fn read_feeds(&self, news: &mut News) -> Result<(), Error> {
        // Without it our own acts are followed as anybody's.
        let own_client = self.token_owners.owners.get_own_client().await.ok();
        let own_client = own_client.as_ref().map(ClientId::uuid);
        let (mut unread, mut fresh) = (None, BTreeMap::new());
        self.ask_for_deleted_clients(&mut news.deleted).await?;
        for feed in &mut news.feeds {
            let (store, now) = (&self.clients.store, self.clients.clock.now());
            match feed.read(&self.keycloak, store, own_client, now).await {
                Ok(subjects) => {
                    for subject in subjects {
                        match subject {
                            Subject::Client(uuid) => drop(news.clients.insert(uuid)),
                            Subject::User(user, change) => note(&mut fresh, user, change),
                            Subject::Owners(wide) => self.agenda.ask(wide),
                        }
                    }
                }
                Err(error) => unread = Some(error),
            }
        }
        if !news.caught_up {
            let missed = fresh.extract_if(.., |_, change| !change.may_be_a_departure());
            self.agenda.ask_for_missed(missed.map(|(user, _)| user));
            news.caught_up = unread.is_none();
        }
        for (user, change) in fresh {
            note(&mut news.users, user, change);
        }
        unread.map_or(Ok(()), Err)
    }

    /// Events of our own acts are passed over; but with a client that we delete its roles are gone.
    async fn ask_for_deleted_clients(
        &self,
        asked: &mut BTreeSet<DeletedClient>,
    ) -> Result<(), StoreError> {
        for client in self.clients.store.list_deleted_clients().await? {
            if asked.insert(client.clone()) {
                self.agenda.ask(Wide::FormerClient(client.client_id));
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
        let force = Force::EndFew;
        let hints =
            noted.iter().map(|(user, change)| (user.clone(), Hint::Event(*change))).collect();
        for Looked { owner, outcome } in self.token_owners.look_at_each(hints, force).await {
            let error = match outcome {
                Ok(found) => {
                    if found == Found::Deferred {
                        self.agenda.defer(vec![owner]);
                    }
                    continue;
                }
                Err(error) => error,
            };
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

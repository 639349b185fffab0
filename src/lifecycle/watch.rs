//! Following the realm: one process of those that serve from one store does.
//!
//! 1. Events of administrators and users are read every `lifecycle.poll_interval`. What an event is about is read anew and
//!    compared, once more with the next events, and a last time ten seconds later: Keycloak forgets what it remembers of
//!    users and roles only after the commit, and its other nodes forget it later still.
//!    How far events are dealt with is in the store, so that a restart, or another process, goes on from there.
//! 2. Everything is looked at when a process begins to follow, and every `lifecycle.sweep_interval`.
//! 3. Interrupted operations are brought to an end at start and every few seconds, by each process.
//!
//! Each of them fails on its own, is said once, and is tried again. One client or user that cannot be looked at, or not
//! soon, keeps nobody else: it is set apart, and looked at again on its own (see `looks`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::agenda::Agenda;
use super::feed::{Feed, Source};
use super::lead::Lead;
use super::many::Many;
use super::owners::TokenOwners;
use super::polled::Polled;
use super::position::{Position, note};
use super::retries::Retries;
use crate::client::Clients;
use crate::config::Lifecycle;
use crate::error::Error;
use crate::id::UserId;
use crate::keycloak::{EventKind, Keycloak, RealmClient, Subject, UserChange, Wide};
use crate::store::{DeletedClient, StoreError};

const RECONCILE_INTERVAL: Duration = Duration::from_secs(5);
/// A sweep that failed is tried again this much later, or after the interval where that is shorter.
const RETRY: Duration = Duration::from_secs(30);

/// Follows the realm. Clones share the position.
#[derive(Clone)]
pub struct Watch {
    keycloak: Keycloak,
    pub(super) clients: Clients,
    pub(super) token_owners: TokenOwners,
    settings: Lifecycle,
    news: Arc<Mutex<News>>,
    position: Arc<Mutex<Position>>,
    /// Owners of whom one event concerns several.
    many: Many,
    pub(super) agenda: Agenda,
    /// Clients, by Keycloak's ids, that are looked at, or could not be.
    pub(super) unreadable_clients: Retries<String, ()>,
    pub(super) polled: Polled,
}

/// How far the events were read, and what of them nobody has begun to deal with.
struct News {
    feeds: [Feed; 2],
    /// What happened while nobody followed was read.
    caught_up: bool,
    /// Nothing more was there to be read.
    is_whole: bool,
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
            is_whole: false,
            clients: BTreeSet::new(),
            users: BTreeMap::new(),
            deleted: BTreeSet::new(),
        }
    }

    fn are_dealt_with(&self) -> bool {
        self.clients.is_empty() && self.users.is_empty()
    }
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
            unreadable_clients: Retries::default(),
            polled: Polled::default(),
        }
    }

    /// Changes that concern many owners and are not dealt with yet.
    #[must_use]
    pub fn count_pending(&self) -> u32 {
        self.agenda.count()
    }

    /// Follows until `end`, whenever this process leads.
    pub async fn run(self, end: impl Future<Output = ()>) {
        let (store, poll) = (self.clients.store.clone(), self.settings.poll_interval);
        let lead = Lead::new(store, &self.clients.clock, self.polled.clone(), poll);
        let leading = async {
            loop {
                let beat = lead.wait().await;
                *self.news.lock().await = News::noted();
                *self.position.lock().await = Position::default();
                tokio::select! {
                    () = self.follow() => {}
                    () = lead.keep(beat) => {}
                }
            }
        };
        tokio::select! {
            () = async { tokio::join!(leading, self.reconcile()); } => {}
            () = end => {}
        }
        lead.leave().await;
    }

    async fn follow(&self) {
        let Lifecycle { poll_interval, sweep_interval, .. } = self.settings;
        let retry = RETRY.min(sweep_interval);
        let sweep_clients = || self.clients.sweep();
        let sweep_owners = || self.token_owners.sweep();
        tokio::join!(
            self.look_again(),
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
        let (unread, is_whole, clients, fresh) = {
            let news = &mut *self.news.lock().await;
            let unread = self.read(news).await.err();
            let (clients, users) = (&mut news.clients, &mut news.users);
            (unread, news.is_whole, std::mem::take(clients), std::mem::take(users))
        };
        self.look_at(clients, position.take(fresh)).await;
        if let Some(error) = unread {
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
        if is_whole {
            self.polled.set(begun);
        }
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
        let own_client = own_client.as_ref().map(RealmClient::uuid);
        let source = Source { keycloak: &self.keycloak, own_client };
        let (mut unread, mut fresh) = (None, BTreeMap::new());
        news.is_whole = true;
        self.ask_for_deleted_clients(&mut news.deleted).await?;
        for feed in &mut news.feeds {
            let reading = feed.read(source, &self.clients.store).await;
            for subject in reading.subjects {
                match subject {
                    Subject::Client(uuid) => drop(news.clients.insert(uuid)),
                    Subject::User(user, change) => note(&mut fresh, user, change),
                    Subject::Owners(wide) => self.agenda.ask(wide),
                }
            }
            match reading.is_whole {
                Ok(whole) => news.is_whole &= whole,
                Err(error) => unread = Some(error),
            }
        }
        if !news.caught_up {
            let missed = fresh.extract_if(.., |_, change| !change.may_be_a_departure());
            self.agenda.ask_for_missed(missed.map(|(user, _)| user));
            news.caught_up = news.is_whole && unread.is_none();
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

    async fn reconcile(&self) {
        let reconcile = || self.clients.reconcile();
        let interval = RECONCILE_INTERVAL;
        repeat("operations cannot be ended", interval, interval, reconcile).await;
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

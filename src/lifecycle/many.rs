//! Events that concern many owners: of a role, of a group, or of who cannot be told.
//!
//! Whom an event concerns is found from what is known, so that a change of one group costs no look at everybody: the holders
//! of a role are those who had it when their tokens were issued, members of a group are asked of Keycloak. Where it cannot be
//! found, everybody is looked at.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

use super::owners::{Hint, TokenOwners};
use super::round::{Pace, Round, Whose};
use crate::error::Error;
use crate::id::UserId;
use crate::keycloak::{Keycloak, KeycloakError, RoleRef, UserChange, Wide};
use crate::owner::is_keycloaks_own_client;

/// When they are looked at once more: what an event tells of is everywhere by then.
const AGAIN: Duration = Duration::from_secs(1);
/// What failed is tried again this much later.
const RETRY: Duration = Duration::from_secs(5);

/// What is still to be looked at. Clones share it.
#[derive(Clone)]
pub(super) struct Many {
    keycloak: Keycloak,
    owners: TokenOwners,
    asked: Arc<Mutex<Asked>>,
    wake: Arc<Notify>,
}

#[derive(Default)]
struct Asked {
    /// Groups and roles, in the order of their events.
    narrow: VecDeque<Wide>,
    everybody: bool,
    /// Who had events of their own while nobody followed.
    missed: BTreeSet<UserId>,
    /// Who could not be looked at.
    failed: BTreeSet<UserId>,
    is_busy: bool,
}

impl Many {
    pub(super) fn new(keycloak: Keycloak, owners: TokenOwners) -> Self {
        Self { keycloak, owners, asked: Arc::default(), wake: Arc::default() }
    }

    /// Asks for a look, soon. However often the same is asked for meanwhile, one look more is enough.
    pub(super) fn ask(&self, wide: Wide) {
        let mut asked = self.asked();
        if wide == Wide::Everybody {
            asked.everybody = true;
        } else if !asked.narrow.contains(&wide) {
            asked.narrow.push_back(wide);
        }
        self.wake.notify_one();
    }

    /// Asks for a look at users of whom events tell that happened while nobody followed. Something wide may have happened
    /// to them since: what that asks for comes first, so that its brake holds them too.
    pub(super) fn ask_for_missed(&self, users: impl IntoIterator<Item = UserId>) {
        self.asked().missed.extend(users);
        self.wake.notify_one();
    }

    /// Whether everything that was asked for was looked at, but for owners who could not be.
    pub(super) fn is_done(&self) -> bool {
        let asked = self.asked();
        let is_asked = asked.everybody || !asked.narrow.is_empty() || !asked.missed.is_empty();
        !is_asked && !asked.is_busy
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at what is asked for: what is narrow first, and everybody not sooner than the last such look was long. Whoever
    /// asks for that again and again has Keycloak half the time at most.
    pub(super) async fn look_when_asked(&self) {
        let (mut rests_until, mut retries_at) = (Instant::now(), Instant::now());
        loop {
            let now = Instant::now();
            let (next, apart) = {
                let mut asked = self.asked();
                let mut next = asked.narrow.pop_front();
                if next.is_none() && asked.everybody && rests_until <= now {
                    asked.everybody = false;
                    next = Some(Wide::Everybody);
                }
                let mut apart = BTreeSet::new();
                if next.is_none() {
                    apart = std::mem::take(&mut asked.missed);
                    if retries_at <= now {
                        apart.append(&mut asked.failed);
                    }
                }
                asked.is_busy = next.is_some() || !apart.is_empty();
                (next, apart)
            };
            if let Some(wide) = next {
                self.look(&wide).await;
                if wide == Wide::Everybody {
                    rests_until = Instant::now() + now.elapsed();
                }
            } else if apart.is_empty() {
                let until = if self.is_done() { now + RETRY } else { rests_until };
                let _ = timeout_at(until.max(now + AGAIN / 10), self.wake.notified()).await;
            } else {
                let whose = Whose::Among(apart.iter().cloned().collect());
                if let Err(error) = self.look_at(&whose).await {
                    tracing::warn!(cause = error.chain(), "owners cannot be looked at again");
                    self.asked().failed.extend(apart);
                }
                retries_at = Instant::now() + RETRY;
            }
        }
    }

    async fn look(&self, wide: &Wide) {
        let looked = async { self.look_at(&self.find(wide).await?).await };
        if let Err(error) = looked.await {
            tracing::error!(cause = error.chain(), %error, "not all owners could be looked at");
            sleep(RETRY).await;
            self.ask(wide.clone());
        }
    }

    async fn look_at(&self, whose: &Whose) -> Result<(), Error> {
        let hint = Hint::Event(UserChange::Changed);
        let mut round = Round::new(&self.owners, hint, Pace::Urgent);
        round.pass(whose).await?;
        sleep(AGAIN).await;
        round.pass(whose).await?;
        let failed = round.end().await?;
        self.asked().failed.extend(failed);
        Ok(())
    }

    async fn find(&self, wide: &Wide) -> Result<Whose, KeycloakError> {
        match wide {
            Wide::Group(id) => {
                let found = self.keycloak.list_members_below(id).await?;
                Ok(found.map_or(Whose::Everybody, Whose::Among))
            }
            Wide::Role(role) if self.is_carried(role).await? => {
                Ok(Whose::HoldersOf(role.name.clone()))
            }
            Wide::FormerClient(client_id) => Ok(Whose::HoldersOf(client_id.clone())),
            Wide::Role(_) | Wide::Everybody => Ok(Whose::Everybody),
        }
    }

    /// Whether tokens carry the role: who has it is known then.
    async fn is_carried(&self, role: &RoleRef) -> Result<bool, KeycloakError> {
        let Some(uuid) = &role.client else { return Ok(true) };
        let client = self.keycloak.find_client_by_uuid(uuid).await?;
        Ok(client.is_some_and(|client| !is_keycloaks_own_client(client.document.client_id())))
    }
}

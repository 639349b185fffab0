//! Events that concern many owners: of a role, of a group, or of who cannot be told.
//!
//! Whom an event concerns is found from what is known, so that a change of one group costs no look at everybody: the holders
//! of a role are those who had it when their tokens were issued, members of a group are asked of Keycloak. Where it cannot be
//! found, everybody is looked at.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::agenda::{Agenda, UnderWay};
use super::owners::{Force, Found, Hint, TokenOwners};
use super::round::{Pace, Round, Whose};
use crate::error::Error;
use crate::id::UserId;
use crate::keycloak::{Keycloak, KeycloakError, RoleRef, UserChange, Wide};
use crate::owner::is_keycloaks_own_client;

/// When they are looked at once more: what an event tells of is everywhere by then.
const AGAIN: Duration = Duration::from_secs(1);
/// What failed is tried again this much later.
const RETRY: Duration = Duration::from_secs(5);
/// Why owners are looked at here.
const HINT: Hint = Hint::Event(UserChange::Changed);

/// Looks at what is on the agenda. Clones share it.
#[derive(Clone)]
pub(super) struct Many {
    keycloak: Keycloak,
    owners: TokenOwners,
    agenda: Agenda,
}

/// What is looked at next.
enum Next {
    Wide(Wide),
    /// One cause was found to end tokens of these, and waited.
    Deferred(Vec<UserId>),
    Apart(BTreeSet<UserId>),
}

impl Many {
    pub(super) fn new(keycloak: Keycloak, owners: TokenOwners) -> Self {
        let agenda = owners.agenda.clone();
        Self { keycloak, owners: owners.for_many(), agenda }
    }

    /// Looks at what is asked for: what is narrow first, and everybody not sooner than the last such look was long. Whoever
    /// asks for that again and again has Keycloak half the time at most. What was deferred comes when nothing wide is left
    /// that may hold it.
    pub(super) async fn look_when_asked(&self) {
        let (mut rests_until, mut retries_at) = (Instant::now(), Instant::now());
        loop {
            let now = Instant::now();
            match self.take_next(rests_until <= now, retries_at <= now) {
                Some(Next::Wide(wide)) => {
                    self.look(&wide).await;
                    if matches!(wide, Wide::Everybody | Wide::Rest) {
                        rests_until = Instant::now() + now.elapsed();
                    }
                }
                Some(Next::Deferred(owners)) => self.end_deferred(owners).await,
                Some(Next::Apart(owners)) => {
                    let whose = Whose::Among(owners.iter().cloned().collect());
                    if let Err(error) = self.look_at(&whose).await {
                        tracing::warn!(cause = error.chain(), "owners cannot be looked at again");
                        self.agenda.asked().failed.extend(owners);
                    }
                    retries_at = Instant::now() + RETRY;
                }
                None => {
                    let until = if self.agenda.is_done() { now + RETRY } else { rests_until };
                    let until = until.max(now + AGAIN / 10);
                    let _ = timeout_at(until, self.agenda.woken()).await;
                }
            }
        }
    }

    fn take_next(&self, everybody: bool, failed: bool) -> Option<Next> {
        let mut asked = self.agenda.asked();
        let mut next = asked.narrow.pop_front().map(Next::Wide);
        if next.is_none() && everybody && (asked.everybody || asked.rest) {
            let wide = if asked.everybody { Wide::Everybody } else { Wide::Rest };
            (asked.everybody, asked.rest) = (false, false);
            next = Some(Next::Wide(wide));
        }
        if next.is_none() && !asked.everybody {
            next = asked.deferred.pop_front().map(Next::Deferred);
        }
        if next.is_none() {
            let mut apart = std::mem::take(&mut asked.missed);
            if failed {
                apart.append(&mut asked.failed);
            }
            next = (!apart.is_empty()).then_some(Next::Apart(apart));
        }
        asked.under_way = next.as_ref().map(|next| match next {
            Next::Wide(_) => UnderWay::Wide,
            Next::Deferred(_) | Next::Apart(_) => UnderWay::Apart,
        });
        next
    }

    /// They are few, and something wide that was pending did not hold them.
    async fn end_deferred(&self, owners: Vec<UserId>) {
        let hints = owners.into_iter().map(|owner| (owner, HINT)).collect();
        let looked = self.owners.look_at_each(hints, Force::EndCounted).await;
        let (mut deferred, mut failed) = (Vec::new(), Vec::new());
        for looked in looked {
            match looked.outcome {
                Ok(Found::Deferred) => deferred.push(looked.owner),
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(user_id = %looked.owner, cause = error.chain(), "an owner cannot be looked at");
                    failed.push(looked.owner);
                }
            }
        }
        self.agenda.defer(deferred);
        // They stay suspended meanwhile: a sweep ends what these looks leave.
        self.agenda.asked().failed.extend(failed);
    }

    async fn look(&self, wide: &Wide) {
        let looked = async { self.look_at(&self.find(wide).await?).await };
        if let Err(error) = looked.await {
            tracing::error!(cause = error.chain(), %error, "not all owners could be looked at");
            sleep(RETRY).await;
            self.agenda.ask(wide.clone());
        }
    }

    async fn look_at(&self, whose: &Whose) -> Result<(), Error> {
        let mut round = Round::new(&self.owners, HINT, Pace::Urgent);
        round.pass(whose).await?;
        sleep(AGAIN).await;
        round.pass(whose).await?;
        let failed = round.end().await?;
        self.agenda.asked().failed.extend(failed);
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
            Wide::Role(_) | Wide::Everybody | Wide::Rest => Ok(Whose::Everybody),
        }
    }

    /// Whether tokens carry the role: who has it is known then.
    async fn is_carried(&self, role: &RoleRef) -> Result<bool, KeycloakError> {
        let Some(uuid) = &role.client else { return Ok(true) };
        let client = self.keycloak.find_client_by_uuid(uuid).await?;
        Ok(client.is_some_and(|client| !is_keycloaks_own_client(client.document.client_id())))
    }
}

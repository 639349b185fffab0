//! Events that concern many owners: of a role, of a group, or of who cannot be told.
//!
//! Whom an event concerns is found from what is known, so that a change of one group costs no look at everybody: the holders
//! of a role are those who had it when their tokens were issued, members of a group are asked of Keycloak. Where it cannot be
//! found, everybody is looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::agenda::{Agenda, Asked, UnderWay};
use super::owners::{Force, Found, Hint, TokenOwners};
use super::round::{Pace, Round, WhichOwners};
use crate::credential::EndReason;
use crate::error::Error;
use crate::id::UserId;
use crate::keycloak::{Keycloak, KeycloakError, RoleRef, UserChange, Wide};
use crate::owner::is_keycloaks_own_client;

/// When they are looked at once more: what an event tells of is everywhere by then.
const AGAIN: Duration = Duration::from_secs(1);
/// What failed is tried again this much later; other changes do not wait for it.
const RETRY: Duration = Duration::from_secs(5);
/// So long those are counted together whom looks at many could see only later.
const LONGEST_COUNT: Duration = Duration::from_mins(1);
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
    Deferred(BTreeSet<UserId>),
    /// They had events of their own while nobody followed.
    Missed(BTreeSet<UserId>),
    /// Tokens of these are to end, which looks at many found only later.
    Spared(BTreeMap<UserId, EndReason>),
}

/// In which turn wide changes are looked at.
#[derive(Default)]
pub(super) struct Pacing {
    /// What was looked at lately rests.
    until: BTreeMap<Wide, Instant>,
    last_was_narrow: bool,
    /// Since when those wait who were seen later.
    spared_since: Option<Instant>,
}

impl Pacing {
    fn rest(&mut self, wide: &Wide, time: Duration) {
        self.until.insert(wide.clone(), Instant::now() + time);
    }

    /// What is next; what is narrow goes first, but a stream of that does not keep everybody waiting.
    pub(super) fn take_wide(&mut self, asked: &mut Asked) -> Option<Wide> {
        let now = Instant::now();
        self.until.retain(|_, until| *until > now);
        let narrow = asked.narrow.iter().position(|wide| !self.until.contains_key(wide));
        let is_ready = !self.until.contains_key(&Wide::Everybody);
        let everybody = is_ready && (asked.everybody || asked.rest);
        let wide = match narrow {
            Some(at) if !everybody || !self.last_was_narrow => asked.narrow.remove(at)?,
            _ if !everybody => return None,
            _ if asked.everybody => Wide::Everybody,
            _ => Wide::Rest,
        };
        self.last_was_narrow = !matches!(wide, Wide::Everybody | Wide::Rest);
        if !self.last_was_narrow {
            (asked.everybody, asked.rest) = (false, false);
        }
        Some(wide)
    }
}

impl Many {
    pub(super) fn new(keycloak: Keycloak, owners: TokenOwners) -> Self {
        let agenda = owners.agenda.clone();
        Self { keycloak, owners: owners.for_many(), agenda }
    }

    /// Looks at what is asked for: what is narrow first, and nothing sooner again than its last look was long. Whoever asks
    /// for one thing again and again has Keycloak half the time at most. What was deferred comes when nothing wide is left
    /// that may hold it.
    pub(super) async fn look_when_asked(&self) {
        let mut pacing = Pacing::default();
        loop {
            match self.take_next(&mut pacing) {
                Some(Next::Wide(wide)) => self.look(&wide, &mut pacing).await,
                Some(Next::Deferred(owners)) => self.end_deferred(owners).await,
                Some(Next::Missed(owners)) => {
                    let whose = WhichOwners::Among(owners.iter().cloned().collect());
                    if let Err(error) = self.look_at(&whose).await {
                        tracing::warn!(cause = error.chain(), "owners cannot be looked at yet");
                        sleep(RETRY).await;
                        self.agenda.ask_for_missed(owners);
                    }
                }
                Some(Next::Spared(spared)) => {
                    if let Err(error) = Round::of_spared(&self.owners, HINT, spared).end().await {
                        // They stay suspended, and are with the next sweep.
                        tracing::warn!(cause = error.chain(), "tokens cannot be ended yet");
                    }
                }
                None => {
                    let pause = if self.agenda.is_idle() { RETRY } else { AGAIN / 10 };
                    let _ = timeout(pause, self.agenda.woken()).await;
                }
            }
        }
    }

    fn take_next(&self, pacing: &mut Pacing) -> Option<Next> {
        let are_known = self.are_spared_known(pacing);
        let mut asked = self.agenda.asked();
        let mut next = pacing.take_wide(&mut asked).map(Next::Wide);
        if next.is_none() && asked.narrow.is_empty() {
            let has_wide = asked.has_wide();
            next = if !has_wide && !asked.deferred.is_empty() {
                Some(Next::Deferred(std::mem::take(&mut asked.deferred)))
            } else if !asked.missed.is_empty() {
                Some(Next::Missed(std::mem::take(&mut asked.missed)))
            } else if !has_wide && are_known && !asked.spared.is_empty() {
                Some(Next::Spared(std::mem::take(&mut asked.spared)))
            } else {
                None
            };
        }
        asked.under_way = next.as_ref().map(|next| match next {
            Next::Wide(_) => UnderWay::Wide,
            Next::Deferred(_) | Next::Missed(_) | Next::Spared(_) => UnderWay::Apart,
        });
        next
    }

    /// Whether all of those are known whom looks at many could not see: they count together. Nobody waits for ever.
    fn are_spared_known(&self, pacing: &mut Pacing) -> bool {
        if self.agenda.asked().spared.is_empty() {
            pacing.spared_since = None;
            return false;
        }
        let since = *pacing.spared_since.get_or_insert_with(Instant::now);
        since.elapsed() >= LONGEST_COUNT
            || !self.owners.unreadable.has_untold(|retry| retry.what.is_of_many)
    }

    /// They are few, and something wide that was pending did not hold them.
    async fn end_deferred(&self, owners: BTreeSet<UserId>) {
        let hints = owners.into_iter().map(|owner| (owner, HINT)).collect();
        let looked = self.owners.look_at_each(hints, Force::EndCounted).await;
        // Whoever cannot be looked at stays suspended, and is looked at again.
        let deferred =
            looked.into_iter().filter(|looked| matches!(looked.outcome, Ok(Found::Deferred)));
        self.agenda.defer(deferred.map(|looked| looked.owner));
    }

    async fn look(&self, wide: &Wide, pacing: &mut Pacing) {
        let begun = Instant::now();
        let looked = async { self.look_at(&self.find(wide).await?).await };
        let rest = match looked.await {
            Ok(()) => begun.elapsed().saturating_sub(AGAIN),
            Err(error) => {
                tracing::error!(cause = error.chain(), %error, "not all owners could be looked at");
                self.agenda.ask(wide.clone());
                RETRY
            }
        };
        let kind = if matches!(wide, Wide::Rest) { &Wide::Everybody } else { wide };
        pacing.rest(kind, rest);
    }

    async fn look_at(&self, whose: &WhichOwners) -> Result<(), Error> {
        let mut round = Round::new(&self.owners, HINT, Pace::Urgent);
        round.pass(whose).await?;
        sleep(AGAIN).await;
        round.pass(whose).await?;
        round.end().await
    }

    /// Whom it concerns. Where Keycloak cannot say that, though it answers, it may be anybody.
    async fn find(&self, wide: &Wide) -> Result<WhichOwners, Error> {
        match self.find_among(wide).await {
            Ok(whose) => Ok(whose),
            Err(error) => {
                self.owners.check_answers().await?;
                let error = &error as &dyn std::error::Error;
                tracing::warn!(
                    ?wide,
                    error,
                    "whom a change concerns cannot be read: everybody is looked at"
                );
                Ok(WhichOwners::Everybody)
            }
        }
    }

    async fn find_among(&self, wide: &Wide) -> Result<WhichOwners, KeycloakError> {
        match wide {
            Wide::Group(id) => {
                let found = self.keycloak.list_members_below(id).await?;
                Ok(found.map_or(WhichOwners::Everybody, WhichOwners::Among))
            }
            Wide::Role(role) if self.is_carried(role).await? => {
                Ok(WhichOwners::HoldersOf(role.name.clone()))
            }
            Wide::FormerClient(client_id) => Ok(WhichOwners::HoldersOf(client_id.clone())),
            Wide::Role(_) | Wide::Everybody | Wide::Rest => Ok(WhichOwners::Everybody),
        }
    }

    /// Whether tokens carry the role: who has it is known then.
    async fn is_carried(&self, role: &RoleRef) -> Result<bool, KeycloakError> {
        let Some(uuid) = &role.client else { return Ok(true) };
        let client = self.keycloak.find_client_by_uuid(uuid).await?;
        Ok(client.is_some_and(|client| !is_keycloaks_own_client(client.document.client_id())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str) -> Wide {
        Wide::Group(name.to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_of_narrow_changes_does_not_keep_everybody_waiting() {
        let (mut asked, mut pacing) = (Asked::default(), Pacing::default());
        asked.everybody = true;
        let mut taken = Vec::new();
        for _ in 0..6 {
            asked.narrow.push_back(group("flapping"));
            taken.push(pacing.take_wide(&mut asked).unwrap());
            asked.rest = true;
        }
        let flapping = taken.iter().filter(|wide| **wide == group("flapping")).count();
        assert_eq!((flapping, &taken[1], &taken[3]), (3, &Wide::Everybody, &Wide::Rest));
        // What is narrow waits for nothing but its own rest.
        let mut asked = Asked { rest: true, ..Asked::default() };
        pacing.rest(&Wide::Everybody, RETRY);
        pacing.rest(&group("flapping"), RETRY);
        asked.narrow.extend([group("flapping"), group("other")]);
        assert_eq!(pacing.take_wide(&mut asked), Some(group("other")));
        assert_eq!(pacing.take_wide(&mut asked), None);
        sleep(RETRY).await;
        assert_eq!(pacing.take_wide(&mut asked), Some(Wide::Rest));
        assert_eq!(pacing.take_wide(&mut asked), Some(group("flapping")));
        assert_eq!(pacing.take_wide(&mut asked), None);
    }
}

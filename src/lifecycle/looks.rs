//! The looks at one owner or client each: those that events ask for, and those that are made again.
//!
//! 1. A poll waits for its looks, but not for those that are late: they go on beside it, and hold up neither the position
//!    nor the next poll.
//! 2. What happens during a look, or before a failed one is made again, is seen by one look more, however many events tell
//!    of it.
//! 3. What failed is looked at again in a lane of its own, a few at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::lane::{Lane, Late};
use super::owners::{Found, Hint};
use super::retries::Begun;
use super::round::{AT_MOST, AT_ONCE};
use super::unreadable::Cause;
use super::watch::Watch;
use crate::error::Error;
use crate::id::UserId;
use crate::keycloak::UserChange;

/// How often those are thought of that are to be looked at again.
const AGAIN_INTERVAL: Duration = Duration::from_millis(500);
/// So many are looked at again at a time.
const MOST_AGAIN: usize = 32;
/// While some fail, Keycloak is asked so often whether it answers at all.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

impl Watch {
    /// Looks at these, and waits for all looks but those that are late.
    pub(super) async fn look_at(
        &self,
        clients: BTreeSet<String>,
        users: BTreeMap<UserId, UserChange>,
    ) {
        let (lane, waiter) = Lane::new(AT_ONCE, &self.token_owners.late);
        let now = self.clients.clock.passed();
        let mut looks = JoinSet::new();
        for uuid in clients {
            if self.unreadable_clients.amend(&uuid, (), |(), ()| {}) {
                continue;
            }
            let begun = self.unreadable_clients.begin(&uuid, (), now);
            looks.spawn(self.clone().look_at_client(begun, lane.clone()));
        }
        let start = async {
            for (user, change) in users {
                if self.token_owners.is_apart(&user, change) {
                    continue;
                }
                let begun = self.token_owners.unreadable.begin(&user, Cause::event(change), now);
                while looks.len() >= AT_MOST {
                    looks.join_next().await;
                }
                let look = self.clone().look_at_user(begun, Cause::event(change), lane.clone());
                let polled = self.polled.clone();
                looks.spawn(async move {
                    look.await;
                    polled.step();
                });
            }
            drop(lane);
        };
        tokio::join!(start, waiter.until_over_or_stuck());
        looks.detach_all();
    }

    async fn look_at_client(self, begun: Begun<String, ()>, lane: Lane) {
        let uuid = begun.key().clone();
        let look = lane.run(|_| self.clients.observe_keycloak_client(&uuid));
        let Some(looked) = look.await else { return };
        begun.over();
        let now = self.clients.clock.passed();
        if let Err(error) = looked {
            tracing::warn!(uuid, cause = error.chain(), "a client cannot be looked at");
            self.unreadable_clients.note(&uuid, (), now, |(), ()| {});
        } else {
            self.unreadable_clients.end(&uuid, now);
        }
    }

    /// Looks at a user's tokens, and at the clients that they own.
    async fn look_at_user(self, begun: Begun<UserId, Cause>, cause: Cause, lane: Lane) {
        let user = begun.key().clone();
        self.clients.forget_membership(&user).await;
        let (hint, force) = (Hint::Event(cause.change), cause.force());
        let look = lane.run(|place| {
            let (this, user) = (&self, &user);
            async move {
                let found = this.token_owners.look_unnoted(user, hint, force, &place).await?;
                this.clients.observe_owner(user).await?;
                Ok::<_, Error>(found)
            }
        });
        let Some(looked) = look.await else { return };
        begun.over();
        match looked {
            Ok(Found::Deferred) => self.agenda.defer([user.clone()]),
            Ok(Found::Spared(reason)) => self.agenda.spare(user.clone(), reason),
            _ => {}
        }
        if let Err(error) = self.token_owners.note_look(&user, cause, &looked).await {
            tracing::warn!(%user, cause = error.chain(), "it cannot be noted that an owner can be looked at");
        }
    }

    /// Looks again at what could not be looked at, for ever.
    pub(super) async fn look_again(&self) {
        // Nobody waits for these: late ones keep their places.
        let (lane, _) = Lane::new(MOST_AGAIN, &Late::none());
        let (mut looks, mut answered_at) = (JoinSet::new(), None);
        // On the clock of the owners' failures, so that every outage long enough to blame owners meets a check.
        let mut checked_at = self.clients.clock.passed();
        loop {
            if looks.is_empty() {
                sleep(AGAIN_INTERVAL).await;
            } else {
                let _ = timeout(AGAIN_INTERVAL, looks.join_next()).await;
            }
            let now = self.clients.clock.passed();
            let free = MOST_AGAIN - looks.len();
            for ((), begun) in self.unreadable_clients.take_due(now, free / 2) {
                looks.spawn(self.clone().look_at_client(begun, lane.clone()));
            }
            let free = MOST_AGAIN - looks.len();
            for (cause, begun) in self.token_owners.unreadable.take_due(now, free) {
                looks.spawn(self.clone().look_at_user(begun, cause, lane.clone()));
            }
            // Once is no reason to ask: most of them are read the next time.
            let are_failing = self.token_owners.unreadable.has_untold(|retry| retry.tries > 1);
            if !are_failing {
                answered_at = None;
            } else if now.saturating_sub(checked_at) >= CHECK_INTERVAL {
                answered_at = match self.token_owners.judge_unreadable(answered_at).await {
                    Ok(answered_at) => answered_at,
                    Err(error) => {
                        let cause = error.chain();
                        tracing::warn!(
                            cause,
                            "owners that cannot be looked at are not suspended yet"
                        );
                        None
                    }
                };
                checked_at = self.clients.clock.passed();
            }
        }
    }
}

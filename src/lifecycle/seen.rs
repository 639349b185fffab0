//! An owner as they are now, beside their tokens.

use std::collections::BTreeMap;

use super::fingerprint::{Change, Compared, Now, carries_claims, compare};
use super::owners::TokenOwners;
use crate::error::Error;
use crate::id::{PatId, UserId};
use crate::owner::{AuthorityClaims, Sight};
use crate::store::{OwnedToken, StoreError};

/// An owner as they are now.
pub(super) struct Seen {
    pub(super) sight: Sight,
    /// Their claims that carry authority, where a token of theirs has such claims.
    claims: Option<Result<AuthorityClaims, Error>>,
}

impl Seen {
    /// What they have, where they can log in.
    pub(super) fn now(&self) -> Option<Now<'_>> {
        let Sight::Enabled(now) = &self.sight else { return None };
        let claims = self.claims.as_ref().and_then(|claims| claims.as_ref().ok());
        Some(Now { roles: &now.roles, claims })
    }

    /// Why their claims could not be seen, if they matter.
    pub(super) fn into_failure(self) -> Option<Error> {
        let matter = matches!(self.sight, Sight::Enabled(_));
        self.claims.and_then(Result::err).filter(|_| matter)
    }
}

/// An owner's tokens beside what the owner has now. Those of which nobody knows are in neither.
#[derive(Default)]
pub(super) struct Comparison<'t> {
    pub(super) same: Vec<&'t OwnedToken>,
    pub(super) changed: BTreeMap<PatId, (&'t OwnedToken, Change)>,
}

impl TokenOwners {
    /// The owner as they are now. A directory that goes away in the middle of a look takes the roles along that it gives:
    /// what would revoke the tokens of one who comes from it is looked at once more.
    pub(super) async fn see(&self, owner: &UserId, live: &[OwnedToken]) -> Result<Seen, Error> {
        let mut with_claims = false;
        for token in live {
            with_claims |= carries_claims(token, self.owners.claims_rule())?;
        }
        let seen = self.see_once(owner, with_claims).await?;
        self.checked.increment(1);
        let (Sight::Enabled(owner_now), Some(now)) = (&seen.sight, seen.now()) else {
            return Ok(seen);
        };
        if owner_now.federated && !self.compare(live, now)?.changed.is_empty() {
            return self.see_once(owner, with_claims).await;
        }
        Ok(seen)
    }

    async fn see_once(&self, owner: &UserId, with_claims: bool) -> Result<Seen, Error> {
        if !with_claims {
            return Ok(Seen { sight: self.owners.look_at(owner).await?, claims: None });
        }
        // Roles are followed though the claims cannot be seen.
        let (sight, claims) =
            tokio::join!(self.owners.look_at(owner), self.owners.get_authority_claims(owner));
        Ok(Seen { sight: sight?, claims: Some(claims) })
    }

    pub(super) fn compare<'t>(
        &self,
        live: &'t [OwnedToken],
        now: Now<'_>,
    ) -> Result<Comparison<'t>, StoreError> {
        let mut comparison = Comparison::default();
        for token in live {
            match compare(token, now, self.owners.claims_rule())? {
                Compared::Same => comparison.same.push(token),
                Compared::Changed(change) => {
                    comparison.changed.insert(token.record.pat_id, (token, change));
                }
                Compared::Unknown => {}
            }
        }
        Ok(comparison)
    }
}

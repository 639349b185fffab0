//! The end of a token by whoever holds it: to have it is enough.

use super::Tokens;
use crate::audit;
use crate::credential::EndReason;
use crate::decide::{Refusal, TokenKind};
use crate::error::Error;
use crate::principal::Origin;
use crate::store::{Standing, TokenRecord, TokenRevoked};

impl Tokens {
    /// Revokes the token. What is no good token is no error: it does not work either way. Nothing is written for it, and
    /// one address does it only so often.
    pub async fn revoke_by_holder(&self, token: &str, origin: &Origin) -> Result<(), Error> {
        let held = match self.decider.find_to_end(token).await {
            Ok(held) => held,
            Err(Refusal::Because(_)) => return self.throttle.revocation(origin.address),
            Err(failed) => return Err(failed.into()),
        };
        let TokenKind::Pat(pat) = &held.kind else { return Ok(()) };
        let standing = self.store.get_standing(pat.id).await?;
        if matches!(
            standing.at(self.clock.now()),
            Standing::Unknown | Standing::Revoked | Standing::Spent | Standing::OwnerDisabled
        ) {
            return self.throttle.revocation(origin.address);
        }
        let caller = held.caller(origin);
        let event = |record: &TokenRecord| {
            self.event(audit::Act::TokenRevoked, record, &caller).because(EndReason::ByHolder)
        };
        let outcomes = self.store.revoke_tokens(Some(&held.user_id), &[pat.id], &event).await?;
        if let [TokenRevoked::Revoked(event)] = &*outcomes {
            self.teller.tell(event);
        }
        Ok(())
    }
}

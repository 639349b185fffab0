//! What a token is that somebody holds: for whoever found one, without using it.

use super::{Tokens, Whose};
use crate::access::Action;
use crate::decide::{Reason, Refusal};
use crate::error::{Code, Error};
use crate::id::{PatId, UserId};
use crate::principal::Caller;
use crate::store::{TokenRecord, TokenStatus};
use crate::verify::Claims;

/// A token that was recognised.
#[derive(Debug)]
pub struct Identified {
    /// Its record.
    pub record: TokenRecord,
    /// Why it is refused; `None` where it is good.
    pub reason: Option<String>,
}

impl Tokens {
    /// The record behind a token, which may have ended: one's own, or for an administrator anybody's.
    pub async fn identify(
        &self,
        caller: &Caller,
        whose: &Whose,
        token: &str,
    ) -> Result<Identified, Error> {
        caller.authorize(match whose {
            Whose::Own => Action::IdentifyToken,
            Whose::User(_) | Whose::Everybody => Action::IdentifyAnyToken,
        })?;
        let claims = self.read(token).await?;
        let owner = UserId::new(claims.sub);
        if *whose == Whose::Own && owner != caller.user_id {
            return Err(Error::not_found("token"));
        }
        let pat_id = PatId::parse(&claims.jti).ok_or_else(|| unknown("it has no id of ours"))?;
        let record = self.store.find_token(&owner, pat_id).await?;
        let record = record.ok_or_else(|| {
            unknown(&format!("there is no record of {pat_id} any more; the audit log may tell"))
        })?;
        let status = record.status(self.clock.now());
        let reason = self.reason(&record, status).await?;
        Ok(Identified { record, reason })
    }

    async fn read(&self, token: &str) -> Result<Claims, Error> {
        self.decider.read_found(token).await.map_err(|refusal| match refusal {
            Refusal::Because(reason) => unknown(match reason {
                Reason::Malformed | Reason::TooLarge => "it has not the form of a token",
                Reason::NotAPat => "it is not signed by Hallpass",
                Reason::Signature => "the signature does not hold",
                Reason::Issuer => "it is of another realm",
                Reason::Type => "it is no personal access token",
                _ => "it is not what Hallpass issues",
            }),
            failed @ Refusal::Failed(_) => failed.into(),
        })
    }

    async fn reason(
        &self,
        record: &TokenRecord,
        status: TokenStatus,
    ) -> Result<Option<String>, Error> {
        let now = self.clock.now();
        Ok(match status {
            TokenStatus::Revoked => {
                record.revocation(now).map(|(_, reason)| reason.name().to_owned())
            }
            TokenStatus::Expired => Some(Reason::Expired.code().to_owned()),
            TokenStatus::Suspended => Some(Reason::Suspended.code().to_owned()),
            TokenStatus::Active | TokenStatus::ExpiringSoon => {
                let enabled = self.owners.is_enabled(&record.user_id).await?;
                (!enabled).then(|| Reason::OwnerDisabled.code().to_owned())
            }
        })
    }
}

/// The holder of a token may know why it is none; it says nothing about anybody else's.
fn unknown(reason: &str) -> Error {
    Error::new(Code::NotFound, format!("This is no token that Hallpass knows: {reason}."))
}

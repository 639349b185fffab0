//! Personal access tokens: issued, listed, rotated, revoked, deleted.
//!
//! Issue ([`Tokens::issue`]): policy, the owner's state and roles, the claims by [`claims`]'s rule, record
//! and audit in one transaction, the owner compared again, and only then the signature (RFC 7519, RFC 7515).

mod census;
mod claims;
mod end;
mod grant;
mod holder;
mod identify;
mod issue;
mod jwt;
mod name;
mod narrowing;
mod offer;
mod rotate;
mod tighten;

use std::sync::Arc;

pub use census::Census;
pub use end::{Deleted, Revoked};
pub use identify::Identified;
pub use issue::{End, IssuedToken, TokenRequest};
pub use name::{Description, RevocationNote, TokenName};

pub use narrowing::{Narrowing, Wanted};
pub use offer::{Offered, Preview};
pub use rotate::RotateToken;

use crate::access::{Access, Action};
use crate::audit::{self, Teller};
use crate::clock::Clock;
use crate::config;
use crate::decide::{Decider, Reason, Refusal, Uses};
use crate::error::Error;
use crate::id::{PatId, UserId};
use crate::keycloak::ClientDirectory;
use crate::keys::{KeyRing, PublishedKeys};
use crate::owner::Owners;
use crate::page::Page;
use crate::principal::Caller;
use crate::store::{Store, TokenFilter, TokenRecord};
use crate::throttle::Throttle;

/// The use cases of personal access tokens. Clones share everything.
#[derive(Clone)]
pub struct Tokens {
    /// The records.
    pub store: Store,
    /// Who may do what.
    pub access: Access,
    /// The owners, as Keycloak sees them.
    pub owners: Owners,
    /// The realm's clients.
    pub clients: ClientDirectory,
    /// The signing keys.
    pub keys: KeyRing,
    /// What the realm publishes.
    pub published: PublishedKeys,
    /// What credentials are.
    pub decider: Decider,
    /// The uses that are not recorded yet.
    pub uses: Uses,
    /// How often one caller may create.
    pub throttle: Throttle,
    /// Tells what was done.
    pub teller: Teller,
    /// The time.
    pub clock: Clock,
    /// The realm's issuer.
    pub issuer: Arc<str>,
    /// Lifetimes, limits, audiences.
    pub settings: Arc<config::TokenSettings>,
}

/// Whose tokens an operation is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The caller's own.
    Own,
    /// This user's, for an administrator.
    User(UserId),
    /// Everybody's, for an administrator.
    Everybody,
}

impl Tokens {
    /// The caller's token of this id.
    pub async fn get(&self, caller: &Caller, pat_id: PatId) -> Result<TokenRecord, Error> {
        caller.authorize(Action::ReadTokens)?;
        self.find(&caller.user_id, pat_id).await
    }

    /// Changes what one of the caller's tokens is said to be for.
    pub async fn describe(
        &self,
        caller: &Caller,
        pat_id: PatId,
        description: Option<&Description>,
    ) -> Result<TokenRecord, Error> {
        caller.authorize(Action::DescribeToken)?;
        let token = self.find(&caller.user_id, pat_id).await?;
        let description = description.map(Description::as_str);
        if token.description.as_deref() == description {
            return Ok(token);
        }
        let event = self.event(audit::Act::TokenDescribed, &token, caller);
        if self.store.describe_token(pat_id, description, &event).await? {
            self.teller.tell(&event);
        }
        self.find(&caller.user_id, pat_id).await
    }

    /// The token that the caller used.
    pub async fn get_self(&self, caller: &Caller) -> Result<TokenRecord, Error> {
        caller.authorize(Action::ReadSelf)?;
        let found = self.store.find_token(&caller.user_id, caller.calling_token()?).await?;
        // It was deleted a moment ago, and this process had not heard of it.
        found.ok_or_else(|| Refusal::Because(Reason::Unknown).into())
    }

    /// A page of the tokens that are wanted.
    pub async fn list(
        &self,
        caller: &Caller,
        whose: &Whose,
        filter: &TokenFilter,
    ) -> Result<Page<TokenRecord>, Error> {
        let owner = match whose {
            Whose::Own => {
                caller.authorize(Action::ReadTokens)?;
                Some(&caller.user_id)
            }
            Whose::User(owner) => {
                self.access.allow(caller, Action::ReadEverybodysTokens).await?;
                Some(owner)
            }
            Whose::Everybody => {
                self.access.allow(caller, Action::ReadEverybodysTokens).await?;
                None
            }
        };
        let search_usernames = *whose != Whose::Own;
        let filter = TokenFilter { search_usernames, ..filter.clone() };
        Ok(self.store.list_tokens(owner, &filter, self.clock.now()).await?)
    }

    async fn find(&self, owner: &UserId, pat_id: PatId) -> Result<TokenRecord, Error> {
        let found = self.store.find_token(owner, pat_id).await?;
        found.ok_or_else(|| Error::not_found("token"))
    }
}

//! Personal access tokens: issued, listed, revoked, deleted.
//!
//! Issue ([`Tokens::issue`]): policy, the owner's state and roles, the claims by [`claims`]'s rule, record
//! and audit in one transaction, the owner compared again, and only then the signature (RFC 7519, RFC 7515).

mod claims;
mod issue;
mod jwt;
mod name;

use std::sync::Arc;

pub use issue::{End, IssuedToken, NewToken};
pub use name::{Description, TokenName};

use crate::audit::{self, Event};
use crate::clock::Clock;
use crate::config;
use crate::error::Error;
use crate::id::PatId;
use crate::keycloak::ClientDirectory;
use crate::keys::{KeyRing, PublishedKeys};
use crate::owner::Owners;
use crate::page::{Page, PageRequest};
use crate::principal::{Action, Credential, Origin, Principal};
use crate::store::{Store, TokenDeleted, TokenRecord};

/// The use cases of personal access tokens. Clones share everything.
#[derive(Clone)]
pub struct Tokens {
    /// The records.
    pub store: Store,
    /// The owners, as Keycloak sees them.
    pub owners: Owners,
    /// The realm's clients.
    pub clients: ClientDirectory,
    /// The signing keys.
    pub keys: KeyRing,
    /// What the realm publishes.
    pub published: PublishedKeys,
    /// The time.
    pub clock: Clock,
    /// The realm's issuer.
    pub issuer: Arc<str>,
    /// Lifetimes, limits, audiences.
    pub settings: Arc<config::Tokens>,
}

/// Why a token ended, as `revokedReason` says it.
const BY_OWNER: &str = "revoked_by_owner";

impl Tokens {
    /// The caller's token of this id.
    pub async fn get(&self, caller: &Principal, pat_id: PatId) -> Result<TokenRecord, Error> {
        caller.authorize(Action::ReadTokens)?;
        self.find_own(caller, pat_id).await
    }

    /// The token that the caller used.
    pub async fn get_self(&self, caller: &Principal) -> Result<TokenRecord, Error> {
        caller.authorize(Action::ReadSelf)?;
        match caller.credential {
            Credential::Pat { pat_id, .. } => self.find_own(caller, pat_id).await,
            Credential::AccessToken { .. } => Err(Error::not_found("token")),
        }
    }

    /// The caller's tokens, newest first.
    pub async fn list(
        &self,
        caller: &Principal,
        page: PageRequest,
    ) -> Result<Page<TokenRecord>, Error> {
        caller.authorize(Action::ReadTokens)?;
        Ok(self.store.list_tokens(&caller.user_id, page).await?)
    }

    /// Revokes the caller's token: it stays listed. Again: nothing changes.
    pub async fn revoke(
        &self,
        caller: &Principal,
        origin: &Origin,
        pat_id: PatId,
    ) -> Result<TokenRecord, Error> {
        caller.authorize(Action::RevokeToken(pat_id))?;
        let token = self.find_own(caller, pat_id).await?;
        let event = self.event(audit::Action::TokenRevoked, &token, caller, origin);
        let event = event.because(BY_OWNER);
        if self.store.revoke_token(pat_id, &event).await? == crate::store::TokenRevoked::Revoked {
            event.log();
        }
        self.find_own(caller, pat_id).await
    }

    /// Deletes the caller's token with its metadata.
    pub async fn delete(
        &self,
        caller: &Principal,
        origin: &Origin,
        pat_id: PatId,
    ) -> Result<(), Error> {
        caller.authorize(Action::DeleteToken)?;
        let token = self.find_own(caller, pat_id).await?;
        let event = self.event(audit::Action::TokenDeleted, &token, caller, origin);
        match self.store.delete_token(pat_id, &event).await? {
            TokenDeleted::Deleted => {
                event.log();
                Ok(())
            }
            TokenDeleted::NotFound => Err(Error::not_found("token")),
        }
    }

    async fn find_own(&self, caller: &Principal, pat_id: PatId) -> Result<TokenRecord, Error> {
        let found = self.store.find_token(&caller.user_id, pat_id).await?;
        found.ok_or_else(|| Error::not_found("token"))
    }

    fn event(
        &self,
        action: audit::Action,
        token: &TokenRecord,
        caller: &Principal,
        origin: &Origin,
    ) -> Event {
        let subject = (token.pat_id, token.name.as_str(), &token.user_id);
        Event::of_token(action, subject, (caller, origin), self.clock.now())
    }
}

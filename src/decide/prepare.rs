//! What is not remembered of a token: its signature is checked, its record looked at where that is needed, and what later
//! requests with it need is prepared.

use std::sync::Arc;

use super::cache::{Hash, Now};
use super::presented::{Accepts, Sought};
use super::token::{Source, Token};
use super::{Decider, Reason, Refusal, said};
use crate::claim;
use crate::clock::Timestamp;
use crate::error::{Code, Error};
use crate::id::{PatId, UserId};
use crate::keys::KeyOwner;
use crate::owner::Roles;
use crate::store::{OwnerSaid, TokenRecord};
use crate::verify::{
    self, CheckError, Claims, DEFAULT_MAX_BYTES, DigestedToken, Rules, UnverifiedToken,
};
impl Decider {
    /// What is not remembered of this token.
    pub(super) async fn find_out(
        &self,
        sought: Sought<'_>,
        digested: DigestedToken<'_>,
        now: Now,
    ) -> Result<Arc<Token>, Refusal> {
        let Sought { text, accepts, introspects } = sought;
        let hash = Hash::of(&digested);
        let unverified = digested.parse(DEFAULT_MAX_BYTES).map_err(Reason::from)?;
        let kid = &*unverified.header().kid;
        let whose = self.keys.whose(kid);
        match whose {
            KeyOwner::Others if accepts == Accepts::Pats => return Err(Reason::NotAPat.into()),
            // Whatever the realm publishes.
            KeyOwner::Retired => return Err(Reason::UnknownKey.into()),
            KeyOwner::Ours | KeyOwner::Others => {}
        }
        if let Some(reason) = self.tokens.find_refused(&hash, now) {
            return Err(reason.into());
        }
        let check = async {
            let token = if whose == KeyOwner::Ours {
                self.new_pat(&unverified, introspects).await
            } else {
                self.new_access_token(&unverified).await
            };
            token.map(|token| token.found(text, kid))
        };
        let token = self.tokens.find_out(hash, now, check).await?;
        // The check may have begun before the key was gone.
        if self.jwks.holds(&token.kid) { Ok(token) } else { Err(Reason::UnknownKey.into()) }
    }

    async fn new_pat(
        &self,
        token: &UnverifiedToken<'_>,
        introspects: bool,
    ) -> Result<Token, Refusal> {
        let claims = match self.verify(token, &self.personal_access_token).await {
            Err(Refusal::Because(Reason::Type)) => {
                Box::pin(self.note_misuse(token)).await;
                return Err(Reason::Type.into());
            }
            verified => verified?,
        };
        let id = PatId::parse(&claims.jti).ok_or(Reason::Unknown)?;
        // Before the record is looked at: what is renamed meanwhile is prepared again.
        let renaming = self.store.renaming(id);
        let said = Roles::<&str>::from_claims(&claims.rest).ok();
        let source = self.source(&claims);
        let plain = said.as_ref().filter(|roles| self.is_plain(id, &claims, roles));
        let mut token = if let Some(said) = plain {
            Token::plain_pat(id, source, said)
        } else {
            let owner = UserId::new(&*claims.sub);
            let found = Box::pin(self.store.find_token_to_remember(&owner, id)).await;
            let (record, at_issue) = found.map_err(Error::from)?.ok_or(Reason::Unknown)?;
            let roles = recorded_roles(&record, &at_issue)?;
            Token::pat(id, source, &record, roles, said.as_ref())
        };
        if introspects {
            token.prepare_introspection(&claims)?;
        }
        token.renaming = renaming;
        Ok(token)
    }

    /// Whether it is known, without a look at the record, that it says what the claims say, these roles among them.
    fn is_plain(&self, id: PatId, claims: &Claims, roles: &Roles<&str>) -> bool {
        let Some(username) = said::text(claims, claim::USERNAME) else { return false };
        let said = OwnerSaid {
            user_id: &claims.sub,
            roles: &roles.to_json().unwrap_or_default(),
            username,
            email: said::text(claims, claim::EMAIL).unwrap_or_default(),
            email_verified: said::is_verified(claims),
        };
        self.store.is_known_as_plain(said, id, Timestamp::from_seconds(claims.exp))
    }

    const fn source<'a>(&self, claims: &'a Claims) -> Source<'a> {
        Source { claims, unverified_email: self.unverified_email }
    }

    /// Another token than ours under a key of ours: is it one of the realm's?
    async fn note_misuse(&self, token: &UnverifiedToken<'_>) {
        if let Ok(claims) = self.verify(token, &self.access_token).await {
            self.keys.misuse().saw_token(Timestamp::from_seconds(claims.iat));
        }
    }

    async fn new_access_token(&self, token: &UnverifiedToken<'_>) -> Result<Token, Refusal> {
        let claims = self.verify(token, &self.access_token).await?;
        let authority = self.authority.read(&claims.rest);
        Ok(Token::access_token(self.source(&claims), authority))
    }

    pub(super) async fn verify(
        &self,
        token: &UnverifiedToken<'_>,
        rules: &Rules,
    ) -> Result<Claims, Refusal> {
        let now = self.clock.now().seconds();
        verify::check_parsed(&self.jwks, token, rules, now).await.map_err(|error| match error {
            CheckError::Rejected(rejection) => Reason::from(rejection).into(),
            CheckError::KeysUnavailable => Error::new(
                Code::KeycloakUnavailable,
                "Keycloak's keys are not available, so no credential can be checked; try again shortly.",
            )
            .into(),
        })
    }
}

/// The roles that the record gives its token: all that the owner had at its issue, or those that it was narrowed to.
fn recorded_roles(record: &TokenRecord, at_issue: &str) -> Result<Roles, Error> {
    let had = Roles::from_json(at_issue).map_err(Error::internal)?;
    if !record.is_narrowed() {
        return Ok(had);
    }
    let mut roles = Roles::default();
    for name in record.roles.iter().flatten() {
        // Whoever asked for it had exactly one role that it could mean.
        let meant = had.named(name);
        if meant.len() == 1 {
            roles.extend(meant);
        }
    }
    Ok(roles)
}

//! Whether the account that a token names is its holder's own.
//!
//! The claim alone does not say so: where a user has no attribute, Keycloak's mapper takes it from their groups and those
//! above, so that whoever manages one group could make themselves a member of any account; and of several values it takes
//! the first. So Keycloak is asked for the user's own attribute.
//!
//! What changes something or shows a secret asks each time, and is refused while Keycloak is away. What only reads metadata
//! trusts a confirmation for a minute; for as long as an hour while Keycloak does not answer, since an access token goes
//! on naming the account it was made with for about as long.

use std::time::Duration;

use moka::future::Cache;

use super::Clients;
use crate::access::Action;
use crate::clock::Timestamp;
use crate::error::{Code, Error};
use crate::id::{AccountId, UserId};
use crate::keycloak::KeycloakError;
use crate::principal::Caller;

/// For so long a confirmation is trusted without asking.
const FRESH: Duration = Duration::from_mins(1);
/// For so long while Keycloak does not answer.
const KEPT: Duration = Duration::from_hours(1);
const MAX_REMEMBERED: u64 = 10_000;

/// The accounts that were confirmed as their users' own, and when. Clones share them.
#[derive(Clone)]
pub struct Memberships(Cache<UserId, (AccountId, Timestamp)>);

impl Default for Memberships {
    fn default() -> Self {
        Self(Cache::new(MAX_REMEMBERED))
    }
}

impl Memberships {
    async fn confirmed_at(&self, user: &UserId, account: &AccountId) -> Option<Timestamp> {
        let (known, at) = self.0.get(user).await?;
        (known == *account).then_some(at)
    }
}

impl Clients {
    /// The account that the caller's token names, where it is their own.
    pub(super) async fn own_account(
        &self,
        caller: &Caller,
        named: Option<AccountId>,
        action: Action,
    ) -> Result<AccountId, Error> {
        let Some(account) = named else { return Err(self.no_account(caller).await) };
        let caller = &caller.user_id;
        let now = self.clock.now();
        let confirmed_at = match action {
            Action::ReadClients => self.memberships.confirmed_at(caller, &account).await,
            _ => None,
        };
        let within = |bound| confirmed_at.is_some_and(|at| now < at.plus(bound));
        if within(FRESH) {
            return Ok(account);
        }
        match self.owners.has_account(caller, &account).await {
            Ok(true) => {
                self.memberships.0.insert(caller.clone(), (account.clone(), now)).await;
                Ok(account)
            }
            Ok(false) => {
                self.forget_membership(caller).await;
                Err(not_own())
            }
            Err(KeycloakError::Unavailable(_) | KeycloakError::Failed(_)) if within(KEPT) => {
                Ok(account)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Why the caller's credential names no account. Whether the user has one, Hallpass's own client would say.
    async fn no_account(&self, caller: &Caller) -> Error {
        let own = self.owners.own_client_id();
        let other = caller.client_id.as_deref().filter(|client| *client != own);
        if let Some(client) = other
            && let Ok(authority) = self.owners.get_authority(&caller.user_id).await
            && authority.account.is_some()
        {
            let detail = format!(
                "You have an account, but your access token does not say it: the client `{client}`, which it was \
                 issued to, lacks the mapper that writes the account. Its operator adds one."
            );
            return Error::new(Code::NoAccount, detail);
        }
        let detail =
            "You have no account, or one that is malformed; an administrator sets it on your user.";
        Error::new(Code::NoAccount, detail)
    }

    /// Something happened to this user: the next call asks Keycloak.
    pub async fn forget_membership(&self, user: &UserId) {
        self.memberships.0.invalidate(user).await;
    }
}

fn not_own() -> Error {
    let detail = "Your access token names an account that is not your own: your user has to have the attribute \
                  `account_id` with exactly this one value. That of a group does not count. An administrator sets it.";
    Error::new(Code::NoAccount, detail)
}

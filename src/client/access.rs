//! Who sees what: finding and listing clients, what can be granted, quotas.

use super::{Client, Clients};
use crate::access::Action;
use crate::audit::{self, Actor, Event};
use crate::config::Profile;
use crate::error::{Code, Error};
use crate::id::{AccountId, ClientId};
use crate::keycloak::ScopeDetails;
use crate::page::Page;
use crate::principal::{Caller, Role};
use crate::store::{ClientFilter, ClientRecord, Quota, Visible};

/// A client scope that people may grant to their clients.
#[derive(Clone, Debug)]
pub struct GrantableScope {
    /// The name in `scope`.
    pub name: String,
    /// What it allows.
    pub description: Option<String>,
}

impl Clients {
    /// The clients that the caller may see and wants.
    pub async fn list(
        &self,
        caller: &Caller,
        filter: &ClientFilter,
    ) -> Result<Page<Client>, Error> {
        let visible = self.visible(caller, Action::ReadClients).await?;
        let page = self.store.list_clients(&visible, filter).await?;
        let items = page.items.into_iter().map(Client::try_from).collect::<Result<_, _>>()?;
        Ok(Page { items, total: page.total })
    }

    /// One client, as Keycloak has it now; while Keycloak is away, as it was last seen.
    pub async fn get(&self, caller: &Caller, id: &str) -> Result<Client, Error> {
        let record = self.find_visible(caller, Action::ReadClients, id).await?;
        if let Err(error) = self.observe(&record).await {
            tracing::info!(
                error = &error as &dyn std::error::Error,
                "a client is shown as it was last seen"
            );
        }
        self.find_record(&record.record_id).await
    }

    /// What the caller can grant to a client.
    pub async fn list_scopes(&self, caller: &Caller) -> Result<Vec<GrantableScope>, Error> {
        self.visible(caller, Action::ReadClients).await?;
        let mut scopes: Vec<_> = self
            .keycloak
            .list_scope_details()
            .await?
            .into_iter()
            .filter(ScopeDetails::is_grantable)
            .map(|scope| GrantableScope { name: scope.name, description: scope.description })
            .collect();
        scopes.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(scopes)
    }

    /// The quota of the caller's account.
    pub async fn get_own_quota(&self, caller: &Caller) -> Result<(AccountId, Quota), Error> {
        let authority = self.access.allow(caller, Action::ReadClients).await?;
        let account = self.own_account(caller, authority.account, Action::ReadClients).await?;
        let quota = self.store.get_quota(&account, self.settings.quota).await?;
        Ok((account, quota))
    }

    /// The quota of any account, for an administrator.
    pub async fn get_quota(&self, caller: &Caller, account: &AccountId) -> Result<Quota, Error> {
        match self.visible(caller, Action::ReadClients).await? {
            Visible::All => {
                self.check_account(account).await?;
                Ok(self.store.get_quota(account, self.settings.quota).await?)
            }
            Visible::Account(_) | Visible::Owned(..) => {
                let detail = "This needs the role `manage-api-clients` of the client `hallpass`; the quota of your own \
                              account is at `/api/clients/v1/quota`.";
                Err(Error::new(Code::MissingRole, detail))
            }
        }
    }

    /// Sets the quota of an account.
    pub async fn set_quota(
        &self,
        caller: &Caller,
        account: &AccountId,
        limit: u32,
    ) -> Result<Quota, Error> {
        self.change_quota(caller, account, Some(limit)).await?;
        Ok(self.store.get_quota(account, self.settings.quota).await?)
    }

    /// Gives an account the quota of the settings again.
    pub async fn reset_quota(&self, caller: &Caller, account: &AccountId) -> Result<(), Error> {
        self.change_quota(caller, account, None).await
    }

    async fn change_quota(
        &self,
        caller: &Caller,
        account: &AccountId,
        limit: Option<u32>,
    ) -> Result<(), Error> {
        caller.authorize(Action::SetQuota)?;
        self.check_account(account).await?;
        self.throttle.change(&caller.user_id)?;
        let subject = (account.to_string(), account.to_string());
        let actor = Actor::from(caller);
        let reason =
            limit.map_or_else(|| "the default".to_owned(), |limit| format!("limit {limit}"));
        let event =
            Event::new(audit::Act::QuotaSet, subject, &caller.user_id, &actor, self.clock.now())
                .because(reason);
        self.store.set_quota(account, limit, &event).await?;
        self.teller.tell(&event);
        Ok(())
    }

    /// Fails for an account that nobody has: no user, and no client now or before.
    async fn check_account(&self, account: &AccountId) -> Result<(), Error> {
        if self.store.knows_account(account).await?
            || self.owners.is_anybodys_account(account).await?
        {
            return Ok(());
        }
        Err(Error::not_found("account"))
    }

    /// The record of this id, where the caller may do this to it; what they may not see is not there.
    pub(super) async fn find_visible(
        &self,
        caller: &Caller,
        action: Action,
        id: &str,
    ) -> Result<ClientRecord, Error> {
        let visible = self.visible(caller, action).await?;
        self.get_within(&visible, id).await
    }

    pub(super) async fn get_within(
        &self,
        visible: &Visible,
        id: &str,
    ) -> Result<ClientRecord, Error> {
        self.find_within(visible, id).await?.ok_or_else(|| Error::not_found("API client"))
    }

    pub(super) async fn find_within(
        &self,
        visible: &Visible,
        id: &str,
    ) -> Result<Option<ClientRecord>, Error> {
        // NUL cannot be asked for on PostgreSQL, and no id has it.
        if id.contains('\0') {
            return Ok(None);
        }
        if let Some(beginning) = id.strip_suffix(ELLIPSIS).filter(|_| self.is_domo()) {
            let mut found = self.store.list_clients_beginning(visible, beginning).await?;
            return Ok(if found.len() == 1 { found.pop() } else { None });
        }
        let found = self.store.find_client(&ClientId::stored(id.to_owned())).await?;
        Ok(found.filter(|record| visible.includes(record)))
    }

    /// The id as lists show it: under `domo` its beginning only, which every call takes as well while it is
    /// unambiguous.
    #[must_use]
    pub fn listed_id(&self, id: &ClientId, account: &AccountId) -> String {
        let shown = account.as_str().len() + 1 + SHOWN;
        match id.as_str().get(..shown) {
            Some(beginning) if self.is_domo() => format!("{beginning}{ELLIPSIS}"),
            _ => id.to_string(),
        }
    }

    /// Which clients the caller may do this to.
    pub(super) async fn visible(&self, caller: &Caller, action: Action) -> Result<Visible, Error> {
        let authority = self.access.allow(caller, action).await?;
        if authority.roles.contains(&Role::ManageApiClients) {
            return Ok(Visible::All);
        }
        let account = self.own_account(caller, authority.account, action).await?;
        Ok(match self.settings.profile {
            Profile::Insights => Visible::Account(account),
            Profile::Domo => Visible::Owned(account, caller.user_id.clone()),
        })
    }
}

const ELLIPSIS: char = '…';
/// As many characters of a generated id are shown in lists.
const SHOWN: usize = 8;

//! What can be done to an API client, and which calls to Keycloak it makes: recorded, not written down here.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{Account, CLIENTS, Made, OTHER_SCOPE, agree, path};
use crate::support::FaultProxy;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Create,
    Change,
    ChangeScopes,
    Regenerate,
    Transfer,
    Delete,
}

/// A call to Keycloak: a pattern of the fault proxy, and which of its requests it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) pattern: String,
    pub(super) nth: usize,
}

/// Stands for Keycloak's id of the client.
const UUID: &str = "UUID";

impl Call {
    pub(super) fn reads(&self) -> bool {
        self.pattern.starts_with("GET ")
    }

    /// The pattern of the same call for this client.
    pub(super) fn pattern_for(&self, client: Option<&Made>) -> String {
        self.pattern.replace(UUID, client.map_or("*", |made| &made.uuid))
    }
}

/// The poll's, the login for all of them, and what is remembered: the realm's keys and Hallpass's own clients.
fn is_the_service_s_own(line: &str) -> bool {
    let own = line.ends_with("/clients") || line.ends_with("events");
    line.ends_with("/token") || line.ends_with("/certs") || (line.starts_with("GET ") && own)
}

impl Operation {
    pub(super) const ALL: [Self; 6] = [
        Self::Create,
        Self::Change,
        Self::ChangeScopes,
        Self::Regenerate,
        Self::Transfer,
        Self::Delete,
    ];

    /// The status when all goes well.
    pub(super) const fn success(self) -> u16 {
        match self {
            Self::Create | Self::Regenerate => 201,
            Self::Change | Self::ChangeScopes | Self::Transfer => 200,
            Self::Delete => 204,
        }
    }

    pub(super) fn change(self) -> Value {
        let mut change = json!({
            "displayName": "After", "description": "After", "redirectUris": ["https://after.example/cb"],
        });
        if self == Self::ChangeScopes {
            change["scopes"] = json!([OTHER_SCOPE]);
        }
        change
    }

    /// The request for it, of a member of the account.
    pub(super) fn request(self, account: &Account, base: &str, name: &str) -> RequestBuilder {
        let api = account.member(base);
        let path = path(&account.client_id(name));
        match self {
            Self::Create => api.request(Method::POST, CLIENTS).json(&account.creation(name)),
            Self::Change | Self::ChangeScopes => {
                api.request(Method::PATCH, &path).json(&self.change())
            }
            Self::Regenerate => api.request(Method::POST, &format!("{path}/secret")),
            Self::Transfer => api
                .request(Method::POST, &format!("{path}/transfer"))
                .json(&json!({"ownerId": account.other_member.id})),
            Self::Delete => api.request(Method::DELETE, &path),
        }
    }

    /// The client that it needs, where it needs one.
    pub(super) async fn prepare(self, account: &Account, base: &str, name: &str) -> Option<Made> {
        match self {
            Self::Create => None,
            _ => Some(account.make(base, name).await),
        }
    }

    /// Does it once, undisturbed, and answers the calls that it made.
    pub(super) async fn record(
        self,
        account: &Account,
        base: &str,
        proxy: &FaultProxy,
    ) -> Vec<Call> {
        let name = format!("{self:?}-recorded");
        let made = self.prepare(account, base, &name).await;
        proxy.clear();
        let answer = self.request(account, base, &name).send().await.unwrap();
        assert_eq!(
            answer.status().as_u16(),
            self.success(),
            "{self:?}: {}",
            answer.text().await.unwrap()
        );
        let passed = proxy.passed();
        let uuid = if let Some(made) = made {
            made.uuid
        } else {
            let client = agree::find_in_keycloak(account, &account.client_id(&name)).await;
            client.unwrap()["id"].as_str().unwrap().to_owned()
        };
        let mut calls: Vec<Call> = Vec::new();
        for line in passed.iter().filter(|line| !is_the_service_s_own(line)) {
            let pattern = line.replace(&uuid, UUID);
            let nth = 1 + calls.iter().filter(|call| call.pattern == pattern).count();
            // At its start the service looks at the scopes of the allowed clients, beside this.
            if nth > 1 && pattern.ends_with("/client-scopes") {
                continue;
            }
            calls.push(Call { pattern, nth });
        }
        assert!(calls.iter().any(|call| !call.reads()), "{self:?} changes nothing: {calls:?}");
        calls
    }

    /// Whether what is there now is what was before, or what the operation makes of it, and nothing between.
    pub(super) async fn assert_whole(self, account: &Account, base: &str, made: &Made) {
        let answer = account.administrator(base).get(&path(&made.id)).await;
        if answer.status == 404 {
            assert_eq!(self, Self::Delete, "{} is gone", made.id);
            return;
        }
        let record = answer.expect(200);
        let texts = [&record["displayName"], &record["description"], &record["redirectUris"][0]];
        let after = ["After", "After", "https://after.example/cb"];
        let before = ["Before", "Before", "https://before.example/cb"];
        let changed = texts == after;
        assert!(changed || texts == before, "{self:?}: a mix: {record}");
        assert_eq!(
            record["scopes"] == json!([OTHER_SCOPE]),
            changed && self == Self::ChangeScopes,
            "{self:?}: a mix: {record}"
        );
        let transferred = record["owner"]["id"] == account.other_member.id.as_str();
        assert!(transferred || record["owner"]["id"] == account.member.id.as_str(), "{record}");
        if transferred {
            let old_works = agree::works(account, &made.id, &made.secret).await;
            assert!(!old_works, "the old owner's secret still works: {record}");
        }
    }
}

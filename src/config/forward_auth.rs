//! The section `forward_auth`: what protected resources ask for, by name.

use std::collections::BTreeMap;

use super::reader::{Key, Reader, Reason};
use crate::role_name;

/// What forward-auth knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForwardAuth {
    /// The policies by name.
    pub policies: BTreeMap<String, Policy>,
    /// Whether an email address is told that Keycloak does not call verified.
    pub unverified_email: bool,
}

/// What a token must have beyond being good: all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Roles, in the spelling of [`role_name`].
    pub roles: Vec<String>,
    /// Scopes.
    pub scopes: Vec<String>,
    /// Audiences. Where one is asked for, access tokens of the realm are taken, too.
    pub audience: Vec<String>,
}

const ROLES: &str = "roles";
const SCOPES: &str = "scopes";
const AUDIENCE: &str = "aud";

impl ForwardAuth {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let tables = reader.tables(POLICIES, parse_name, &[ROLES, SCOPES, AUDIENCE], parse_entry);
        let unverified_email = reader.value(UNVERIFIED_EMAIL, parse_choice);
        let (tables, unverified_email) = (tables?, unverified_email?);
        let policy = |mut lists: BTreeMap<&str, Vec<String>>| {
            let mut list = |name| lists.remove(name).unwrap_or_default();
            Policy { roles: list(ROLES), scopes: list(SCOPES), audience: list(AUDIENCE) }
        };
        let policies = tables.into_iter().map(|(name, lists)| (name, policy(lists))).collect();
        Some(Self { policies, unverified_email })
    }
}

fn parse_name(text: &str) -> Result<(), Reason> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let fits = (1..=64).contains(&text.len()) && text.chars().all(plain);
    if fits { Ok(()) } else { Err("is no name of a policy") }
}

fn parse_choice(text: &str) -> Result<bool, Reason> {
    text.parse().map_err(|_| "is neither `true` nor `false`")
}

fn parse_entry(list: &str, text: &str) -> Result<String, Reason> {
    let fits = (1..=255).contains(&text.chars().count()) && !text.contains(char::is_control);
    if !fits {
        return Err("is empty, too long or has a control character");
    }
    if list == ROLES { role_name::parse(text) } else { Ok(text.to_owned()) }
}

const POLICIES: Key = Key {
    name: "forward_auth.policies",
    default: Some("{}"),
    allowed: "tables `forward_auth.policies.NAME` with the lists `roles`, `scopes` and `aud`, or the same as JSON: \
              `{\"NAME\": {\"roles\": [\"a\"]}}`; names of 1 to 64 letters, digits, underscores, hyphens",
    meaning: "What `/forward-auth/policy/NAME` asks of a token: all of it. A role is `name`, or `client:name`; a colon within a name is \
              written `%3A`.",
};
const UNVERIFIED_EMAIL: Key = Key {
    name: "forward_auth.unverified_email",
    default: Some("false"),
    allowed: "`true`, `false`",
    meaning: "Whether `X-Auth-Email` also tells an address that Keycloak does not call verified. Anybody can enter such an address in \
              a realm that lets people edit theirs: `true` only where the services behind do not take it for proof.",
};

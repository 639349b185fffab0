//! The section `tokens`: personal access tokens.

use std::time::Duration;

use super::keycloak::{ClaimPath, parse_client_id};
use super::reader::{Key, Reader, Reason};
use crate::claim;

/// What personal access tokens are like.
#[derive(Clone, Debug)]
pub struct TokenSettings {
    /// The designated client, whose mappers shape the claims; the `azp` of every token.
    pub client_id: String,
    /// Audiences that every token has.
    pub audiences: Vec<String>,
    /// Claims that carry authority: a token that has one ends when it is no longer true.
    pub authority_claims: Vec<ClaimPath>,
    /// How long a token lives where nothing is asked for.
    pub default_lifetime: Duration,
    /// The longest that can be asked for.
    pub max_lifetime: Duration,
    /// How many live tokens one user may have; 0: no limit.
    pub max_per_user: u32,
    /// Roles that no token carries: `name` of the realm, `client:name` of a client.
    pub denied_roles: Vec<String>,
}

/// The shortest life of a token.
pub const MIN_LIFETIME: Duration = Duration::from_mins(1);
const LONGEST_LIFETIME: Duration = Duration::from_hours(36_525 * 24);

impl TokenSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let client_id = reader.value(CLIENT_ID, parse_client_id);
        let audiences = reader.list(AUDIENCES, parse_audience);
        let authority_claims = reader.list(AUTHORITY_CLAIMS, parse_authority_claim);
        let default_lifetime = reader.value(DEFAULT_LIFETIME, parse_lifetime);
        let max_lifetime = reader.value(MAX_LIFETIME, parse_lifetime);
        let max_per_user =
            reader.value(MAX_PER_USER, |text| text.parse().map_err(|_| "is no number"));
        let denied_roles = reader.list(DENIED_ROLES, parse_role);
        reader.value(KEYCLOAK_INTROSPECTION, parse_introspection);
        if default_lifetime > max_lifetime && max_lifetime.is_some() {
            reader.problem(DEFAULT_LIFETIME, "is over `tokens.max_lifetime`");
        }
        Some(Self {
            client_id: client_id?,
            audiences: audiences?,
            authority_claims: authority_claims?,
            default_lifetime: default_lifetime?,
            max_lifetime: max_lifetime?,
            max_per_user: max_per_user?,
            denied_roles: denied_roles?,
        })
    }
}

fn parse_audience(text: &str) -> Result<String, Reason> {
    let fits = (1..=255).contains(&text.chars().count())
        && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    if fits { Ok(text.to_owned()) } else { Err("is no audience") }
}

fn parse_authority_claim(text: &str) -> Result<ClaimPath, Reason> {
    let path = ClaimPath::parse(text)?;
    let name = path.claim();
    // The evaluation says something else of these each time.
    if claim::PROTOCOL.contains(&name) || claim::ROLES.contains(&name) {
        return Err("is a claim that Hallpass writes itself, or roles, which are compared anyway");
    }
    Ok(path)
}

/// Roles and clients are named in many ways; either may have colons.
fn parse_role(text: &str) -> Result<String, Reason> {
    let fits = (1..=511).contains(&text.chars().count()) && !text.contains(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err("is no role") }
}

fn parse_lifetime(text: &str) -> Result<Duration, Reason> {
    let lifetime = humantime::parse_duration(text).map_err(|_| "is no duration")?;
    if lifetime.subsec_nanos() != 0 {
        return Err("is not in whole seconds");
    }
    if !(MIN_LIFETIME..=LONGEST_LIFETIME).contains(&lifetime) {
        return Err("is too short or too long");
    }
    Ok(lifetime)
}

fn parse_introspection(text: &str) -> Result<(), Reason> {
    match text {
        "deny" => Ok(()),
        "honour" => Err("belongs to a part that this version does not have yet"),
        _ => Err("is not known"),
    }
}

pub(super) const CLIENT_ID: Key = Key {
    name: "tokens.client_id",
    default: Some("hallpass-pat"),
    allowed: "1 to 255 visible ASCII characters",
    meaning: "The designated client: its mappers shape the claims of every personal access token.",
};
const AUDIENCES: Key = Key {
    name: "tokens.audiences",
    default: Some(""),
    allowed: "audiences of 1 to 255 characters, without spaces",
    meaning: "The `aud` of every personal access token, beside what mappers add.",
};
const AUTHORITY_CLAIMS: Key = Key {
    name: "tokens.authority_claims",
    default: Some("groups,organization,organizations"),
    allowed: r"names of claims; dots descend, `\.` is a dot within a name",
    meaning: "Claims that carry authority: a token that has one is revoked when it changes.",
};
const LIFETIME: &str = "whole seconds as a duration from `60s` to 100 years, such as `90d`";
const DEFAULT_LIFETIME: Key = Key {
    name: "tokens.default_lifetime",
    default: Some("30d"),
    allowed: LIFETIME,
    meaning: "How long a token lives where nothing is asked for.",
};
const MAX_LIFETIME: Key = Key {
    name: "tokens.max_lifetime",
    default: Some("365d"),
    allowed: LIFETIME,
    meaning: "The longest life that can be asked for.",
};
const MAX_PER_USER: Key = Key {
    name: "tokens.max_per_user",
    default: Some("100"),
    allowed: "a number from 0 to 4294967295; `0`: no limit",
    meaning: "How many live tokens one user may have.",
};
const DENIED_ROLES: Key = Key {
    name: "tokens.denied_roles",
    default: Some(""),
    allowed: "roles as `name` (of the realm) or `client:name`",
    meaning: "Roles that no personal access token carries. Asking for one is refused; the tokens of its holders leave it out.",
};
const KEYCLOAK_INTROSPECTION: Key = Key {
    name: "tokens.keycloak_introspection",
    default: Some("deny"),
    allowed: "`deny`",
    meaning: "Keycloak's own endpoints refuse personal access tokens, introspection included.",
};

//! What a token was issued on, its fingerprint: the roles of its owner, and the claims of its own that carry authority.
//! Compared with what the owner has now. Pure.

use crate::credential::EndReason;
use crate::owner::{AuthorityClaims, AuthorityClaimsRule, Roles, RolesDifference};
use crate::store::{OwnedToken, Restrictions, StoreError};

/// What an owner has now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now<'a> {
    pub(super) roles: &'a Roles,
    /// `None`: they were not looked at, or could not be.
    pub(super) claims: Option<&'a AuthorityClaims>,
}

/// A token beside what its owner has now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Compared {
    Same,
    Changed(Change),
    /// It carries claims, and nobody knows the owner's.
    Unknown,
}

/// Why a token is to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) reason: EndReason,
    pub(super) detail: String,
}

/// Whether it carries claims that count by the settings of today.
pub(super) fn carries_claims(
    token: &OwnedToken,
    rule: &AuthorityClaimsRule,
) -> Result<bool, StoreError> {
    Ok(!carried_claims(token, rule)?.is_empty())
}

/// Compares what counts for the token: what was at its issue, or what an operator accepted since.
pub(super) fn compare(
    token: &OwnedToken,
    now: Now<'_>,
    rule: &AuthorityClaimsRule,
) -> Result<Compared, StoreError> {
    let expected = roles(token.accepted_roles.as_ref().unwrap_or(&token.owner_roles))?;
    let difference = RolesDifference::between(&expected, now.roles);
    if !difference.is_empty() {
        let detail = difference.to_string();
        return Ok(Compared::Changed(Change { reason: EndReason::RolesChanged, detail }));
    }
    let carried = carried_claims(token, rule)?;
    if carried.is_empty() {
        return Ok(Compared::Same);
    }
    let Some(claims) = now.claims else { return Ok(Compared::Unknown) };
    let expected = match &token.accepted_claims {
        Some(accepted) => carried.updated(&read_claims(accepted)?),
        None => carried,
    };
    let difference = expected.difference(claims);
    if difference.is_empty() {
        return Ok(Compared::Same);
    }
    let detail = difference.to_string();
    Ok(Compared::Changed(Change { reason: EndReason::ClaimsChanged, detail }))
}

/// Whether the owner still has all that the token itself carries.
pub(super) fn is_covered(
    token: &OwnedToken,
    now: Now<'_>,
    rule: &AuthorityClaimsRule,
) -> Result<bool, StoreError> {
    let claims = carried_claims(token, rule)?;
    let has_claims =
        claims.is_empty() || now.claims.is_some_and(|claims_now| claims.is_within(claims_now));
    Ok(has_claims && carried_roles(token)?.is_within(now.roles))
}

/// The roles that the token itself carries: all of its owner's at its issue, or of a narrowed token those it names.
fn carried_roles(token: &OwnedToken) -> Result<Roles, StoreError> {
    let at_issue = roles(&token.owner_roles)?;
    let restrictions = token.record.restrictions();
    if restrictions == Restrictions::default() {
        return Ok(at_issue);
    }
    let mut carried = Roles::default();
    for name in restrictions.roles.iter().flatten() {
        carried.extend(at_issue.named(name));
    }
    Ok(carried)
}

fn carried_claims(
    token: &OwnedToken,
    rule: &AuthorityClaimsRule,
) -> Result<AuthorityClaims, StoreError> {
    let at_issue = token.authority_claims.as_deref().map(read_claims).transpose()?;
    Ok(rule.among(at_issue.unwrap_or_default()))
}

fn roles(text: &str) -> Result<Roles, StoreError> {
    Roles::from_json(text).map_err(|_| StoreError::Corrupt("list of roles"))
}

fn read_claims(text: &str) -> Result<AuthorityClaims, StoreError> {
    AuthorityClaims::from_json(text).map_err(|_| StoreError::Corrupt("set of claims"))
}

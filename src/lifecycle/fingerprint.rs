//! What a token was issued on: its owner's roles. Pure.

use crate::owner::Roles;
use crate::store::{OwnedToken, Restrictions, StoreError};

/// The roles of the owner that count for the token: those at its issue, or those that an operator accepted since.
pub(super) fn expected_roles(token: &OwnedToken) -> Result<Roles, StoreError> {
    read(token.accepted_roles.as_ref().unwrap_or(&token.owner_roles))
}

/// The roles that the token itself carries: all of its owner's at its issue, or of a narrowed token those it names.
pub(super) fn carried_roles(token: &OwnedToken) -> Result<Roles, StoreError> {
    let at_issue = read(&token.owner_roles)?;
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

fn read(text: &str) -> Result<Roles, StoreError> {
    Roles::from_json(text).map_err(|_| StoreError::Corrupt("list of roles"))
}

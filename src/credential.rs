//! Words for what Hallpass hands out, whatever kind it is of.

use std::fmt;

use serde::{Serialize, Serializer};

macro_rules! end_reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal;)+) => {
        /// Why a credential ended, or is suspended. The store and the API write it as its [name](Self::name).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EndReason { $($(#[doc = $doc])+ $variant,)+ }

        impl EndReason {
            /// All reasons, the lesser before the graver.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word for it.
            #[must_use]
            pub const fn name(self) -> &'static str { match self { $(Self::$variant => $name,)+ } }
        }
    };
}

end_reasons! {
    /// A word that this version does not know: a newer one wrote it.
    Unknown = "unknown";
    /// Its successor took its place.
    Rotated = "rotated";
    /// It was in its grace when its successor was rotated, too. Its user was promised more time: a use is refused, and
    /// burns nothing.
    Superseded = "superseded";
    /// Its owner revoked it.
    ByOwner = "revoked_by_owner";
    /// An administrator revoked it.
    ByAdministrator = "revoked_by_administrator";
    /// Somebody who held it revoked it (RFC 7009).
    ByHolder = "revoked_by_holder";
    /// An operator revoked it by the command line.
    ByOperator = "revoked_by_operator";
    /// A token of its family was used after its grace.
    FamilyBurned = "family_burned";
    /// A claim of its own that carries authority is no longer true of its owner.
    ClaimsChanged = "claims_changed";
    /// Its owner has other roles than at its issue.
    RolesChanged = "roles_changed";
    /// Keycloak does not answer about its owner, while it answers about others.
    OwnerUnreadable = "owner_unreadable";
    /// Wrong passwords locked its owner out for good.
    OwnerLockedOut = "owner_locked_out";
    /// Its owner is disabled, or seems to be.
    OwnerDisabled = "owner_disabled";
    /// Its owner is deleted, or seems to be.
    OwnerDeleted = "owner_deleted";
}

impl EndReason {
    /// Reads a [name](Self::name).
    #[must_use]
    pub fn read(name: &str) -> Self {
        Self::ALL.iter().copied().find(|reason| reason.name() == name).unwrap_or(Self::Unknown)
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for EndReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_read_back() {
        for reason in EndReason::ALL {
            assert_eq!(EndReason::read(reason.name()), *reason);
        }
        assert_eq!(EndReason::read("eaten_by_a_newer_version"), EndReason::Unknown);
        assert_eq!(EndReason::read(""), EndReason::Unknown);
    }
}

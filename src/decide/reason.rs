//! Why a credential is refused: stable words for logs, metrics, the audit log and `identify`. No public answer has them.
//! And why nobody can tell whether it is.

use std::fmt;
use std::sync::Arc;

use crate::error::{Code, Error};
use crate::verify::Rejection;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $code:literal;)+) => {
        /// Why a credential is refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $($(#[doc = $doc])+ $variant,)+ }

        impl Reason {
            /// All of them, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word.
            #[must_use]
            pub const fn code(self) -> &'static str { match self { $(Self::$variant => $code,)+ } }

            /// What it says, for the documentation.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+),)+ }
            }
        }
    };
}

reasons! {
    /// The request has no credential, or none of a form that is taken here.
    NoCredential = "no_credential";
    /// The request has two `Authorization` headers: somebody else may read the other one.
    SeveralCredentials = "several_credentials";
    /// It has not the form of a token.
    Malformed = "malformed";
    /// It is longer than any token.
    TooLarge = "too_large";
    /// Its header names an algorithm that is not taken.
    Algorithm = "algorithm";
    /// Its header names a key that the realm does not publish.
    UnknownKey = "unknown_key";
    /// The signature does not hold.
    Signature = "signature";
    /// It is of another realm.
    Issuer = "issuer";
    /// It is for somebody else.
    Audience = "audience";
    /// It is of a type that is not taken under its key.
    Type = "type";
    /// It is bound to its sender (`cnf`), whose proof nobody here looks at: it is no bearer token.
    SenderConstrained = "sender_constrained";
    /// It is no personal access token, and only those are taken.
    NotAPat = "not_a_pat";
    /// A claim is missing or malformed.
    Claims = "claims";
    /// It is from the future.
    NotYetValid = "not_yet_valid";
    /// It has ended.
    Expired = "expired";
    /// Hallpass has no record of it: it was deleted, or never issued.
    Unknown = "unknown";
    /// It was revoked.
    Revoked = "revoked";
    /// It was rotated, and its grace is over.
    Rotated = "rotated";
    /// It is refused for now: its owner seems to be away or cannot be read, or a person is to decide.
    Suspended = "suspended";
    /// Its owner is disabled.
    OwnerDisabled = "owner_disabled";
    /// It is used from outside its networks, or from where is not known.
    Address = "address";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl std::error::Error for Reason {}

impl From<Rejection> for Reason {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::TooLarge => Self::TooLarge,
            Rejection::Algorithm => Self::Algorithm,
            Rejection::UnknownKey => Self::UnknownKey,
            Rejection::Signature => Self::Signature,
            Rejection::Issuer => Self::Issuer,
            Rejection::Audience => Self::Audience,
            Rejection::Type => Self::Type,
            Rejection::SenderConstrained => Self::SenderConstrained,
            Rejection::Expired => Self::Expired,
            Rejection::NotYetValid => Self::NotYetValid,
            Rejection::Claims => Self::Claims,
            _ => Self::Malformed,
        }
    }
}

/// Why there is no good token.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// It is not good.
    Because(Reason),
    /// Nobody can tell now: that is never "good".
    Failed(Failure),
}

/// What kept a decision from being made. All who waited for it have the same.
#[derive(Clone, Debug)]
pub struct Failure(Arc<Error>);

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Failed(Failure(Arc::new(error)))
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::Because(reason)
    }
}

/// The reason goes to the log; the answer is the same for all of them. Only whose token has ended is told so: its end is
/// in the token, whose signature holds.
impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Because(Reason::Expired) => {
                Self::new(Code::Unauthenticated, "The credential has expired; get a new one.")
                    .because(Reason::Expired)
            }
            Refusal::Because(reason) => {
                Self::new(Code::Unauthenticated, "The credential is not valid.").because(reason)
            }
            Refusal::Failed(Failure(error)) => {
                Self::new(error.code(), error.to_string()).because(error.chain())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_those_of_the_package_mean_the_same() {
        let codes: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for rejection in [
            Rejection::Malformed,
            Rejection::TooLarge,
            Rejection::Algorithm,
            Rejection::UnknownKey,
            Rejection::Signature,
            Rejection::Issuer,
            Rejection::Audience,
            Rejection::Type,
            Rejection::SenderConstrained,
            Rejection::Expired,
            Rejection::NotYetValid,
            Rejection::Claims,
        ] {
            assert_eq!(Reason::from(rejection).code(), rejection.code());
        }
    }
}

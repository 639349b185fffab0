//! The error of every use case: a stable code, a public sentence, and the private cause.
//!
//! A [`Code`] fixes the [`Kind`], so one code never answers with two statuses. Each edge (problem+json,
//! RFC 6749, page, terminal) renders by an exhaustive match over [`Kind`]; the cause is for the log only.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// What went wrong, by what a caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request is wrong: mend it (400).
    Invalid,
    /// No good credential (401).
    Unauthenticated,
    /// A good credential that may not do this (403).
    Forbidden,
    /// Not there, or not the caller's (404).
    NotFound,
    /// Known path, but not with this method (405).
    MethodNotAllowed,
    /// In conflict with what is there (409).
    Conflict,
    /// The request did not come in time (408).
    TooSlow,
    /// Body over the bound (413).
    TooLarge,
    /// Not JSON (415).
    UnsupportedMediaType,
    /// Too often in a short time: go on later (429).
    TooManyRequests,
    /// Keycloak or the store is away: try again later (503).
    Unavailable,
    /// A defect of ours (500).
    Internal,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $kind:ident, $title:literal;)+) => {
        /// Every `code` that an answer can carry: part of the API's contract.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $($(#[doc = $doc])+ $variant,)+ }

        impl Code {
            /// All codes, for the pages that explain them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The code as it stands in an answer.
            #[must_use]
            pub const fn name(self) -> &'static str { match self { $(Self::$variant => $name,)+ } }

            /// What a caller can do about it.
            #[must_use]
            pub const fn kind(self) -> Kind { match self { $(Self::$variant => Kind::$kind,)+ } }

            /// One short sentence, the same for each occurrence.
            #[must_use]
            pub const fn title(self) -> &'static str { match self { $(Self::$variant => $title,)+ } }

            /// What it means and what to do, for the page behind the problem's `type`.
            #[must_use]
            pub const fn explanation(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+),)+ }
            }
        }
    };
}

codes! {
    /// The request does not fit what the operation takes. `errors` names each field that is wrong,
    /// all of them at once.
    Invalid = "invalid", Invalid, "The request is not valid";
    /// The body is not well-formed JSON, or not a JSON object.
    MalformedJson = "malformed-json", Invalid, "The body is not a JSON object";
    /// The JWT would be over 6 KiB, near the limit that proxies put on a header. Narrow the token: ask for the
    /// `roles` and `scopes` that it needs, and it has nothing else. Or have an administrator remove mappers from
    /// the designated client.
    TokenTooLarge = "token-too-large", Invalid, "The token would be too large";
    /// The request carries no credential, or one that is expired, foreign, revoked or malformed.
    /// Send `Authorization: Bearer` with an access token of the realm, or a personal access token.
    Unauthenticated = "unauthenticated", Unauthenticated, "A valid credential is needed";
    /// The caller lacks the role that the operation needs. An administrator of the realm can assign it.
    MissingRole = "missing-role", Forbidden, "A role is missing";
    /// The access token was issued to a client (`azp`) that is not in `server.allowed_clients`.
    ClientNotAllowed = "client-not-allowed", Forbidden, "This client may not call the API";
    /// An administrator who impersonates a user can read but not act in the user's name.
    Impersonated = "impersonated", Forbidden, "Impersonated sessions read only";
    /// A personal access token reads metadata and revokes or rotates itself. For anything else,
    /// log in and use an access token.
    PatNotAllowed = "pat-not-allowed", Forbidden, "A personal access token may not do this";
    /// The token is good, but lacks a role, a scope or an audience that the protected resource asks for; the detail
    /// names it. Ask the resource's operator, or create a token that has it.
    RequirementMissing = "requirement-missing", Forbidden, "The token lacks something";
    /// The account is disabled in Keycloak: no tokens are issued for it.
    OwnerDisabled = "owner-disabled", Forbidden, "The account is disabled";
    /// It does not exist, or belongs to somebody else.
    NotFound = "not-found", NotFound, "Not found";
    /// The path exists, but not with this method.
    MethodNotAllowed = "method-not-allowed", MethodNotAllowed, "The method is not allowed here";
    /// Another listed token of the same owner has this name. Choose another one, or delete that token.
    NameTaken = "name-taken", Conflict, "The name is taken";
    /// The owner has as many live tokens as `tokens.max_per_user` allows. Revoke or delete one first.
    LimitReached = "limit-reached", Conflict, "The limit of live tokens is reached";
    /// The access token does not say which account the caller belongs to, or says it in a malformed way. An
    /// administrator sets the user attribute `account_id`: one text of letters, digits, dots, underscores, hyphens.
    NoAccount = "no-account", Forbidden, "The caller has no account";
    /// The realm has a client of this id already, whoever made it. Choose another id.
    ClientIdTaken = "client-id-taken", Conflict, "The client id is taken";
    /// The account has as many API clients as it may have. Delete one, or ask an administrator for a higher quota.
    QuotaReached = "quota-reached", Conflict, "The quota of API clients is reached";
    /// Another API client of the account has this display name.
    DisplayNameTaken = "display-name-taken", Conflict, "The display name is taken";
    /// Here API clients cannot be changed and keep their secret: delete this one and create another.
    NotEditable = "not-editable", Conflict, "API clients cannot be changed here";
    /// Another change of the same API client is still under way, or was interrupted and is being finished. Try again
    /// after the time in `Retry-After`.
    ClientBusy = "client-busy", Conflict, "The API client is being changed";
    /// An administrator has stopped this API client. Its owner can neither start it nor delete it, which would make room
    /// for the same client again: ask the administrator.
    ClientBlocked = "client-blocked", Forbidden, "An administrator has stopped the API client";
    /// The Keycloak client behind this API client is gone: somebody removed it in Keycloak's console. Delete the
    /// API client and create another.
    ClientMissing = "client-missing", Conflict, "The client is gone in Keycloak";
    /// A policy of the realm does not allow such a client. The detail has Keycloak's reason.
    RejectedByRealm = "rejected-by-realm", Invalid, "The realm rejects this client";
    /// The secret is shown once, when the client is created, and once to its new owner when it was handed on. It cannot be
    /// read again.
    SecretNotAvailable = "secret-not-available", NotFound, "The secret cannot be read";
    /// The token was rotated before: use or rotate its successor, which the detail names.
    AlreadyRotated = "already-rotated", Conflict, "The token was rotated before";
    /// A token that had been rotated came again after its grace, while its successor is in use: it is in two hands. All
    /// tokens that came from it are revoked. Find out who has the old one, and create a new token.
    FamilyBurned = "family-burned", Conflict, "The token and all its successors are revoked";
    /// A token that rotates itself does so for at most the maximum lifetime. After that a person has to rotate it or to
    /// create a new one.
    ChainEnded = "chain-ended", Conflict, "The token has rotated itself for too long";
    /// Only a token that is good can be rotated. Create a new one.
    TokenNotLive = "token-not-live", Conflict, "The token is not good any more";
    /// Something else happened to the token at the same time. Look at it, and try again.
    TokenChanged = "token-changed", Conflict, "The token changed meanwhile";
    /// The owner's roles changed while the token was being made, so it was not issued. Try again.
    OwnerChanged = "owner-changed", Conflict, "The owner changed meanwhile";
    /// The body did not come within 10 seconds after the header. Send it again.
    RequestTimeout = "request-timeout", TooSlow, "The body came too slowly";
    /// The operation takes no body, and one was sent: what it asks for would have been passed over. Nothing was done. Look
    /// for the operation that takes it, or send none.
    UnexpectedBody = "unexpected-body", Invalid, "The operation takes no body";
    /// The body is over 64 KiB.
    BodyTooLarge = "body-too-large", TooLarge, "The body is too large";
    /// The body must be sent as `Content-Type: application/json`, and not compressed.
    UnsupportedMediaType = "unsupported-media-type", UnsupportedMediaType, "The body must be JSON";
    /// One caller creates or changes too much in a short time, or too many calls without a valid credential come from
    /// one address. Go on after the time in `Retry-After`.
    RateLimited = "rate-limited", TooManyRequests, "Too many requests";
    /// Keycloak does not answer, or not in time. Nothing was made. Try again after the time in `Retry-After`.
    KeycloakUnavailable = "keycloak-unavailable", Unavailable, "Keycloak is not available";
    /// Keycloak refuses Hallpass's own service account or answers what it should not: the operator has to
    /// look at the log and the realm.
    KeycloakRefused = "keycloak-refused", Unavailable, "Keycloak refuses Hallpass";
    /// The signing key is not published by the realm, so nothing that it signs would be accepted. The
    /// operator has to run `hallpass bootstrap` again.
    KeyNotPublished = "key-not-published", Unavailable, "The signing key is not published";
    /// The realm signs its own tokens with the key of personal access tokens, which it should only publish: so none is
    /// issued. The operator has to make the key passive again; `hallpass doctor` says how.
    KeyMisused = "key-misused", Unavailable, "The realm signs with Hallpass's key";
    /// The store does not answer. Try again after the time in `Retry-After`.
    StoreUnavailable = "store-unavailable", Unavailable, "The store is not available";
    /// A defect in Hallpass. The request id finds it in the log.
    Internal = "internal", Internal, "Something went wrong";
}

/// One field of a request that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field's name, or the query parameter's.
    pub field: String,
    /// What is wrong with it, for the caller.
    pub message: String,
}

/// Why a use case failed. `Display` is the public sentence; the cause is reached through `source`.
#[derive(Debug)]
pub struct Error {
    code: Code,
    detail: Cow<'static, str>,
    fields: Vec<FieldError>,
    wait: Option<Duration>,
    basic: bool,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error whose `detail` the caller may read.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
            fields: Vec::new(),
            wait: None,
            basic: false,
            source: None,
        }
    }

    /// Fields that do not fit, all at once.
    #[must_use]
    pub fn invalid(mut fields: Vec<FieldError>) -> Self {
        for error in &mut fields {
            shorten(&mut error.field);
        }
        let detail = match fields.as_slice() {
            [one] => format!("`{}`: {}", one.field, one.message),
            many => format!("{} fields are wrong", many.len()),
        };
        Self { fields, ..Self::new(Code::Invalid, detail) }
    }

    /// One field that does not fit.
    #[must_use]
    pub fn invalid_field(field: &str, message: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError { field: field.to_owned(), message: message.into() }])
    }

    /// Not there, or not the caller's: the same answer.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("There is no such {what}."))
    }

    /// A defect of ours; the cause goes to the log only.
    #[must_use]
    pub fn internal(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(Code::Internal, "Hallpass failed; the request id finds the reason in its log.")
            .because(cause)
    }

    /// Attaches the private cause.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(cause.into());
        self
    }

    /// Says after how long the caller may try again.
    #[must_use]
    pub const fn retry_after(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// Says that a name and a password would do, too (RFC 7617): for tools that send them only when they are asked.
    #[must_use]
    pub const fn or_basic(mut self) -> Self {
        self.basic = true;
        self
    }

    /// Whether a name and a password would do, too.
    #[must_use]
    pub const fn takes_basic(&self) -> bool {
        self.basic
    }

    /// After how long the caller may try again, where that is known.
    #[must_use]
    pub const fn wait(&self) -> Option<Duration> {
        self.wait
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// The sentence for the caller.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The fields that are wrong; empty unless the code is [`Code::Invalid`].
    #[must_use]
    pub fn fields(&self) -> &[FieldError] {
        &self.fields
    }

    /// The chain of causes, for the log.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = String::new();
        let mut cause = StdError::source(self);
        while let Some(error) = cause {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

/// The longest name of a field that an answer repeats, in characters.
const MAX_NAME: usize = 64;

/// What is longer is no name: somebody put a token where a name belongs. Its beginning is every token's header.
fn shorten(name: &mut String) {
    if let Some((end, _)) = name.char_indices().nth(MAX_NAME) {
        name.truncate(end);
        name.push('…');
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|cause| cause as _)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn code_names_are_unique_and_explained() {
        let names: BTreeSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!(code.explanation().trim().ends_with('.'), "{}", code.name());
        }
    }

    #[test]
    fn a_name_that_is_none_is_not_repeated_whole() {
        let name = "ä".repeat(64);
        for (sent, shown) in
            [(name.clone(), name.clone()), (format!("{name}b"), format!("{name}…"))]
        {
            let error = Error::invalid_field(&sent, "is not a field");
            assert_eq!(error.fields()[0].field, shown);
            assert_eq!(error.to_string(), format!("`{shown}`: is not a field"));
        }
    }

    #[test]
    fn the_cause_is_in_the_chain_and_not_in_the_answer() {
        let error = Error::internal(std::io::Error::other("disk full"));
        assert!(!error.to_string().contains("disk"));
        assert_eq!(error.chain(), "disk full");
    }
}

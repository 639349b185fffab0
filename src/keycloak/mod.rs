//! All calls to Keycloak's admin REST API, as a thin typed client.
//!
//! 1. [`Keycloak`] holds a service token, fetched with [`Credentials`] and renewed before it expires.
//! 2. Each call has a bound in time; a call that only reads is tried once more when the connection fails.
//! 3. What Keycloak answers becomes a small struct with what we need and nothing else (a client's
//!    representation carries its secret), or a [`KeycloakError`] by kind.

mod answer;
mod calls;
mod clients;
mod directory;
mod elements;
mod error;
mod event_id;
mod event_list;
mod events;
mod groups;
mod inspect;
mod introspectors;
mod jwks;
mod realm;
mod transport;
mod users;

pub use calls::Calls;
pub use clients::{
    ClientDocument, ClientDocumentWithSecret, GRANTABLE, SIGNING_KEYS, ScopeDetails, ScopeKind,
};
pub use directory::ClientDirectory;
pub use error::KeycloakError;
pub use event_id::EventId;
pub use events::{EventKind, RealmEvent, RoleRef, Subject, UserChange, Wide};
pub use inspect::{AudienceMapper, Discovery, LastLogin, Login, MappedRoles, Signature};
pub use introspectors::{SecretCheck, ServiceAccount};
pub use jwks::{can_check, fetch_jwks};
pub use realm::{Blindness, LIGHTWEIGHT, NewKeyProvider, RealmClient};
pub use transport::{Credentials, Keycloak, http_client};
pub use users::User;

//! A tower layer: requests pass with the claims of a good token, or are answered here (RFC 6750 §3).
//!
//! 1. One `Authorization: Bearer` header is needed; two, or one that is malformed, are ambiguous.
//! 2. The token is checked offline: form, key, signature, issuer, type, audience, times.
//! 3. The required scopes and roles are looked for in its claims.
//! 4. Where there is an [`Introspection`], Hallpass is asked about what is good until here.
//!
//! The cheap steps come first: what cannot be good costs neither a signature nor a question.

mod bearer;
mod challenge;
mod service;

use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use http::request::Parts;
use serde_json::Value;
use tower_layer::Layer;

use crate::introspection::{Answer, Introspection};
use crate::{Algorithm, CheckError, Claims, JwksCache, Rules, check};
use challenge::{Challenge, Denial};

pub use service::TokenService;

/// Requires a good personal access token of each request. Clones share everything.
///
/// The inner service finds the claims in the request's extensions, as [`Verified`]. What is refused is
/// answered with an empty body:
///
/// | answer | when |
/// |---|---|
/// | 400 `invalid_request` | two `Authorization` headers, or a malformed one |
/// | 401 | no bearer token |
/// | 401 `invalid_token` | malformed, forged, expired, of another issuer or for another audience; or Hallpass says that it is not active |
/// | 403 `insufficient_scope` | good, without a required scope or role |
/// | 503 with `Retry-After`, in seconds | the realm's keys, or Hallpass, cannot be asked: nobody can tell |
///
/// All but 503 carry `WWW-Authenticate: Bearer`. Without an [`Introspection`] a revocation is not seen.
#[derive(Clone)]
pub struct TokenLayer {
    gate: Arc<Gate>,
}

/// The claims of the token that a request came with: only a [`TokenLayer`] makes them.
#[derive(Clone, Debug)]
pub struct Verified(Arc<Claims>);

type Clock = dyn Fn() -> i64 + Send + Sync;
type Address = dyn Fn(&Parts) -> Option<IpAddr> + Send + Sync;

#[derive(Clone)]
struct Gate {
    keys: JwksCache,
    rules: Rules,
    scopes: Vec<String>,
    realm_roles: Vec<String>,
    /// The client and its role.
    client_roles: Vec<(String, String)>,
    challenge: Challenge,
    introspection: Option<Introspection>,
    clock: Arc<Clock>,
    address: Option<Arc<Address>>,
}

impl TokenLayer {
    /// Takes tokens of the realm `issuer`, checked with `keys`, that are for `audience`: the name of the
    /// service, as `aud` has it.
    #[must_use]
    pub fn for_audience(
        keys: JwksCache,
        issuer: impl Into<String>,
        audience: impl Into<String>,
    ) -> Self {
        let audience = audience.into();
        let challenge = Challenge::new(&audience);
        Self::new(keys, Rules::new(issuer, TYPE).with_audience(audience), challenge)
    }

    /// Takes tokens of the realm `issuer` whoever they are for. A service elsewhere that sees one can use
    /// it here: prefer [`Self::for_audience`].
    #[must_use]
    pub fn for_any_audience(keys: JwksCache, issuer: impl Into<String>) -> Self {
        let issuer = issuer.into();
        let challenge = Challenge::new(&issuer);
        Self::new(keys, Rules::new(issuer, TYPE), challenge)
    }

    fn new(keys: JwksCache, rules: Rules, challenge: Challenge) -> Self {
        let rules = rules.with_algorithms(&[Algorithm::RS256]);
        let gate = Gate {
            keys,
            rules,
            scopes: Vec::new(),
            realm_roles: Vec::new(),
            client_roles: Vec::new(),
            challenge,
            introspection: None,
            clock: Arc::new(unix_time),
            address: None,
        };
        Self { gate: Arc::new(gate) }
    }

    /// Requires `scope` among the words of the claim `scope`; once more: all of them.
    #[must_use]
    pub fn with_scope(self, scope: impl Into<String>) -> Self {
        self.with(|gate| gate.scopes.push(scope.into()))
    }

    /// Requires a role of the realm; once more: all of them.
    #[must_use]
    pub fn with_realm_role(self, role: impl Into<String>) -> Self {
        self.with(|gate| gate.realm_roles.push(role.into()))
    }

    /// Requires a role of the client `client_id`; once more: all of them.
    #[must_use]
    pub fn with_client_role(self, client_id: impl Into<String>, role: impl Into<String>) -> Self {
        self.with(|gate| gate.client_roles.push((client_id.into(), role.into())))
    }

    /// Also asks Hallpass about each token: so a revocation is seen, a second later at most.
    #[must_use]
    pub fn with_introspection(self, introspection: Introspection) -> Self {
        self.with(|gate| gate.introspection = Some(introspection))
    }

    /// Says where a request came from, for tokens that are good from some networks only: without it,
    /// Hallpass calls them inactive. Behind a proxy that is not the peer. Serves introspection only.
    #[must_use]
    pub fn with_client_address(
        self,
        address: impl Fn(&Parts) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        self.with(|gate| gate.address = Some(Arc::new(address)))
    }

    /// Reads the time, in Unix seconds, from `clock` instead of from the machine.
    #[must_use]
    pub fn with_clock(self, clock: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        self.with(|gate| gate.clock = Arc::new(clock))
    }

    fn with(self, change: impl FnOnce(&mut Gate)) -> Self {
        let mut gate = Arc::unwrap_or_clone(self.gate);
        change(&mut gate);
        Self { gate: Arc::new(gate) }
    }
}

/// `typ` of a personal access token.
const TYPE: &str = "PAT";

impl fmt::Debug for TokenLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Gate { rules, introspection, .. } = &*self.gate;
        let mut shown = f.debug_struct("TokenLayer");
        shown.field("rules", rules).field("introspection", introspection).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for TokenLayer {
    type Service = TokenService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        TokenService::new(Arc::clone(&self.gate), inner)
    }
}

impl Gate {
    /// The claims of the request's token, or why it does not pass.
    async fn admit(&self, request: &Parts) -> Result<Verified, Denial> {
        let token = bearer::token(&request.headers)?;
        let now = (self.clock)();
        let claims =
            check(&self.keys, token, &self.rules, now).await.map_err(|error| match error {
                CheckError::Rejected(rejection) => {
                    tracing::debug!(reason = rejection.code(), "a token is refused");
                    Denial::InvalidToken
                }
                CheckError::KeysUnavailable => Denial::KeysUnavailable,
            })?;
        let verified = Verified(Arc::new(claims));
        if !self.is_enough(&verified) {
            return Err(Denial::InsufficientScope);
        }
        if let Some(introspection) = &self.introspection {
            let address = self.address.as_ref().and_then(|address| address(request));
            match introspection.ask(token, address).await {
                Answer::Active => {}
                Answer::Inactive => return Err(Denial::InvalidToken),
                Answer::Unavailable => return Err(Denial::HallpassUnavailable),
            }
        }
        Ok(verified)
    }

    fn is_enough(&self, token: &Verified) -> bool {
        self.scopes.iter().all(|scope| token.has_scope(scope))
            && self.realm_roles.iter().all(|role| token.has_realm_role(role))
            && self.client_roles.iter().all(|(client, role)| token.has_client_role(client, role))
    }
}

impl Verified {
    /// Whether `scope` is among the words of the claim `scope`.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        let scopes = self.rest.get("scope").and_then(Value::as_str);
        scopes.is_some_and(|scopes| scopes.split(' ').any(|one| one == scope))
    }

    /// Whether the token has this role of the realm.
    #[must_use]
    pub fn has_realm_role(&self, role: &str) -> bool {
        has_role(self.rest.get("realm_access"), role)
    }

    /// Whether the token has this role of the client `client_id`.
    #[must_use]
    pub fn has_client_role(&self, client_id: &str, role: &str) -> bool {
        let clients = self.rest.get("resource_access");
        has_role(clients.and_then(|clients| clients.get(client_id)), role)
    }
}

/// As Keycloak's role mappers write them.
fn has_role(access: Option<&Value>, role: &str) -> bool {
    let roles = access.and_then(|access| access.get("roles")?.as_array());
    roles.is_some_and(|roles| roles.iter().any(|one| one == role))
}

impl Deref for Verified {
    type Target = Claims;

    fn deref(&self) -> &Claims {
        &self.0
    }
}

#[expect(clippy::disallowed_methods, reason = "whoever wants another clock gives one")]
fn unix_time() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

//! `/forward-auth`: whether a proxy may let a request through, and in whose name (nginx `auth_request`, Traefik, Caddy,
//! Envoy `ext_authz`).
//!
//! Any method, no body, no cookie. 200 with the headers that say who calls; 401 and 403 as everywhere. Nothing of the
//! request comes back: what a client sends as `X-Auth-*` is for the proxy to drop.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, HeaderName};
use axum::http::{HeaderMap, HeaderValue, Uri};
use axum::response::Response;
use axum::routing::any;
use secrecy::ExposeSecret as _;

use super::authorization::Authorization;
use super::extract::unknown;
use super::openapi::{ApiErrors, TAG_VALIDATION};
use super::problem::Problem;
use super::trace::RequestContext;
use crate::app::App;
use crate::config::Policy;
use crate::decide::{Accepts, Identity, Presented, Refusal, Token};
use crate::error::{Error, FieldError};

/// Where it is.
pub(super) const PATH: &str = "/forward-auth";
/// Where the policies are. What a proxy appends behind the name is the request's own path and query, and means nothing.
pub(super) const POLICY: &str = "/forward-auth/policy/{name}";
pub(super) const POLICY_AND_PATH: &str = "/forward-auth/policy/{name}/{*path}";
pub(super) const POLICY_AND_SLASH: &str = "/forward-auth/policy/{name}/";
const BEFORE_NAME: &str = "/forward-auth/policy/";

const USER_ID: HeaderName = HeaderName::from_static("x-auth-user-id");
const USERNAME: HeaderName = HeaderName::from_static("x-auth-username");
const EMAIL: HeaderName = HeaderName::from_static("x-auth-email");
const ROLES: HeaderName = HeaderName::from_static("x-auth-roles");
const SCOPE: HeaderName = HeaderName::from_static("x-auth-scope");
const TOKEN_ID: HeaderName = HeaderName::from_static("x-auth-token-id");

/// The query, for the document.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only described")]
pub(super) struct ForwardAuthQuery {
    /// A role that the token must have, `name` or `client:name`; may be repeated: all of them.
    role: Option<Vec<String>>,
    /// A scope that it must have; may be repeated: all of them.
    scope: Option<Vec<String>>,
    /// An audience that it must be for; may be repeated: all of them. With it access tokens of the realm are taken, too.
    aud: Option<Vec<String>>,
}

/// Whether a request may pass
///
/// For a proxy before the protected resource. Any method is good. The credential is in the one `Authorization` header:
/// `Bearer`, or `Basic` with the token as the password. The answer says who calls in six headers, which are always
/// there: `X-Auth-User-Id`, `X-Auth-Username`, `X-Auth-Email`, `X-Auth-Roles`, `X-Auth-Scope`, `X-Auth-Token-Id`.
#[utoipa::path(get, path = PATH, tag = TAG_VALIDATION, operation_id = "forwardAuth",
    params(ForwardAuthQuery),
    responses((status = 200, description = "It may"), ApiErrors))]
pub(super) async fn check(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let context = RequestContext::of(request.extensions())?;
    Ok(answer(&app, context, request.headers(), request.uri()).await?)
}

/// The same, before any router.
pub(super) async fn answer(
    app: &App,
    context: &RequestContext,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<Response, Error> {
    let policy = policy_of_query(uri)?;
    let token = decide(app, context, headers, &policy).await?;
    Ok(pass(&token))
}

/// Whether a request may pass by a policy of the settings
///
/// As `/forward-auth`, for proxies that append path and query of the request, such as Envoy's `ext_authz`: they may stand
/// behind the name. What is asked of the token is in the setting `forward_auth.policies`.
#[utoipa::path(get, path = POLICY, tag = TAG_VALIDATION, operation_id = "forwardAuthPolicy",
    params(("name" = String, Path, description = "The policy's name")),
    responses((status = 200, description = "It may"), ApiErrors))]
pub(super) async fn check_policy(
    State(app): State<App>,
    request: Request,
) -> Result<Response, Problem> {
    let context = RequestContext::of(request.extensions())?;
    let policy = find_policy(&app.settings.forward_auth.policies, request.uri())?;
    let token = decide(&app, context, request.headers(), policy).await?;
    Ok(pass(&token))
}

/// What the document cannot say: every other method, and whatever stands behind a policy's name.
pub(super) fn all_methods_and_paths() -> Router<App> {
    Router::new()
        .route(PATH, any(check))
        .route(POLICY, any(check_policy))
        .route(POLICY_AND_SLASH, any(check_policy))
        .route(POLICY_AND_PATH, any(check_policy))
}

async fn decide(
    app: &App,
    context: &RequestContext,
    headers: &HeaderMap,
    policy: &Policy,
) -> Result<Arc<Token>, Error> {
    let authorization = Authorization::read(headers).map_err(Refusal::Because)?;
    let token = match &authorization {
        Authorization::Bearer(token) => token,
        Authorization::Basic { password, .. } => password.expose_secret(),
    };
    let accepts = if policy.audience.is_empty() { Accepts::Pats } else { Accepts::AccessTokens };
    let from = Some(context.origin.address);
    let presented = Presented { token, accepts, from, service: None, origin: &context.origin };
    let token = app.decider.decide(presented).await?;
    let _ = context.caller.set(token.user_id.clone());
    token.require(policy)?;
    Ok(token)
}

/// A parameter that is not known is refused: a misspelled `role` would let everybody in.
fn policy_of_query(uri: &Uri) -> Result<Policy, Error> {
    let mut policy = Policy::default();
    let Some(query) = uri.query() else { return Ok(policy) };
    let mut errors = Vec::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let list = match &*name {
            "role" => &mut policy.roles,
            "scope" => &mut policy.scopes,
            "aud" => &mut policy.audience,
            _ => {
                let message = unknown("parameter", &name, &["role", "scope", "aud"]);
                errors.push(FieldError { field: name.into_owned(), message });
                continue;
            }
        };
        if value.is_empty() {
            errors.push(FieldError { field: name.into_owned(), message: "is empty".to_owned() });
        }
        list.push(value.into_owned());
    }
    if errors.is_empty() { Ok(policy) } else { Err(Error::invalid(errors)) }
}

/// By the text of the path: what is behind the name need not be well-formed.
fn find_policy<'a>(policies: &'a BTreeMap<String, Policy>, uri: &Uri) -> Result<&'a Policy, Error> {
    let rest = uri.path().strip_prefix(BEFORE_NAME).unwrap_or_default();
    let name = rest.split('/').next().unwrap_or_default();
    policies.get(name).ok_or_else(|| Error::not_found("policy"))
}

fn pass(token: &Token) -> Response {
    let Identity { user_id, username, email, roles, scope, token_id } = &token.identity;
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.reserve(8);
    for (name, value) in [
        (USER_ID, user_id),
        (USERNAME, username),
        (EMAIL, email),
        (ROLES, roles),
        (SCOPE, scope),
        (TOKEN_ID, token_id),
    ] {
        headers.insert(name, value.clone());
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_says_what_is_asked_for() {
        let policy = |query: &str| policy_of_query(&query.parse().unwrap());
        assert_eq!(policy("/forward-auth").unwrap(), Policy::default());
        let found = policy("/forward-auth?role=a&aud=x&role=c%3Ad+e&scope=s&aud=y").unwrap();
        let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(found.roles, list(&["a", "c:d e"]));
        assert_eq!((found.scopes, found.audience), (list(&["s"]), list(&["x", "y"])));
        for bad in ["?roles=a", "?role=", "?=a", "?Role=a", "?role", "?role=a&x=y"] {
            assert!(policy(&format!("/forward-auth{bad}")).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_policy_is_named_by_the_first_segment_alone() {
        let policies = BTreeMap::from([("a".to_owned(), Policy::default())]);
        let found = |path: &str| find_policy(&policies, &path.parse().unwrap()).is_ok();
        for good in ["a", "a/", "a/x/y", "a/../b", "a//", "a/%ff?role=x", "a?b=c"] {
            assert!(found(&format!("{BEFORE_NAME}{good}")), "{good}");
        }
        for bad in ["b", "", "/a", "b/../a", "A", "a%2F", "%61", "a;x"] {
            assert!(!found(&format!("{BEFORE_NAME}{bad}")), "{bad}");
        }
    }
}

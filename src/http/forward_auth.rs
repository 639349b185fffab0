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

use super::authorization::Authorization;
use super::extract::unknown;
use super::openapi::{ApiErrors, TAG_VALIDATION};
use super::problem::Problem;
use super::trace::RequestContext;
use crate::app::App;
use crate::config::Policy;
use crate::decide::{Accepts, Identity, Presented, Reason, Refusal, Token};
use crate::error::Error;
use crate::fields::Fields;
use crate::role_name;

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
const EXPIRES: HeaderName = HeaderName::from_static("x-auth-token-expires");

/// The query, for the document.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only described")]
pub(super) struct ForwardAuthQuery {
    /// A role that the token must have, `name` or `client:name`, a colon within a name as `%3A`; may be repeated: all of
    /// them.
    role: Option<Vec<String>>,
    /// A scope that it must have; may be repeated: all of them.
    scope: Option<Vec<String>>,
    /// An audience that it must be for; may be repeated: all of them. With it access tokens of the realm are taken, too.
    aud: Option<Vec<String>>,
    /// `basic`: a refusal asks for a name and a password, too, for tools that send them only when they are asked.
    challenge: Option<String>,
}

/// Whether a request may pass
///
/// For a proxy before the protected resource. Any method is good. The credential is in the one `Authorization` header:
/// `Bearer`, or `Basic` with the token as the password, or as the name without a password. The answer says who calls in
/// seven headers, which are always there: `X-Auth-User-Id`, `X-Auth-Username`, `X-Auth-Email`, `X-Auth-Roles`,
/// `X-Auth-Scope`, `X-Auth-Token-Id`, `X-Auth-Token-Expires`.
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
    let Question { policy, basic } = Question::of_query(uri)?;
    let decided = decide(app, context, headers, &policy).await;
    let token = decided.map_err(|error| if basic { error.or_basic() } else { error })?;
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
        Authorization::Basic(basic) => basic.token().ok_or(Refusal::Because(Reason::Malformed))?,
    };
    let accepts = if policy.audience.is_empty() { Accepts::Pats } else { Accepts::AccessTokens };
    let from = Some(context.origin.address);
    let presented = Presented { token, accepts, from, service: None, origin: &context.origin };
    let token = app.decider.decide(presented).await?;
    let _ = context.caller.set(token.user_id.clone());
    token.require(policy)?;
    Ok(token)
}

const PARAMETERS: [&str; 4] = ["role", "scope", "aud", "challenge"];

/// What a proxy asks in its query.
#[derive(Debug, Default, PartialEq, Eq)]
struct Question {
    policy: Policy,
    /// A refusal asks for a name and a password, too.
    basic: bool,
}

impl Question {
    /// A parameter that is not known is refused: a misspelled `role` would let everybody in.
    fn of_query(uri: &Uri) -> Result<Self, Error> {
        let mut question = Self::default();
        let Some(query) = uri.query() else { return Ok(question) };
        let mut fields = Fields::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if let Err(message) = question.take(&name, &value) {
                fields.refuse(&name, message);
            }
        }
        fields.finish(())?;
        Ok(question)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), String> {
        match (name, value) {
            ("role" | "scope" | "aud", "") => return Err("is empty".to_owned()),
            ("role", role) => self.policy.roles.push(role_name::parse(role)?),
            ("scope", scope) => self.policy.scopes.push(scope.to_owned()),
            ("aud", audience) => self.policy.audience.push(audience.to_owned()),
            ("challenge", "basic") => self.basic = true,
            ("challenge", _) => return Err("must be `basic`".to_owned()),
            _ => return Err(unknown("parameter", name, &PARAMETERS)),
        }
        Ok(())
    }
}

/// By the text of the path: what is behind the name need not be well-formed.
fn find_policy<'a>(policies: &'a BTreeMap<String, Policy>, uri: &Uri) -> Result<&'a Policy, Error> {
    let rest = uri.path().strip_prefix(BEFORE_NAME).unwrap_or_default();
    let name = rest.split('/').next().unwrap_or_default();
    policies.get(name).ok_or_else(|| Error::not_found("policy"))
}

fn pass(token: &Token) -> Response {
    let Identity { user_id, username, email, roles, scope, token_id, expires } = &token.identity;
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.reserve(9);
    for (name, value) in [
        (USER_ID, user_id),
        (USERNAME, username),
        (EMAIL, email),
        (ROLES, roles),
        (SCOPE, scope),
        (TOKEN_ID, token_id),
        (EXPIRES, expires),
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
        let question = |query: &str| Question::of_query(&query.parse().unwrap());
        assert_eq!(question("/forward-auth").unwrap(), Question::default());
        let found = question("/forward-auth?role=a&aud=x&role=c%3Ad+e&scope=s&aud=y").unwrap();
        let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert!(!found.basic);
        let Policy { roles, scopes, audience } = found.policy;
        assert_eq!(roles, list(&["a", "c:d%20e"]));
        assert_eq!((scopes, audience), (list(&["s"]), list(&["x", "y"])));
        let found = question("/forward-auth?challenge=basic&role=svc%253Aeu:admin").unwrap();
        assert_eq!((found.basic, found.policy.roles), (true, list(&["svc%3Aeu:admin"])));
        for bad in [
            "?roles=a",
            "?role=",
            "?=a",
            "?Role=a",
            "?role",
            "?role=a&x=y",
            "?role=svc:eu:admin",
            "?role=svc%3Aeu%3Aadmin",
            "?challenge",
            "?challenge=Basic",
            "?challenge=digest",
        ] {
            assert!(question(&format!("/forward-auth{bad}")).is_err(), "{bad}");
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

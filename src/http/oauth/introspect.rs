//! `POST /oauth2/introspect` (RFC 7662): whether a token is good, for resource servers.

use std::net::IpAddr;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{OAuthError, caller, form};
use crate::app::App;
use crate::decide::{Accepts, Presented, Reason, Refusal};
use crate::error::{Code, Error};
use crate::http::extract::count_failure;
use crate::http::openapi::TAG_VALIDATION;
use crate::http::problem::Problem;
use crate::http::trace::RequestContext;
use crate::network::parse_address;

/// The form of an introspection.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "only described")]
pub(in crate::http) struct Introspection {
    /// The token.
    token: String,
    /// Passed over.
    token_type_hint: Option<String>,
    /// The address of the end caller: without it a token that is bound to networks is not active.
    client_ip: Option<String>,
    /// The client that asks, where it does not authenticate in the header.
    client_id: Option<String>,
    /// Its secret.
    client_secret: Option<String>,
}

/// What is said of a token. Of one that is not good: `active`, and nothing else.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Introspected {
    /// Whether it is good.
    active: bool,
    /// Its scopes, with spaces between.
    #[schema(required = false)]
    scope: String,
    /// The client that it was issued to.
    #[schema(required = false)]
    client_id: String,
    /// The user's name at login.
    #[schema(required = false)]
    username: String,
    /// `Bearer`.
    #[schema(required = false)]
    token_type: String,
    /// When it ends, in Unix seconds.
    #[schema(required = false)]
    exp: i64,
    /// When it was made.
    #[schema(required = false)]
    iat: i64,
    /// The user.
    #[schema(required = false)]
    sub: String,
    /// Whom it is for.
    #[schema(required = false)]
    aud: Vec<String>,
    /// The realm.
    #[schema(required = false)]
    iss: String,
    /// Its id.
    #[schema(required = false)]
    jti: String,
}

/// Where it is.
pub(in crate::http) const PATH: &str = "/oauth2/introspect";
const INACTIVE: Bytes = Bytes::from_static(b"{\"active\":false}");

/// Whether a personal access token is good
///
/// The caller authenticates as a client of the realm whose service account has the role `introspect-tokens`: by HTTP Basic
/// or in the form, or with an access token of that account. Beside what is listed, the answer has the token's own claims.
#[utoipa::path(post, path = PATH, tag = TAG_VALIDATION, operation_id = "introspect",
    security(("client" = []), ("bearer" = [])),
    request_body(content = Introspection, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "Whether it is", body = Introspected),
        (status = "default", description = "An error (RFC 6749 5.2)", body = OAuthError),
    ))]
pub(in crate::http) async fn introspect(
    State(app): State<App>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let context = RequestContext::of(&parts.extensions)?;
    Ok(answer(&app, context, &parts.headers, body).await?)
}

/// The same, before any router.
pub(in crate::http) async fn answer(
    app: &App,
    context: &RequestContext,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let body = form::read(headers, body).await?;
    let [token, end_caller, id, secret] =
        form::parameters(&body, ["token", "client_ip", "client_id", "client_secret"])?;
    let credential = caller::credential(headers, id, secret)
        .map_err(|error| count_failure(app, context, error))?;
    let introspector = app.introspectors.authenticate(&credential, &context.origin).await;
    let introspector = introspector.map_err(|error| count_failure(app, context, error))?;
    let token = form::required("token", token)?;
    let presented = Presented {
        token: &token,
        accepts: Accepts::Pats,
        from: end_caller.map(|text| address(&text)).transpose()?,
        service: Some(&introspector),
        origin: &context.origin,
    };
    let decided = async {
        let good = app.decider.decide(presented).await?;
        let _ = context.caller.set(good.user_id.clone());
        app.decider.introspect(&good, &token).await
    };
    match decided.await {
        Ok(answer) => Ok(say(answer)),
        Err(Refusal::Because(reason)) => Ok(inactive(reason)),
        Err(failed) => Err(failed.into()),
    }
}

fn address(text: &str) -> Result<IpAddr, Error> {
    let detail = "The parameter client_ip is no address.";
    parse_address(text).ok_or_else(|| Error::new(Code::Invalid, detail))
}

fn inactive(reason: Reason) -> Response {
    let mut response = say(INACTIVE);
    // For the log: the caller is told no more.
    response.extensions_mut().insert(reason);
    response
}

fn say(json: Bytes) -> Response {
    let mut response = Response::new(Body::from(json));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

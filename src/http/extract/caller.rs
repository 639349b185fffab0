//! Finding the caller.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;

use crate::app::App;
use crate::decide::Reason;
use crate::error::{Code, Error};
use crate::http::authorization::Authorization;
use crate::http::problem::Problem;
use crate::http::trace::RequestContext;
use crate::principal::{Caller, Origin};

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let context = RequestContext::of(&parts.extensions)?;
        let found = find(app, &parts.headers, &context.origin).await;
        let caller = found.map_err(|error| count_failure(app, context, error))?;
        let _ = context.caller.set(caller.user_id.clone());
        Ok(caller)
    }
}

async fn find(app: &App, headers: &HeaderMap, origin: &Origin) -> Result<Caller, Error> {
    app.decider.find_caller(bearer_token(headers)?, origin).await
}

/// Beyond what one address may fail, it is told so instead. A good credential passes from there all the same.
pub(in crate::http) fn count_failure(app: &App, context: &RequestContext, error: Error) -> Error {
    if error.code() != Code::Unauthenticated {
        return error;
    }
    match app.throttle.failed_authentication(context.origin.address) {
        Ok(()) => error,
        Err(limited) => limited.because(error),
    }
}

/// The one bearer token of a request (RFC 6750 §2.1).
fn bearer_token(headers: &HeaderMap) -> Result<&str, Error> {
    let missing = || {
        let detail = "Send one header `Authorization: Bearer` with an access token of the realm.";
        Error::new(Code::Unauthenticated, detail)
    };
    match Authorization::read(headers) {
        Ok(Authorization::Bearer(token)) => Ok(token),
        Ok(Authorization::Basic(_)) => Err(missing().because(Reason::NoCredential)),
        Err(reason) => Err(missing().because(reason)),
    }
}

//! Whose a token is that somebody holds.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Token;
use crate::access::Action;
use crate::app::App;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::http::extract::{Check, JsonObject, NoQuery, text};
use crate::http::openapi::{ApiErrors, TAG_PAT, TAG_PAT_USERS};
use crate::http::problem::Problem;
use crate::principal::Caller;
use crate::token::{Identified, Whose};

/// The token that was found.
#[derive(Deserialize, ToSchema)]
pub(in crate::http) struct FoundToken {
    /// The JWT.
    #[schema(value_type = String)]
    token: Option<Value>,
    #[serde(flatten)]
    #[schema(ignore)]
    others: BTreeMap<String, Value>,
}

impl FoundToken {
    fn check(self) -> Result<String, Error> {
        let mut check = Check::default();
        let token = check.required("token", self.token, |value| Ok(text(value)?.to_owned()));
        check.no_others(&self.others);
        check.finish(token)
    }
}

/// What the token is.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct IdentifiedToken {
    #[serde(flatten)]
    metadata: Token,
    /// Why it is refused: `expired`, `suspended`, `owner_disabled`, or why it was revoked. `null` where it is good.
    reason: Option<String>,
}

impl IdentifiedToken {
    fn at(now: Timestamp, Identified { record, reason }: Identified) -> Self {
        Self { metadata: Token::at(now, record), reason }
    }
}

/// Says what a token of one's own is
///
/// It is not used by that, and may have ended. Somebody else's token is not found.
#[utoipa::path(post, path = "/api/pat/v1/tokens/identify", tag = TAG_PAT, operation_id = "identifyToken",
    request_body = FoundToken,
    responses((status = 200, description = "The token's metadata", body = IdentifiedToken), ApiErrors))]
pub(in crate::http) async fn own(
    State(app): State<App>,
    caller: Caller,
    _: NoQuery,
    JsonObject(body): JsonObject<FoundToken>,
) -> Result<Json<IdentifiedToken>, Problem> {
    caller.authorize(Action::IdentifyToken)?;
    let identified = app.tokens.identify(&caller, &Whose::Own, &body.check()?).await?;
    Ok(Json(IdentifiedToken::at(app.clock.now(), identified)))
}

/// Says whose a token is, and what
///
/// It is not used by that, and may have ended.
#[utoipa::path(post, path = "/api/pat/v1/users/tokens/identify", tag = TAG_PAT_USERS,
    operation_id = "identifyUsersToken", request_body = FoundToken,
    responses((status = 200, description = "The token's metadata", body = IdentifiedToken), ApiErrors))]
pub(in crate::http) async fn any(
    State(app): State<App>,
    caller: Caller,
    _: NoQuery,
    JsonObject(body): JsonObject<FoundToken>,
) -> Result<Json<IdentifiedToken>, Problem> {
    caller.authorize(Action::IdentifyAnyToken)?;
    let identified = app.tokens.identify(&caller, &Whose::Everybody, &body.check()?).await?;
    Ok(Json(IdentifiedToken::at(app.clock.now(), identified)))
}

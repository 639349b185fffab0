//! Changing what one's own token is said to be for: nothing else of a token can be changed.

use axum::Json;
use axum::extract::State;
use serde_json::Value;
use utoipa::ToSchema;

use super::Token;
use crate::access::Action;
use crate::app::App;
use crate::error::Error;
use crate::fields::Read;
use crate::http::extract::{Check, Members, MergePatch, NoQuery, PatIdInPath, text};
use crate::http::openapi::{ApiErrors, TAG_PAT};
use crate::http::problem::Problem;
use crate::principal::Caller;
use crate::token::Description;

/// A merge patch (RFC 7396) of a token. Other members of its metadata are taken where they are unchanged.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described")]
pub(in crate::http) struct DescribeToken {
    /// What the token is for; `null` takes the description away.
    #[schema(value_type = Option<String>, max_length = 255)]
    description: Option<Value>,
}

/// What becomes of the description.
enum Change {
    Keep,
    Set(Option<Description>),
}

/// What is asked for.
fn read(patch: Members, current: &Token) -> Result<Change, Error> {
    let Members { mut values, repeated } = patch;
    let mut check = Check::default();
    for name in &repeated {
        check.fields.refuse(name, "is given more than once");
    }
    let change = match values.remove("description") {
        None => Read::of(Change::Keep),
        Some(Value::Null) => Read::of(Change::Set(None)),
        Some(value) => {
            let parse = |value: &Value| Description::parse(text(value)?);
            check.optional("description", Some(value), parse).map(Change::Set)
        }
    };
    let current = serde_json::to_value(current).map_err(Error::internal)?;
    for (name, value) in &values {
        match current.get(name) {
            Some(unchanged) if unchanged == value => {}
            Some(_) => check.fields.refuse(name, "cannot be changed; only `description` can"),
            None => check.fields.refuse(name, "is not a field of this request"),
        }
    }
    check.finish(change)
}

/// Changes the description of one of one's own tokens
///
/// Nothing else of a token can be changed.
#[utoipa::path(patch, path = "/api/pat/v1/tokens/{patId}", tag = TAG_PAT, operation_id = "describeToken",
    params(("patId" = String, Path, description = "The token's id")),
    request_body(content = DescribeToken, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The token's metadata", body = Token), ApiErrors))]
pub(in crate::http) async fn update(
    State(app): State<App>,
    caller: Caller,
    PatIdInPath(pat_id): PatIdInPath,
    _: NoQuery,
    MergePatch(patch): MergePatch,
) -> Result<Json<Token>, Problem> {
    caller.authorize(Action::DescribeToken)?;
    let record = app.tokens.get(&caller, pat_id).await?;
    let current = Token::at(app.clock.now(), record);
    let Change::Set(description) = read(patch, &current)? else { return Ok(Json(current)) };
    let record = app.tokens.describe(&caller, pat_id, description.as_ref()).await?;
    Ok(Json(Token::at(app.clock.now(), record)))
}

//! Revoking and deleting one's own tokens: one, several, all.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Token;
use crate::access::Action;
use crate::app::App;
use crate::error::Error;
use crate::http::extract::{Check, JsonObject, JsonOrNothing, NoQuery, PatIdInPath, text};
use crate::http::openapi::{ApiErrors, TAG_PAT};
use crate::http::problem::Problem;
use crate::id::PatId;
use crate::principal::Caller;
use crate::token::{Deleted, RevocationNote, Revoked, Whose};

/// Which tokens.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct PatIds {
    /// 1 to 1,000 ids.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 1000)]
    pat_ids: Option<Value>,
    #[serde(flatten)]
    #[schema(ignore)]
    others: BTreeMap<String, Value>,
}

/// Which tokens, and why.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct RevokePatIds {
    /// 1 to 1,000 ids.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 1000)]
    pat_ids: Option<Value>,
    /// What the audit log and the tokens' metadata say of it.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    reason: Option<Value>,
    #[serde(flatten)]
    #[schema(ignore)]
    others: BTreeMap<String, Value>,
}

/// Why a token is revoked.
#[derive(Default, Deserialize, ToSchema)]
pub(in crate::http) struct Revocation {
    /// What the audit log and the token's metadata say of it: one line.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255, example = "the laptop was stolen")]
    reason: Option<Value>,
    #[serde(flatten)]
    #[schema(ignore)]
    others: BTreeMap<String, Value>,
}

impl Revocation {
    pub(super) fn check(self) -> Result<Option<RevocationNote>, Error> {
        let mut check = Check::default();
        let note = check.optional("reason", self.reason, read_note);
        check.no_others(&self.others);
        check.finish(note)
    }
}

fn read_note(value: &Value) -> Result<RevocationNote, String> {
    RevocationNote::parse(text(value)?)
}

/// Ids as they were sent. What is no id is nobody's token.
struct Asked {
    texts: Vec<String>,
    ids: Vec<Option<PatId>>,
}

impl PatIds {
    fn check(self) -> Result<Asked, Error> {
        let mut check = Check::default();
        let texts = check.required("patIds", self.pat_ids, read_ids);
        check.no_others(&self.others);
        check.finish(texts.map(Asked::new))
    }
}

impl RevokePatIds {
    fn check(self) -> Result<(Asked, Option<RevocationNote>), Error> {
        let mut check = Check::default();
        let texts = check.required("patIds", self.pat_ids, read_ids);
        let note = check.optional("reason", self.reason, read_note);
        check.no_others(&self.others);
        check.finish((texts.map(Asked::new), note))
    }
}

fn read_ids(value: &Value) -> Result<Vec<String>, String> {
    let texts: Vec<String> =
        serde_json::from_value(value.clone()).map_err(|_| "must be a list of texts")?;
    if (1..=1000).contains(&texts.len()) {
        Ok(texts)
    } else {
        Err("must have 1 to 1000 entries".to_owned())
    }
}

impl Asked {
    fn new(texts: Vec<String>) -> Self {
        let ids = texts.iter().map(|text| PatId::parse(text)).collect();
        Self { texts, ids }
    }

    fn ids(&self) -> Vec<PatId> {
        self.ids.iter().copied().flatten().collect()
    }

    /// Each text with what became of it, `not_found` where it is no id.
    fn answer<T: Into<Outcome>>(self, outcomes: Vec<T>) -> Json<Results> {
        let mut outcomes = outcomes.into_iter();
        let results = self.texts.into_iter().zip(self.ids).map(|(pat_id, id)| {
            let outcome = id.and_then(|_| outcomes.next()).map_or(Outcome::NotFound, Into::into);
            BulkResult { pat_id, outcome }
        });
        Json(Results { results: results.collect() })
    }
}

/// What became of each.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Results {
    /// In the order of the request.
    results: Vec<BulkResult>,
}

/// What became of one.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct BulkResult {
    /// As it was sent.
    pat_id: String,
    outcome: Outcome,
}

/// What became of a token.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum Outcome {
    /// It is revoked now.
    Revoked,
    /// It was revoked before.
    AlreadyRevoked,
    /// It is gone.
    Deleted,
    /// There is none, or it is somebody else's.
    NotFound,
}

impl From<Revoked> for Outcome {
    fn from(revoked: Revoked) -> Self {
        match revoked {
            Revoked::Revoked => Self::Revoked,
            Revoked::Already => Self::AlreadyRevoked,
            Revoked::NotFound => Self::NotFound,
        }
    }
}

impl From<Deleted> for Outcome {
    fn from(deleted: Deleted) -> Self {
        match deleted {
            Deleted::Deleted => Self::Deleted,
            Deleted::NotFound => Self::NotFound,
        }
    }
}

/// How many tokens were revoked.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct RevokedCount {
    pub(super) revoked: u64,
}

/// How many tokens were deleted.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct DeletedCount {
    pub(super) deleted: u64,
}

/// Revokes one of one's own tokens
///
/// It stays listed. Again: nothing changes. The grace of a token that it replaced ends, too.
#[utoipa::path(post, path = "/api/pat/v1/tokens/{patId}/invalidate", tag = TAG_PAT,
    operation_id = "invalidateToken",
    params(("patId" = String, Path, description = "The token's id")),
    request_body = Option<Revocation>,
    responses((status = 200, description = "The token's metadata", body = Token), ApiErrors))]
pub(in crate::http) async fn invalidate(
    State(app): State<App>,
    caller: Caller,
    PatIdInPath(pat_id): PatIdInPath,
    _: NoQuery,
    JsonOrNothing(body): JsonOrNothing<Revocation>,
) -> Result<Json<Token>, Problem> {
    revoke(&app, &caller, &Whose::Own, pat_id, body).await
}

/// Revokes the personal access token that calls
///
/// The same as by its id, for whoever knows the token alone.
#[utoipa::path(post, path = "/api/pat/v1/tokens/self/invalidate", tag = TAG_PAT,
    operation_id = "invalidateSelf", request_body = Option<Revocation>,
    responses((status = 200, description = "The token's metadata", body = Token), ApiErrors))]
pub(in crate::http) async fn invalidate_self(
    State(app): State<App>,
    caller: Caller,
    _: NoQuery,
    JsonOrNothing(body): JsonOrNothing<Revocation>,
) -> Result<Json<Token>, Problem> {
    let pat_id = caller.calling_token()?;
    revoke(&app, &caller, &Whose::Own, pat_id, body).await
}

/// Revokes all of one's own tokens
#[utoipa::path(post, path = "/api/pat/v1/tokens/invalidate", tag = TAG_PAT, operation_id = "invalidateTokens",
    request_body = Option<Revocation>,
    responses((status = 200, description = "How many were revoked", body = RevokedCount), ApiErrors))]
pub(in crate::http) async fn invalidate_all(
    State(app): State<App>,
    caller: Caller,
    _: NoQuery,
    JsonOrNothing(body): JsonOrNothing<Revocation>,
) -> Result<Json<RevokedCount>, Problem> {
    revoke_all(&app, &caller, &Whose::Own, body).await
}

/// Revokes several of one's own tokens
///
/// All of them, or none where something fails.
#[utoipa::path(post, path = "/api/pat/v1/tokens/invalidate/bulk", tag = TAG_PAT,
    operation_id = "invalidateTokensBulk", request_body = RevokePatIds,
    responses((status = 200, description = "What became of each", body = Results), ApiErrors))]
pub(in crate::http) async fn invalidate_bulk(
    State(app): State<App>,
    caller: Caller,
    _: NoQuery,
    JsonObject(body): JsonObject<RevokePatIds>,
) -> Result<Json<Results>, Problem> {
    revoke_several(&app, &caller, &Whose::Own, Action::RevokeTokens, body).await
}

/// Deletes one of one's own tokens with its metadata
///
/// It works no more. The grace of a token that it replaced ends, too. The audit log keeps what was done.
#[utoipa::path(delete, path = "/api/pat/v1/tokens/{patId}", tag = TAG_PAT, operation_id = "deleteToken",
    params(("patId" = String, Path, description = "The token's id")),
    responses((status = 204, description = "It is gone"), ApiErrors))]
pub(in crate::http) async fn delete(
    State(app): State<App>,
    caller: Caller,
    PatIdInPath(pat_id): PatIdInPath,
    _: NoQuery,
) -> Result<StatusCode, Problem> {
    app.tokens.delete(&caller, &Whose::Own, pat_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes all of one's own tokens with their metadata
#[utoipa::path(delete, path = "/api/pat/v1/tokens", tag = TAG_PAT, operation_id = "deleteTokens",
    responses((status = 200, description = "How many were deleted", body = DeletedCount), ApiErrors))]
pub(in crate::http) async fn delete_all(
    State(app): State<App>,
    caller: Caller,
    _: NoQuery,
) -> Result<Json<DeletedCount>, Problem> {
    let deleted = app.tokens.delete_all(&caller, &Whose::Own).await?;
    Ok(Json(DeletedCount { deleted }))
}

/// Deletes several of one's own tokens
///
/// All of them, or none where something fails.
#[utoipa::path(post, path = "/api/pat/v1/tokens/delete/bulk", tag = TAG_PAT, operation_id = "deleteTokensBulk",
    request_body = PatIds,
    responses((status = 200, description = "What became of each", body = Results), ApiErrors))]
pub(in crate::http) async fn delete_bulk(
    State(app): State<App>,
    caller: Caller,
    _: NoQuery,
    JsonObject(body): JsonObject<PatIds>,
) -> Result<Json<Results>, Problem> {
    delete_several(&app, &caller, &Whose::Own, Action::DeleteTokens, body).await
}

pub(super) async fn revoke(
    app: &App,
    caller: &Caller,
    whose: &Whose,
    pat_id: PatId,
    body: Revocation,
) -> Result<Json<Token>, Problem> {
    whose.may_end(caller, Action::RevokeToken(pat_id))?;
    let note = body.check()?;
    let record = app.tokens.revoke(caller, whose, pat_id, note.as_ref()).await?;
    Ok(Json(Token::at(app.clock.now(), record)))
}

pub(super) async fn revoke_all(
    app: &App,
    caller: &Caller,
    whose: &Whose,
    body: Revocation,
) -> Result<Json<RevokedCount>, Problem> {
    whose.may_end(caller, Action::RevokeTokens)?;
    let note = body.check()?;
    let revoked = app.tokens.revoke_all(caller, whose, note.as_ref()).await?;
    Ok(Json(RevokedCount { revoked }))
}

pub(super) async fn revoke_several(
    app: &App,
    caller: &Caller,
    whose: &Whose,
    action: Action,
    body: RevokePatIds,
) -> Result<Json<Results>, Problem> {
    caller.authorize(action)?;
    let (asked, note) = body.check()?;
    let outcomes = app.tokens.revoke_several(caller, whose, &asked.ids(), note.as_ref()).await?;
    Ok(asked.answer(outcomes))
}

pub(super) async fn delete_several(
    app: &App,
    caller: &Caller,
    whose: &Whose,
    action: Action,
    body: PatIds,
) -> Result<Json<Results>, Problem> {
    caller.authorize(action)?;
    let asked = body.check()?;
    let outcomes = app.tokens.delete_several(caller, whose, &asked.ids()).await?;
    Ok(asked.answer(outcomes))
}

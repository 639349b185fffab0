//! What a token could have, and what it would say: before one is made.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::create::CreateToken;
use crate::access::Action;
use crate::app::App;
use crate::config::{MIN_LIFETIME, TokenSettings};
use crate::http::extract::{JsonObject, NoQuery};
use crate::http::openapi::{ApiErrors, TAG_PAT};
use crate::http::problem::Problem;
use crate::principal::Caller;
use crate::token::{Offered, Preview};

/// What a new token can be asked to have.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct TokenOffer {
    /// Your roles that a token can carry: `name` for a role of the realm, `client:name` for one of a client.
    roles: Vec<String>,
    /// All scopes that can be asked for.
    scopes: Vec<String>,
    /// The scopes of a token that does not ask for any, and is not narrowed otherwise.
    default_scopes: Vec<String>,
    /// The audiences that a token has. An optional scope may bring another one, which can then be asked for with it.
    audience: Vec<String>,
    expires_in: LifetimeBounds,
}

/// The bounds of a lifetime, in whole seconds.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct LifetimeBounds {
    minimum: u64,
    maximum: u64,
    /// Of a token that does not ask for any.
    default: u64,
}

impl TokenOffer {
    fn new(offered: Offered, settings: &TokenSettings) -> Self {
        let Offered { roles, scopes, default_scopes, audience } = offered;
        let expires_in = LifetimeBounds {
            minimum: MIN_LIFETIME.as_secs(),
            maximum: settings.max_lifetime.as_secs(),
            default: settings.default_lifetime.as_secs(),
        };
        Self { roles, scopes, default_scopes, audience, expires_in }
    }
}

/// What a token would say.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct TokenPreview {
    /// Its claims, without `jti` and `sid`, which would name it.
    #[schema(value_type = Object)]
    claims: Map<String, Value>,
    /// Its length in bytes. Over 6144 it is refused.
    size: usize,
    /// Its roles.
    roles: Vec<String>,
    /// Its scopes.
    scopes: Vec<String>,
    /// Whom it would be for.
    audience: Vec<String>,
}

impl From<Preview> for TokenPreview {
    fn from(Preview { claims, size, roles, scopes, audience }: Preview) -> Self {
        Self { claims, size, roles, scopes, audience }
    }
}

/// Says what a new token can have
///
/// Needs the role `create-tokens`. Each entry can be asked for by itself, in `roles`, `scopes` and `audience` of a new
/// token.
#[utoipa::path(get, path = "/api/pat/v1/tokens/offer", tag = TAG_PAT, operation_id = "getOffer",
    responses((status = 200, description = "What can be asked for", body = TokenOffer), ApiErrors))]
pub(in crate::http) async fn get(
    State(app): State<App>,
    caller: Caller,
    _: NoQuery,
) -> Result<Json<TokenOffer>, Problem> {
    let offered = app.tokens.see_offer(&caller).await?;
    Ok(Json(TokenOffer::new(offered, &app.settings.tokens)))
}

/// Says what a token would say
///
/// Takes what the creation of a token takes, and refuses what it refuses, but for a name that is taken and the limit of live
/// tokens. Needs the role `create-tokens`. Nothing is stored, and nothing is signed.
#[utoipa::path(post, path = "/api/pat/v1/tokens/preview", tag = TAG_PAT, operation_id = "previewToken",
    request_body = CreateToken,
    responses((status = 200, description = "What it would say", body = TokenPreview), ApiErrors))]
pub(in crate::http) async fn preview(
    State(app): State<App>,
    caller: Caller,
    _: NoQuery,
    JsonObject(body): JsonObject<CreateToken>,
) -> Result<Json<TokenPreview>, Problem> {
    caller.authorize(Action::PreviewToken)?;
    let request = body.check(&app.clock, &app.settings.tokens)?;
    Ok(Json(app.tokens.preview(&caller, &request).await?.into()))
}

//! Ids in the path.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use crate::app::App;
use crate::error::Error;
use crate::http::problem::Problem;
use crate::id::{PatId, UserId};

/// The id in the path. What is no id belongs to nobody.
pub(in crate::http) struct PatIdInPath(pub(in crate::http) PatId);

impl FromRequestParts<App> for PatIdInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, app).await;
        let pat_id = path.ok().and_then(|Path(text)| PatId::parse(&text));
        Ok(Self(pat_id.ok_or_else(|| Error::not_found("token"))?))
    }
}

/// The user in the path.
pub(in crate::http) struct UserInPath(pub(in crate::http) UserId);

impl FromRequestParts<App> for UserInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, app).await;
        let user = path.ok().and_then(|Path(text)| user_id(&text));
        Ok(Self(user.ok_or_else(|| Error::not_found("user"))?))
    }
}

/// The user and the token in the path.
pub(in crate::http) struct UserTokenInPath(pub(in crate::http) UserId, pub(in crate::http) PatId);

impl FromRequestParts<App> for UserTokenInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, app).await;
        let found = path
            .ok()
            .and_then(|Path((user, token))| Some(Self(user_id(&user)?, PatId::parse(&token)?)));
        Ok(found.ok_or_else(|| Error::not_found("token"))?)
    }
}

/// A NUL is in no id, and cannot be asked for on PostgreSQL.
fn user_id(text: &str) -> Option<UserId> {
    (!text.contains('\0')).then(|| UserId::new(text))
}

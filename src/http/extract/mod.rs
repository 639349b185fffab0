//! Finding the caller, and checking what was sent: every wrong field is named at once.

mod body;
mod caller;
mod check;
mod path;
mod query;

use axum::http::HeaderName;
use axum::http::header::CACHE_CONTROL;

pub(super) use body::{
    JsonObject, JsonOrNothing, Members, MergePatch, is_any_of, read, refuse_encoded,
};
pub(super) use caller::count_failure;
pub(super) use check::{Check, moment, spelled, text, unknown};
pub(super) use path::{PatIdInPath, UserInPath, UserTokenInPath};
pub(super) use query::{NoQuery, Query};

/// The header of an answer with a secret.
pub(super) type NoStore = [(HeaderName, &'static str); 1];
pub(super) const NO_STORE: NoStore = [(CACHE_CONTROL, "no-store")];

//! `/api/audit/v1`: who did what to which credential.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::audit::Act;
use crate::clock::Timestamp;
use crate::http::extract::Query;
use crate::http::openapi::{ApiErrors, TAG_OPERATION};
use crate::http::problem::Problem;
use crate::page::{Direction, Pagination};
use crate::principal::Caller;
use crate::store::{AuditFilter, AuditRecord};

/// One act.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AuditEvent {
    /// Its own id.
    event_id: String,
    /// When it was done.
    #[schema(value_type = String, format = DateTime)]
    occurred_at: Timestamp,
    /// What was done.
    #[schema(example = "token_revoked")]
    action: String,
    /// The credential that it was done to: a token's id, a `client_id`, or the account of a quota.
    credential_id: String,
    /// Its name at that time.
    credential_name: String,
    /// Whose credential it is or was: the id in Keycloak.
    owner_id: String,
    /// Who did it: the id in Keycloak, or `hallpass` itself.
    actor_id: String,
    /// Their name at login.
    actor_name: String,
    /// By what: `access_token`, `pat:{id}`, or `none` for Hallpass itself.
    actor_credential: String,
    /// From which address; empty for Hallpass itself.
    address: String,
    /// In which request: `X-Request-Id` of its answer; empty for Hallpass itself.
    request_id: String,
    /// Why, where there is a reason to give.
    reason: Option<String>,
}

impl From<AuditRecord> for AuditEvent {
    fn from(record: AuditRecord) -> Self {
        Self {
            event_id: record.event_id,
            occurred_at: record.occurred_at,
            action: record.action,
            credential_id: record.credential_id,
            credential_name: record.credential_name,
            owner_id: record.owner_id,
            actor_id: record.actor_id,
            actor_name: record.actor_name,
            actor_credential: record.actor_credential,
            address: record.address,
            request_id: record.request_id,
            reason: record.reason,
        }
    }
}

/// A page of events.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct EventList {
    events: Vec<AuditEvent>,
    pagination: Pagination,
}

impl FromRequestParts<App> for AuditFilter {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let actions: Vec<_> = Act::ALL.iter().map(|action| (action.name(), *action)).collect();
        let mut query = Query::parse(parts);
        let filter = Self {
            action: query.choice("action", &actions),
            credential_id: query.text("credentialId"),
            owner_id: query.text("ownerId"),
            actor_id: query.text("actorId"),
            search: query.search(),
            from: query.time("from"),
            to: query.time("to"),
            direction: query.direction().unwrap_or(Direction::Descending),
            page: query.page(),
        };
        query.finish()?;
        Ok(filter)
    }
}

/// The audit log
///
/// Needs the role `read-audit`. Events stay when what they tell of is deleted.
#[utoipa::path(get, path = "/api/audit/v1/events", tag = TAG_OPERATION, operation_id = "listAuditEvents",
    params(
        ("action" = Option<String>, Query, description = "Only this was done, as `action` says it"),
        ("credentialId" = Option<String>, Query, description = "Only to this credential"),
        ("ownerId" = Option<String>, Query, description = "Only to credentials of this owner"),
        ("actorId" = Option<String>, Query, description = "Only by this actor"),
        ("search" = Option<String>, Query, description = "Part of the credential's or the actor's name, in any case"),
        ("from" = Option<String>, Query, description = "From this moment on, RFC 3339"),
        ("to" = Option<String>, Query, description = "Before this moment, RFC 3339"),
        ("direction" = Option<String>, Query, description = "`asc` or `desc`. Default: `desc`, newest first"),
        ("offset" = Option<u32>, Query, description = "How many to skip. Default: 0"),
        ("limit" = Option<u32>, Query, description = "How many to answer, 1 to 100. Default: 10"),
    ),
    responses((status = 200, description = "A page of events", body = EventList), ApiErrors))]
pub(in crate::http) async fn list(
    State(app): State<App>,
    caller: Caller,
    filter: AuditFilter,
) -> Result<Json<EventList>, Problem> {
    let found = app.audit_log.list(&caller, &filter).await?;
    let events = found.items.into_iter().map(AuditEvent::from).collect();
    Ok(Json(EventList { events, pagination: Pagination::new(filter.page, found.total) }))
}

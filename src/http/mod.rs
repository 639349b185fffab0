//! HTTP: every route in one list, and what each request goes through.
//!
//! 1. [`trace`] gives the request an id, finds the caller's address, and logs one line at its end.
//! 2. [`bodies`] refuses a body where none is taken. The extractors of [`extract`] find the caller and check what was sent, all fields at once.
//! 3. A handler calls one use case and renders its result; an error becomes a [`problem`] document.

mod api;
mod authorization;
mod bodies;
mod browser;
mod edge;
mod extract;
mod forward_auth;
mod health;
mod metrics;
mod oauth;
mod openapi;
mod pages;
mod problem;
mod public_keys;
mod trace;

use std::net::SocketAddr;

use axum::Router;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use edge::{Edge, EdgeAnswer};
pub use openapi::document;
pub use trace::REQUEST_LOG;

use crate::app::App;
use crate::error::{Code, Error};
use problem::Problem;

/// The largest body of a request, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// Every operation of the API, with its documentation.
fn operations() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(api::pat::create::create, api::pat::list, api::pat::end::delete_all))
        .routes(routes!(api::pat::get_self))
        .routes(routes!(api::pat::end::invalidate_self))
        .routes(routes!(api::pat::rotate::rotate_self))
        .routes(routes!(api::pat::offer::get))
        .routes(routes!(api::pat::offer::preview))
        .routes(routes!(api::pat::get, api::pat::describe::update, api::pat::end::delete))
        .routes(routes!(api::pat::end::invalidate))
        .routes(routes!(api::pat::end::invalidate_all))
        .routes(routes!(api::pat::end::invalidate_bulk))
        .routes(routes!(api::pat::end::delete_bulk))
        .routes(routes!(api::pat::identify::own))
        .routes(routes!(api::pat::rotate::rotate))
        .routes(routes!(api::pat::users::list))
        .routes(routes!(api::pat::users::list_of_user, api::pat::users::delete_all))
        .routes(routes!(api::pat::users::delete))
        .routes(routes!(api::pat::users::invalidate))
        .routes(routes!(api::pat::users::invalidate_all))
        .routes(routes!(api::pat::users::invalidate_bulk))
        .routes(routes!(api::pat::users::delete_bulk))
        .routes(routes!(api::pat::identify::any))
        .routes(routes!(api::clients::create, api::clients::list))
        .routes(routes!(api::clients::delete_bulk))
        .routes(routes!(api::clients::get, api::clients::update, api::clients::delete))
        .routes(routes!(api::clients::get_secret, api::clients::regenerate_secret))
        .routes(routes!(api::clients::transfer))
        .routes(routes!(api::accounts::list_scopes))
        .routes(routes!(api::accounts::get_own_quota))
        .routes(routes!(
            api::accounts::get_quota,
            api::accounts::set_quota,
            api::accounts::reset_quota
        ))
        .routes(routes!(api::audit::list))
        .routes(routes!(oauth::introspect::introspect))
        .routes(routes!(oauth::revoke::revoke))
        .routes(routes!(oauth::metadata::get))
        .routes(routes!(forward_auth::check))
        .routes(routes!(forward_auth::check_policy))
        .routes(routes!(public_keys::get))
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(metrics::metrics))
}

/// The same, and their document.
fn described_operations() -> (Router<App>, OpenApi) {
    let (router, mut document) = operations().split_for_parts();
    openapi::bound_lists(&mut document);
    (router, document)
}

/// The whole service; a connection is served by [`Edge`].
#[derive(Clone)]
pub struct Service {
    app: App,
    router: Router,
}

impl Service {
    /// All routes.
    #[must_use]
    pub fn new(app: App) -> Self {
        Self { router: router(app.clone()), app }
    }

    /// What answers a connection of this peer.
    #[must_use]
    pub fn edge(&self, peer: SocketAddr) -> Edge {
        Edge { app: self.app.clone(), router: self.router.clone(), peer }
    }
}

fn router(app: App) -> Router {
    let (router, document) = described_operations();
    let no_body = bodies::NoBodyLayer::new(&document);
    router
        .merge(forward_auth::all_methods_and_paths())
        .merge(pages::pages(document))
        .merge(problem::pages())
        .fallback(async || Problem(Error::not_found("path")))
        .method_not_allowed_fallback(async || {
            Problem(Error::new(Code::MethodNotAllowed, "This path does not take this method."))
        })
        .layer(no_body)
        .layer(trace::TraceLayer(app.clone()))
        .with_state(app)
}

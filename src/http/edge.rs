//! What a connection is answered by.
//!
//! The two paths that stand before other people's requests are known at once; everything else goes through the router.
//! A router takes as long as the decision about a token that was seen before: it clones and boxes each route that it
//! comes through.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::http::Method;
use axum::response::Response;
use tower::Service;

use super::oauth::introspect;
use super::trace::{Route, Traced, unless_it_panics};
use super::{forward_auth, problem};
use crate::app::App;

/// The whole service, for one connection.
#[derive(Clone)]
pub struct Edge {
    pub(super) app: App,
    pub(super) router: Router,
    pub(super) peer: SocketAddr,
}

/// A request before the router, and what it is answered by.
struct Direct {
    app: App,
    request: Request,
    traced: Traced,
}

impl Direct {
    fn new(edge: &Edge, request: Request, path: &'static str) -> Self {
        let (app, peer) = (edge.app.clone(), edge.peer.ip());
        let traced = Traced::begin(&app, &request, peer, Some(Route::Known(path)));
        Self { app, request, traced }
    }

    /// Each by a future of its own: one that could be either would be moved about in the size of the larger.
    async fn forward_auth(self) -> Result<Response, Infallible> {
        let Self { app, request, traced } = self;
        let (headers, uri) = (request.headers(), request.uri());
        let answer = forward_auth::answer(&app, &traced.context, headers, uri);
        let answer = unless_it_panics(answer).await;
        Ok(traced.end(&app, answer.map_err(problem::panicked).flatten()))
    }

    async fn introspection(self) -> Result<Response, Infallible> {
        let Self { app, mut request, traced } = self;
        let body = std::mem::take(request.body_mut());
        let answer = introspect::answer(&app, &traced.context, request.headers(), body);
        let answer = unless_it_panics(answer).await;
        Ok(traced.end(&app, answer.map_err(problem::panicked).flatten()))
    }
}

impl Service<Request> for Edge {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        match request.uri().path() {
            forward_auth::PATH => {
                Box::pin(Direct::new(self, request, forward_auth::PATH).forward_auth())
            }
            introspect::PATH if request.method() == Method::POST => {
                Box::pin(Direct::new(self, request, introspect::PATH).introspection())
            }
            _ => {
                request.extensions_mut().insert(ConnectInfo(self.peer));
                Box::pin(self.router.call(request))
            }
        }
    }
}

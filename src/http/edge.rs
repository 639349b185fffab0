//! What a connection is answered by.
//!
//! The two paths that stand before other people's requests are known at once; everything else goes through the router.
//! A router takes as long as the decision about a token that was seen before: it clones and boxes each route that it
//! comes through.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use axum::Router;
use axum::body::HttpBody as _;
use axum::extract::{ConnectInfo, Request};
use axum::http::Method;
use axum::http::header::CONTENT_LENGTH;
use axum::response::Response;
use tower::Service;

use super::oauth::introspect;
use super::trace::{Route, Traced, unless_it_panics};
use super::{forward_auth, problem};
use crate::app::App;

/// An answer that is being made.
pub type EdgeAnswer = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

/// The whole service, for one connection.
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
        let mut response = traced.end(&app, answer.map_err(problem::panicked).flatten());
        if request.method() == Method::HEAD {
            // RFC 9110 §9.3.2: as for a GET. No body is sent, so nobody else counts it.
            let length = response.body().size_hint().exact().unwrap_or_default();
            response.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
        Ok(response)
    }

    async fn introspection(self) -> Result<Response, Infallible> {
        let Self { app, mut request, traced } = self;
        let body = std::mem::take(request.body_mut());
        let answer = introspect::answer(&app, &traced.context, request.headers(), body);
        let answer = unless_it_panics(answer).await;
        Ok(traced.end(&app, answer.map_err(problem::panicked).flatten()))
    }
}

impl Edge {
    /// Answers a request.
    pub fn answer(&self, mut request: Request) -> EdgeAnswer {
        match request.uri().path() {
            forward_auth::PATH => {
                Box::pin(Direct::new(self, request, forward_auth::PATH).forward_auth())
            }
            introspect::PATH if request.method() == Method::POST => {
                Box::pin(Direct::new(self, request, introspect::PATH).introspection())
            }
            _ => {
                request.extensions_mut().insert(ConnectInfo(self.peer));
                Box::pin(self.router.clone().call(request))
            }
        }
    }
}

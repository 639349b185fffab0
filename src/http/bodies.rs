//! Operations of the API that take no body refuse one. It would be passed over otherwise: who sends a list of ids with the
//! deletion of all tokens would lose all of them.
//!
//! Which operations take one is in the OpenAPI document, so that none can be forgotten.

use std::collections::HashSet;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody as _};
use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::response::{IntoResponse as _, Response};
use tower::{Layer, Service};
use utoipa::openapi::OpenApi;

use super::extract;
use super::problem::Problem;
use crate::error::{Code, Error};

/// Below this path it holds.
const API: &str = "/api/";

/// Refuses bodies that nobody reads.
#[derive(Clone)]
pub(super) struct NoBodyLayer {
    /// Method and pattern of the operations that take none.
    without: Arc<HashSet<(Method, String)>>,
}

impl NoBodyLayer {
    /// For the operations of this document.
    pub(super) fn new(document: &OpenApi) -> Self {
        let mut without = HashSet::new();
        for (path, item) in document.paths.paths.iter().filter(|(path, _)| path.starts_with(API)) {
            for (method, operation) in [
                (Method::GET, &item.get),
                (Method::PUT, &item.put),
                (Method::POST, &item.post),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ] {
                if operation.as_ref().is_some_and(|operation| operation.request_body.is_none()) {
                    without.insert((method, path.clone()));
                }
            }
        }
        Self { without: Arc::new(without) }
    }

    fn refuses(&self, request: &Request) -> bool {
        if request.body().is_end_stream() {
            return false;
        }
        // A HEAD is answered by the operation of its GET.
        let method = match request.method() {
            &Method::HEAD => Method::GET,
            method => method.clone(),
        };
        let path = request.extensions().get::<MatchedPath>();
        path.is_some_and(|path| self.without.contains(&(method, path.as_str().to_owned())))
    }
}

/// What [`NoBodyLayer`] makes of a service.
#[derive(Clone)]
pub(super) struct NoBody<S> {
    layer: NoBodyLayer,
    inner: S,
}

impl<S> Layer<S> for NoBodyLayer {
    type Service = NoBody<S>;

    fn layer(&self, inner: S) -> NoBody<S> {
        NoBody { layer: self.clone(), inner }
    }
}

impl<S> Service<Request> for NoBody<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if !self.layer.refuses(&request) {
            return Box::pin(self.inner.call(request));
        }
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            // Without a length it may be empty all the same.
            match extract::read(body, 0).await {
                Ok(_) => inner.call(Request::from_parts(parts, Body::empty())).await,
                Err(error) if error.code() == Code::RequestTimeout => {
                    Ok(Problem(error).into_response())
                }
                Err(_) => Ok(Problem(unexpected()).into_response()),
            }
        })
    }
}

fn unexpected() -> Error {
    let detail = "This operation takes no body, and one was sent. Nothing was done.";
    Error::new(Code::UnexpectedBody, detail)
}

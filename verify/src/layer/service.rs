//! The service that stands before another.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::AUTHORIZATION;
use http::{Request, Response};
use tower_service::Service;

use super::Gate;

/// A service behind a [`TokenLayer`](super::TokenLayer).
#[derive(Clone)]
pub struct TokenService<S> {
    gate: Arc<Gate>,
    inner: S,
}

impl<S> TokenService<S> {
    pub(super) const fn new(gate: Arc<Gate>, inner: S) -> Self {
        Self { gate, inner }
    }
}

impl<S, B, R> Service<Request<B>> for TokenService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let gate = Arc::clone(&self.gate);
        // The one that was found ready is called; a clone of it need not be.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            match gate.admit(&head).await {
                Ok(verified) => {
                    head.extensions.insert(verified);
                    // Whoever logs the request does not log the token.
                    if let Some(token) = head.headers.get_mut(AUTHORIZATION) {
                        token.set_sensitive(true);
                    }
                    inner.call(Request::from_parts(head, body)).await
                }
                Err(denial) => Ok(gate.challenge.answer(denial, &gate.scopes)),
            }
        })
    }
}

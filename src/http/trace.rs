//! Around every request: its id, the caller's address, one log line, its count, and the rendering of errors.

use std::any::Any;
use std::convert::Infallible;
use std::error::Error as StdError;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::{ConnectInfo, MatchedPath, Request};
use axum::http::header::ALLOW;
use axum::http::{Extensions, HeaderMap, HeaderName, Method, StatusCode};
use axum::response::Response;
use ipnet::IpNet;
use tokio::time::Instant;
use tower::{Layer, Service};

use super::{browser, oauth, problem};
use crate::app::App;
use crate::decide::Reason;
use crate::error::Error;
use crate::id::{RequestId, UserId};
use crate::network::parse_address;
use crate::principal::Origin;

/// The target of the lines of requests.
pub const REQUEST_LOG: &str = "hallpass::request";

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What is known of a request before its handler runs.
#[derive(Clone)]
pub(super) struct RequestContext {
    pub(super) origin: Origin,
    /// Filled in when the caller is known.
    pub(super) caller: Arc<OnceLock<UserId>>,
}

impl RequestContext {
    /// As the outermost layer put it there.
    pub(super) fn of(extensions: &Extensions) -> Result<&Self, Error> {
        let context = extensions.get::<Self>();
        context.ok_or_else(|| Error::internal("a request without its context"))
    }
}

/// The outermost layer. As a service of its own and not by [`axum::middleware::from_fn`], which boxes and copies each
/// request and each answer once more.
#[derive(Clone)]
pub(super) struct TraceLayer(pub(super) App);

/// What [`TraceLayer`] makes of a service.
#[derive(Clone)]
pub(super) struct Trace<S> {
    app: App,
    inner: S,
}

impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;

    fn layer(&self, inner: S) -> Trace<S> {
        Trace { app: self.0.clone(), inner }
    }
}

impl<S> Service<Request> for Trace<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Send,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip());
        let route = request.extensions().get().cloned().map(Route::Matched);
        let (app, traced) = (self.app.clone(), Traced::begin(&self.app, &request, peer, route));
        request.extensions_mut().insert(traced.context.clone());
        let answer = catch_unwind(AssertUnwindSafe(|| self.inner.call(request)));
        Box::pin(async move {
            let response = match answer {
                Ok(answer) => unless_it_panics(answer).await,
                Err(panic) => Err(panic),
            };
            Ok(match response {
                Ok(Ok(response)) => traced.end_rendered(&app, response),
                Err(panic) => traced.end(&app, Err(problem::panicked(panic))),
            })
        })
    }
}

/// A panic ends its request, not the connection, on which there may be others.
pub(super) async fn unless_it_panics<F: Future>(answer: F) -> Result<F::Output, Panic> {
    let mut answer = pin!(answer);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(context))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

/// What was thrown.
pub(super) type Panic = Box<dyn Any + Send>;

/// The pattern of the route, not the path: a path may hold what somebody pasted by mistake.
pub(super) enum Route {
    /// As the router found it.
    Matched(MatchedPath),
    /// One that needs no router.
    Known(&'static str),
}

impl Route {
    fn as_str(&self) -> &str {
        match self {
            Self::Matched(path) => path.as_str(),
            Self::Known(path) => path,
        }
    }
}

/// A request under way.
pub(super) struct Traced {
    started: Instant,
    pub(super) context: RequestContext,
    method: Method,
    route: Option<Route>,
    /// Errors are OAuth's there.
    oauth: bool,
}

impl Traced {
    pub(super) fn begin(app: &App, request: &Request, peer: IpAddr, route: Option<Route>) -> Self {
        let request_id = RequestId::new(app.clock.now());
        let trusted = &app.settings.server.trusted_proxies;
        let address = caller_address(request.headers(), peer.to_canonical(), trusted);
        let origin = Origin { address, request_id };
        Self {
            started: Instant::now(),
            context: RequestContext { origin, caller: Arc::default() },
            method: request.method().clone(),
            route,
            oauth: request.uri().path().starts_with(oauth::BASE),
        }
    }

    /// The answer, where nothing stands between it and whoever gave it.
    pub(super) fn end(self, app: &App, answer: Result<Response, Error>) -> Response {
        match answer {
            Ok(response) => self.finish(app, response, None, None),
            Err(error) => {
                let response = self.render(app, &error);
                self.finish(app, response, Some(&error), None)
            }
        }
    }

    /// The answer, with what the layers between did to it.
    fn end_rendered(self, app: &App, mut response: Response) -> Response {
        let error = response.extensions_mut().remove::<Arc<Error>>();
        if let Some(error) = &error {
            // RFC 9110 §15.5.6: a 405 says which methods are allowed; the router knows.
            let allow = response.headers_mut().remove(ALLOW);
            response = self.render(app, error);
            response.headers_mut().extend(allow.map(|allow| (ALLOW, allow)));
        } else {
            browser::protect(response.headers_mut(), &app.settings.server.public_url);
        }
        let cause = response.extensions_mut().remove::<Cause>();
        self.finish(app, response, error.as_deref(), cause)
    }

    fn render(&self, app: &App, error: &Error) -> Response {
        let public_url = &app.settings.server.public_url;
        let mut response = if self.oauth {
            oauth::render(error)
        } else {
            problem::render(error, public_url.as_str())
        };
        browser::protect(response.headers_mut(), public_url);
        response
    }

    fn finish(
        self,
        app: &App,
        mut response: Response,
        error: Option<&Error>,
        cause: Option<Cause>,
    ) -> Response {
        let reason = response.extensions_mut().remove::<Reason>();
        let reason = reason.or_else(|| error.and_then(reason_of));
        let (status, duration) = (response.status(), self.started.elapsed());
        let route = self.route.as_ref().map(Route::as_str);
        app.requests.count(self.method.as_str(), route, status.as_u16(), duration);
        let (context, method) = (&self.context, &self.method);
        Line { context, method, route, status, error, reason, cause, duration }.log();
        let request_id = self.context.origin.request_id.into();
        response.headers_mut().insert(REQUEST_ID, request_id);
        response
    }
}

/// Why an answer that is no error is not what one hopes for: for the log.
#[derive(Clone)]
pub(super) struct Cause(pub(super) String);

/// What is asked for all the time, and says something only where something is wrong.
const SELDOM_OF_INTEREST: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// The log's line of a request.
struct Line<'a> {
    context: &'a RequestContext,
    method: &'a Method,
    route: Option<&'a str>,
    status: StatusCode,
    error: Option<&'a Error>,
    reason: Option<Reason>,
    cause: Option<Cause>,
    duration: Duration,
}

impl Line<'_> {
    fn log(self) {
        let Self { context, method, route, status, error, reason, cause, duration } = self;
        let is_dull =
            cause.is_none() && route.is_some_and(|route| SELDOM_OF_INTEREST.contains(&route));
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: REQUEST_LOG,
                    request_id = %context.origin.request_id,
                    %method,
                    route,
                    status = status.as_u16(),
                    duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
                    address = %context.origin.address,
                    user_id = context.caller.get().map(UserId::as_str),
                    code = error.map(|error| error.code().name()),
                    reason = reason.map(Reason::code),
                    cause = cause
                        .as_ref()
                        .map(|Cause(cause)| cause.clone())
                        .or_else(|| error.map(Error::chain).filter(|chain| !chain.is_empty())),
                )
            };
        }
        match status {
            status if status.is_server_error() => line!(error),
            _ if is_dull => line!(debug),
            _ => line!(info),
        }
    }
}

/// Why a credential was refused, where that is the error's cause.
pub(super) fn reason_of(error: &Error) -> Option<Reason> {
    StdError::source(error)?.downcast_ref().copied()
}

/// The peer's address; behind a trusted proxy, the nearest address in `X-Forwarded-For` that is not one.
fn caller_address(headers: &HeaderMap, peer: IpAddr, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    if is_trusted(peer) { forwarded_for(headers, is_trusted).unwrap_or(peer) } else { peer }
}

/// From right to left, as proxies append: what stands left of a stranger, the stranger may have written.
fn forwarded_for(headers: &HeaderMap, is_trusted: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let mut nearest = None;
    let values: Vec<_> = headers.get_all(FORWARDED_FOR).iter().collect();
    // Bytes: what somebody wrote before a proxy added to it must not hide what the proxy added.
    for entry in values.iter().rev().flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','))
    {
        // Unreadable: nobody's address. It must not pass for the proxy's own.
        let address = std::str::from_utf8(entry).ok().and_then(parse_address);
        let address = address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        nearest = Some(address);
        if !is_trusted(address) {
            break;
        }
    }
    nearest
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn caller(peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let peer: IpAddr = peer.parse().unwrap();
        caller_address(&headers, peer.to_canonical(), &["10.0.0.0/8".parse().unwrap()]).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let table: [(&str, &[&str], &str); 14] = [
            ("192.0.2.1", &["198.51.100.1"], "192.0.2.1"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["203.0.113.9, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
            ("10.0.0.1", &["203.0.113.9", "198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["garbage"], "0.0.0.0"),
            ("10.0.0.1", &["é, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["198.51.100.1, é"], "0.0.0.0"),
            ("10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("10.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("10.0.0.1", &["[2001:db8::1]"], "2001:db8::1"),
            ("10.0.0.1", &["fe80::1%eth0"], "fe80::1"),
            ("10.0.0.1", &["198.51.100.1, [::ffff:10.0.0.2]:80"], "198.51.100.1"),
            ("::ffff:10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
        ];
        for (peer, forwarded, expected) in table {
            assert_eq!(caller(peer, forwarded), expected, "{peer} {forwarded:?}");
        }
    }
}

//! One connection: HTTP/1.1, each wait for the client bounded.
//!
//! 1. [`Watched`] sees the bytes that come and go, and [`Guarded`] the requests, their bodies and the answers. Both note in
//!    the [`Phase`] what is waited for.
//! 2. A timer looks at the phase, not more often than the shortest limit: a request that is in time costs no timer.
//! 3. A body that is late fails for the handler, which answers that. Any other wait that takes too long ends the connection.

use std::convert::Infallible;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::sleep_until;

use super::limits::Limits;
use super::phase::{Cut, Phase};
use super::places::Place;
use super::until;
use crate::http::{Edge, EdgeAnswer};

/// The largest header of a request, in bytes: four of the longest tokens.
const MAX_HEADER: usize = 64 * 1024;

/// Serves until the client or a limit ends it; says which limit. Once `stopped`, what is under way is the last.
pub(super) async fn serve(
    stream: TcpStream,
    edge: Edge,
    limits: Limits,
    place: Place,
    stopped: watch::Receiver<bool>,
) -> Option<Cut> {
    let phase = Arc::new(Phase::new());
    let watched = Watched { stream, phase: phase.clone() };
    let guarded = Guarded { edge, phase: phase.clone(), limits };
    let connection = http1::Builder::new()
        // The buffer alone is no bound: it grows by doubling, and a header that fits it is taken.
        .max_buf_size(MAX_HEADER)
        .max_header_size(MAX_HEADER)
        .serve_connection(TokioIo::new(watched), guarded);
    let mut connection = pin!(connection);
    let mut look = pin!(sleep_until(phase.judge(&limits, false).ok()?));
    let mut stop = pin!(until(stopped));
    let mut stopping = false;
    loop {
        tokio::select! {
            biased;
            _ = connection.as_mut() => return None,
            () = look.as_mut() => match phase.judge(&limits, place.is_in_a_crowd()) {
                Ok(next) => look.as_mut().reset(next),
                Err(cut) => return Some(cut),
            },
            () = stop.as_mut(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// A connection whose bytes are seen.
struct Watched {
    stream: TcpStream,
    phase: Arc<Phase>,
}

impl Watched {
    fn written(&self, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if outcome.is_pending() {
            self.phase.stalls();
        }
        outcome
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        if buffer.filled().len() > before {
            self.phase.received();
        }
        Poll::Ready(outcome)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.written(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = ready!(Pin::new(&mut self.stream).poll_flush(context));
        self.phase.flushed();
        Poll::Ready(outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// What answers, with what it waits for noted.
struct Guarded {
    edge: Edge,
    phase: Arc<Phase>,
    limits: Limits,
}

impl hyper::service::Service<hyper::Request<Incoming>> for Guarded {
    type Response = hyper::Response<AnswerBody>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: hyper::Request<Incoming>) -> Answering {
        let has_body = !request.body().is_end_stream();
        self.phase.requested(has_body);
        let request = request.map(|body| {
            if !has_body {
                return Body::empty();
            }
            Body::new(RequestBody { body, phase: self.phase.clone(), limits: self.limits })
        });
        Answering { answer: self.edge.answer(request), phase: self.phase.clone() }
    }
}

/// A body that fails when it is late.
struct RequestBody {
    body: Incoming,
    phase: Arc<Phase>,
    limits: Limits,
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
            if self.phase.body_is_late(&self.limits) {
                let late = io::Error::new(ErrorKind::TimedOut, "the body did not come in time");
                return Poll::Ready(Some(Err(late.into())));
            }
            return Poll::Pending;
        };
        if frame.is_none() || self.body.is_end_stream() {
            self.phase.body_is_over();
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.phase.body_is_over();
    }
}

/// An answer that is being made.
struct Answering {
    answer: EdgeAnswer,
    phase: Arc<Phase>,
}

impl Future for Answering {
    type Output = Result<hyper::Response<AnswerBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let response: Response = ready!(self.answer.as_mut().poll(context))?;
        self.phase.answered();
        let phase = self.phase.clone();
        Poll::Ready(Ok(response.map(|body| AnswerBody { body, phase })))
    }
}

/// The body of an answer. When it is dropped, the answer is complete.
struct AnswerBody {
    body: Body,
    phase: Arc<Phase>,
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        self.phase.answer_is_over();
    }
}

//! What a connection waits for, and since when. The connection's own task writes and reads it; it is atomic only because the
//! task may move between threads.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use super::limits::Limits;

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The next request.
    Idle,
    /// The rest of a header.
    Header,
    /// The rest of a body.
    Body,
    /// Us.
    Handler,
    /// The rest of an answer, from us.
    Answer,
    /// That an answer, which is complete, is written.
    Writing,
}

impl Kind {
    const ALL: [Self; 6] =
        [Self::Idle, Self::Header, Self::Body, Self::Handler, Self::Answer, Self::Writing];
}

/// What a connection waits for. Times are milliseconds since its start.
pub(super) struct Phase {
    start: Instant,
    /// The time, and in the last byte the kind.
    now: AtomicU64,
    /// Since when the client takes nothing; 0: it does.
    stalled: AtomicU64,
}

/// Why a connection is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    Header,
    Body,
    Answer,
    Idle,
}

impl Cut {
    pub(super) const ALL: [Self; 4] = [Self::Header, Self::Body, Self::Answer, Self::Idle];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Body => "body",
            Self::Answer => "answer",
            Self::Idle => "idle",
        }
    }
}

/// After its time is over a body is refused; the handler has this long to answer so.
const GRACE: Duration = Duration::from_secs(1);

impl Phase {
    /// A connection that has just begun: its first request is due.
    pub(super) fn new() -> Self {
        let phase = Self { start: Instant::now(), now: 0.into(), stalled: 0.into() };
        phase.set(Kind::Header, 0);
        phase
    }

    /// Bytes came in.
    pub(super) fn received(&self) {
        if self.kind() == Kind::Idle {
            self.set(Kind::Header, self.passed());
        }
    }

    /// A header is complete.
    pub(super) fn requested(&self, has_body: bool) {
        if has_body {
            self.set(Kind::Body, self.passed());
        } else {
            self.set(Kind::Handler, 0);
        }
    }

    /// The body is read, or nobody wants the rest.
    pub(super) fn body_is_over(&self) {
        if self.kind() == Kind::Body {
            self.set(Kind::Handler, 0);
        }
    }

    /// Whether the body took too long.
    pub(super) fn body_is_late(&self, limits: &Limits) -> bool {
        self.kind() == Kind::Body && self.passed() >= self.since() + millis(limits.body)
    }

    /// We know what to answer.
    pub(super) fn answered(&self) {
        self.set(Kind::Answer, 0);
    }

    /// The answer is complete.
    pub(super) fn answer_is_over(&self) {
        self.set(Kind::Writing, 0);
    }

    /// The client takes nothing for now.
    pub(super) fn stalls(&self) {
        if self.stalled.load(Relaxed) == 0 {
            self.stalled.store(self.passed().max(1), Relaxed);
        }
    }

    /// All is written that there was.
    pub(super) fn flushed(&self) {
        if self.stalled.load(Relaxed) != 0 {
            self.stalled.store(0, Relaxed);
        }
        if self.kind() == Kind::Writing {
            self.set(Kind::Idle, self.passed());
        }
    }

    /// Whether it is to be cut off now; else when to look again.
    pub(super) fn judge(&self, limits: &Limits, crowded: bool) -> Result<Instant, Cut> {
        let idle = if crowded { limits.idle_in_a_crowd } else { limits.idle };
        let due = match self.kind() {
            Kind::Idle => Some((idle, Cut::Idle)),
            Kind::Header => Some((limits.header, Cut::Header)),
            Kind::Body => Some((limits.body + GRACE, Cut::Body)),
            Kind::Handler | Kind::Answer | Kind::Writing => None,
        };
        let due = due.map(|(limit, cut)| (self.since() + millis(limit), cut));
        let stalled = match self.stalled.load(Relaxed) {
            0 => None,
            since => Some((since + millis(limits.answer), Cut::Answer)),
        };
        let now = self.passed();
        // A look at least this often: a deadline that begins after the look is not passed by.
        let mut next = now + millis(limits.shortest()).max(1);
        for (at, cut) in due.into_iter().chain(stalled) {
            if at <= now {
                return Err(cut);
            }
            next = next.min(at);
        }
        if self.kind() == Kind::Body {
            // Then the body is refused.
            let late = self.since() + millis(limits.body);
            if late > now {
                next = next.min(late);
            }
        }
        Ok(self.start + Duration::from_millis(next))
    }

    fn kind(&self) -> Kind {
        let number = usize::from(self.now.load(Relaxed).to_le_bytes()[0]);
        Kind::ALL.get(number).copied().unwrap_or(Kind::Header)
    }

    fn since(&self) -> u64 {
        self.now.load(Relaxed) >> 8
    }

    fn set(&self, kind: Kind, since: u64) {
        self.now.store((since << 8) | kind as u64, Relaxed);
    }

    fn passed(&self) -> u64 {
        millis(self.start.elapsed())
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX >> 8)
}

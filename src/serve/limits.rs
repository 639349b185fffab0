//! What a connection may take: time, and a place among the others.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The bounds of inbound connections. They are no settings: what is sensible does not differ between sites. Tests
/// shorten them.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the first byte of a request, or from the start of a connection, to the end of its header.
    pub header: Duration,
    /// From the end of the header to the end of the body.
    pub body: Duration,
    /// From the moment at which a client takes nothing more to the end of what was written for it.
    pub answer: Duration,
    /// How long a connection may wait for its next request. Longer than common clients and gateways keep one, so that
    /// they close it and not we, who would cut off a request that is on its way.
    pub idle: Duration,
    /// The same while more than half of all connections are taken.
    pub idle_in_a_crowd: Duration,
    /// How many connections there are at most.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(10),
            body: Duration::from_secs(10),
            answer: Duration::from_mins(1),
            idle: Duration::from_secs(95),
            idle_in_a_crowd: Duration::from_secs(10),
            connections: 4096,
        }
    }
}

impl Limits {
    /// No deadline that begins later ends sooner than this.
    pub(super) fn shortest(&self) -> Duration {
        self.header.min(self.body).min(self.answer).min(self.idle).min(self.idle_in_a_crowd)
    }

    /// With no more connections than the process may have open files for: half of them are left to the store, to calls
    /// to Keycloak and to the rest of the process.
    pub(super) fn within_open_files(self) -> Self {
        let half = open_files(self.connections * 2) / 2;
        Self { connections: self.connections.min(half).max(1), ..self }
    }
}

/// How many files may be open, raised to `wanted` where the system lets us.
fn open_files(wanted: usize) -> usize {
    let files = |limit: Option<u64>| {
        limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
    };
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if files(current) >= wanted {
        return files(current);
    }
    let raised = files(maximum).min(wanted);
    let limit = Rlimit { current: u64::try_from(raised).ok(), maximum };
    if setrlimit(Resource::Nofile, limit).is_ok() { raised } else { files(current) }
}

//! What happens in the realm, followed: events as hints, a sweep for what has no event, and the end of interrupted
//! operations.

mod watch;

pub use watch::Watch;

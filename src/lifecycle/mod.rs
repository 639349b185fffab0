//! What happens in the realm, followed: events as hints, a sweep for what has no event, and the end of interrupted
//! operations.

mod feed;
mod owners;
mod watch;

pub use owners::TokenOwners;
pub use watch::Watch;

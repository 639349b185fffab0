//! What happens in the realm, followed: events as hints, a sweep for what has no event, and the end of interrupted
//! operations.

mod acts;
mod agenda;
mod decision;
mod feed;
mod fingerprint;
mod gauges;
mod lane;
mod lead;
mod looks;
mod many;
mod owners;
mod polled;
mod position;
mod retries;
mod rights;
mod round;
mod seen;
mod turns;
mod unreadable;
mod watch;

pub use decision::{Decisions, Released};
pub use gauges::{Gauges, owners_checked};
pub use owners::TokenOwners;
pub use rights::{Right, Rights};
pub use watch::Watch;

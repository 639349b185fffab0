//! What an event is remembered by.

use aws_lc_rs::digest::{SHA256, digest};

/// What one event is known by among others, in 16 bytes: many are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId([u8; 16]);

impl EventId {
    /// Of its id, or of as much of it as there is.
    pub(super) fn digest(text: &[u8]) -> Self {
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(digest(&SHA256, text).as_ref()) {
            *to = *from;
        }
        Self(id)
    }
}

//! Real keys, real signatures, a real key endpoint.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cache;
mod claims;
mod forgeries;
mod key_set;
mod layer;
mod properties;
mod support;

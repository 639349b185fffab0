//! The JSON API: one file for each group of endpoints, with its request and response types.

pub(super) mod accounts;
pub(super) mod audit;
pub(super) mod clients;
pub(super) mod pat;

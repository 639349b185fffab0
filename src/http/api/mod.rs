//! The JSON API: one module per group of endpoints, in the order of their paths. A handler stands beside its request and
//! response types; a group with many has one file per operation.

pub(super) mod accounts;
pub(super) mod audit;
pub(super) mod clients;
pub(super) mod pat;

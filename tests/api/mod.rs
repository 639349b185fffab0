//! The HTTP API, path by path.

mod clients;

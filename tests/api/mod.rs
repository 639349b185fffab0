//! The HTTP API, path by path.

mod clients;
mod documents;
mod matrix;
mod pat;

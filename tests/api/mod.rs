//! The HTTP API, path by path.

mod clients;
mod matrix;
mod pat;

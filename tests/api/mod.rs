//! The HTTP API, path by path.

mod callers;
mod clients;
mod documents;
mod matrix;
mod pat;
mod requests;

//! The HTTP API, path by path.

mod audit;
mod callers;
mod clients;
mod documents;
mod matrix;
mod metrics;
mod pat;
mod rates;
mod requests;

//! The HTTP API, path by path.

mod audit;
mod bodies;
mod browser;
mod callers;
mod clients;
mod documents;
mod health;
mod matrix;
mod metrics;
mod pat;
mod rates;
mod requests;

//! Hallpass: personal access tokens and self-service API clients beside a Keycloak realm.

pub mod access;
pub mod app;
pub mod audit;
pub mod audit_log;
pub mod bootstrap;
pub mod claim;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod credential;
pub mod decide;
pub mod doctor;
pub mod error;
pub mod fields;
pub mod http;
pub mod id;
pub mod keycloak;
pub mod keys;
pub mod lifecycle;
pub mod names;
pub mod network;
pub mod owner;
pub mod page;
pub mod principal;
pub mod role_name;
pub mod seal;
pub mod serve;
mod spelling;
pub mod store;
pub mod telemetry;
pub mod throttle;
pub mod token;

pub use hallpass_verify as verify;

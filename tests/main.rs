//! Integration tests, against a real Keycloak and real databases: run by `make test`.
//!
//! `dev/with-services` starts the services and exports their URLs. Tests share these URLs and nothing that
//! lives in a runtime. The folders mirror the paths of the API.

#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub)]

#[allow(dead_code, unused_imports)]
mod support;

mod api;
mod architecture;
mod bootstrap;
mod canary;
mod clients;
mod command_line;
mod doctor;
mod documents;
mod faults;
mod forward_auth;
mod gateways;
mod inbound;
mod keycloak_facts;
mod lifecycle;
mod oauth2;
mod realms;
mod smoke;
mod store;
mod validation;
mod validators;
mod verify_layer;

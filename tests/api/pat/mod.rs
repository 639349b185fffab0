//! `/api/pat/v1`.

mod claims;
mod create;
mod family;
mod limits;
mod list;
mod narrowing;
mod networks;
mod operator;
mod revoke;
mod rotate;
mod uses;

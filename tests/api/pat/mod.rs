//! `/api/pat/v1`.

mod claims;
mod create;
mod limits;
mod list;
mod narrowing;
mod networks;
mod operator;
mod revoke;

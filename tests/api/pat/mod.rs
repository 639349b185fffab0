//! `/api/pat/v1`.

mod create;
mod limits;
mod list;
mod revoke;

//! `/api/pat/v1`.

mod create;

//! `/api/clients/v1`.

mod main_way;

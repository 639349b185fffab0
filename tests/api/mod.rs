//! The HTTP API, path by path.

mod matrix;

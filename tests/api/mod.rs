//! The HTTP API, path by path.

//! Imports point down, and no file outgrows its room.

//! Pages of lists: where they begin, how long they are, how many things there are in all.

use serde::Serialize;
use utoipa::ToSchema;

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// How many things to skip.
    pub offset: u32,
    /// How many to answer at most: 1 to [`PageRequest::MAX_LIMIT`].
    pub limit: u32,
}

impl PageRequest {
    /// The limit where none is asked for.
    pub const DEFAULT_LIMIT: u32 = 10;
    /// The largest limit.
    pub const MAX_LIMIT: u32 = 100;
}

/// Upwards or downwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Smallest, first or oldest first.
    Ascending,
    /// Largest, last or newest first.
    Descending,
}

impl Direction {
    /// The word in SQL.
    #[must_use]
    pub const fn sql(self) -> &'static str {
        match self {
            Self::Ascending => "ASC",
            Self::Descending => "DESC",
        }
    }

    /// The other one.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::Ascending => Self::Descending,
            Self::Descending => Self::Ascending,
        }
    }
}

/// One page, with the number of things in the whole list.
#[derive(Debug)]
pub struct Page<T> {
    /// The things on this page, in order.
    pub items: Vec<T>,
    /// How many there are in all.
    pub total: u64,
}

/// The `pagination` member of a list's answer.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Pagination {
    /// How many things were skipped.
    pub offset: u32,
    /// How many were asked for at most.
    pub limit: u32,
    /// How many there are in all.
    pub total: u64,
}

impl Pagination {
    /// What to say about a page that answered `request`.
    #[must_use]
    pub const fn new(request: PageRequest, total: u64) -> Self {
        Self { offset: request.offset, limit: request.limit, total }
    }
}

//! Lists of tokens. Their statements are joined from static fragments, here and nowhere else.
//!
//! A page is found in an index that has all that a search and a status look at; only its own rows are read from the
//! table. The order by status is no index's, since time moves it: it is the lists of the statuses, one after the other.

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Row as _};
use utoipa::ToSchema;

use super::{COLUMNS, TokenRecord, TokenStatus, status, token_record};
use crate::clock::Timestamp;
use crate::id::UserId;
use crate::page::{Direction, Page, PageRequest};
use crate::store::{Dialect, Store, StoreError, within};

/// By what a list of tokens is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "camelCase")]
pub enum TokenSort {
    /// The token's name.
    Name,
    /// The owner's name at login.
    Username,
    /// When it was made.
    CreatedAt,
    /// When it ends.
    ExpiresAt,
    /// When it was last used; never used comes before all.
    LastUsedAt,
    /// The status, by its word.
    Status,
}

impl TokenSort {
    const fn expression(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Username => "username",
            Self::CreatedAt => "created_at",
            Self::ExpiresAt => "expires_at",
            Self::LastUsedAt => "last_used_at",
            // Within one status.
            Self::Status => "pat_id",
        }
    }
}

/// Which tokens are wanted, and in which order.
#[derive(Clone, Debug)]
pub struct TokenFilter {
    /// Part of the token's name, in any case; empty: all.
    pub search: String,
    /// Or of its owner's name at login: of no help where all have one owner.
    pub search_usernames: bool,
    /// Only those of this status.
    pub status: Option<TokenStatus>,
    /// The order; ties by id.
    pub sort: TokenSort,
    /// Upwards or downwards.
    pub direction: Direction,
    /// Which part of it.
    pub page: PageRequest,
}

impl TokenFilter {
    /// All tokens, newest first.
    #[must_use]
    pub const fn newest(page: PageRequest) -> Self {
        Self {
            search: String::new(),
            search_usernames: true,
            status: None,
            sort: TokenSort::CreatedAt,
            direction: Direction::Descending,
            page,
        }
    }
}

/// One list: whose, which of them, at which moment.
#[derive(Clone, Copy)]
struct List<'a> {
    owner: Option<&'a UserId>,
    filter: &'a TokenFilter,
    now: Timestamp,
    dialect: Dialect,
}

enum Value {
    Text(String),
    Number(i64),
}

/// Which part of an order is read, and from which end.
#[derive(Clone, Copy)]
struct Part {
    offset: i64,
    limit: i64,
    direction: Direction,
}

impl Part {
    /// Pages before it are read beside the count; later ones after it.
    const FAR: u32 = 1000;

    fn first(page: PageRequest, direction: Direction) -> Self {
        Self { offset: page.offset.into(), limit: page.limit.into(), direction }
    }

    /// The part from the end that it is nearer to, of an order of `total`: what comes before it is walked over.
    fn nearest(offset: u64, limit: u32, direction: Direction, total: u64) -> Self {
        let rest = total.saturating_sub(offset);
        let limit = rest.min(limit.into());
        let (offset, direction) = if offset > total / 2 {
            (rest - limit, direction.reversed())
        } else {
            (offset, direction)
        };
        Self { offset: offset.cast_signed(), limit: limit.cast_signed(), direction }
    }
}

/// A statement and what is bound to it, in order.
#[derive(Default)]
struct Statement {
    text: String,
    values: Vec<Value>,
}

impl Statement {
    /// Binds a value and answers the placeholder for it.
    fn bind(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    fn query(self, prefix: &str) -> Query<'static, Any, AnyArguments> {
        let text = format!("{prefix}{}", self.text);
        self.values.into_iter().fold(sqlx::query(AssertSqlSafe(text)), |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Number(number) => query.bind(number),
        })
    }
}

impl List<'_> {
    /// `WHERE` and what it asks for; empty for everything.
    fn conditions(self, statement: &mut Statement, status: Option<String>) -> String {
        let mut conditions = Vec::new();
        if let Some(owner) = self.owner {
            let owner = statement.bind(Value::Text(owner.to_string()));
            conditions.push(format!("user_id = {owner}"));
        }
        if !self.filter.search.is_empty() {
            let part = statement.bind(Value::Text(self.filter.search.to_lowercase()));
            let text = if self.filter.search_usernames { "search_text" } else { "name" };
            // Literal by themselves, and on PostgreSQL twice as fast as `LIKE`.
            conditions.push(match self.dialect {
                Dialect::Sqlite => format!("INSTR({text}, {part}) > 0"),
                Dialect::Postgres => format!("POSITION({part} IN {text}) > 0"),
            });
        }
        conditions.extend(status.map(|template| self.condition(statement, &template)));
        if conditions.is_empty() {
            return String::new();
        }
        format!("WHERE {}", conditions.join(" AND "))
    }

    fn condition(self, statement: &mut Statement, template: &str) -> String {
        let now = statement.bind(Value::Number(self.now.millis()));
        let condition = template.replace(":now", &now);
        if !template.contains(":soon") {
            return condition;
        }
        let soon = statement.bind(Value::Number(self.now.plus(status::SOON).millis()));
        condition.replace(":soon", &soon)
    }

    /// The condition, for where the index of the states is wrong: the one of the order ends with the page, and an owner has
    /// few tokens. PostgreSQL knows that by itself; for SQLite the plus keeps the index out.
    fn by_another_index(self, status: TokenStatus) -> String {
        let condition = status::condition(status);
        match self.dialect {
            Dialect::Sqlite => condition.replace("revoked_at", "+revoked_at"),
            Dialect::Postgres => condition.to_owned(),
        }
    }

    fn count(self, status: Option<TokenStatus>) -> Statement {
        let mut statement = Statement::default();
        let status = status.map(|status| match self.owner {
            None => status::condition(status).to_owned(),
            Some(_) => self.by_another_index(status),
        });
        let conditions = self.conditions(&mut statement, status);
        statement.text = format!("SELECT COUNT(*) FROM tokens {conditions}");
        statement
    }

    fn order(self, direction: Direction) -> String {
        let (key, direction) = (self.filter.sort.expression(), direction.sql());
        format!("ORDER BY {key} {direction}, pat_id {direction}")
    }

    fn page(self, status: Option<TokenStatus>, part: Part) -> Statement {
        let mut statement = Statement::default();
        let conditions =
            self.conditions(&mut statement, status.map(|status| self.by_another_index(status)));
        let limit = statement.bind(Value::Number(part.limit));
        let offset = statement.bind(Value::Number(part.offset));
        let walk = self.order(part.direction);
        let found =
            format!("SELECT pat_id FROM tokens {conditions} {walk} LIMIT {limit} OFFSET {offset}");
        let order = self.order(self.filter.direction);
        statement.text = format!("SELECT {COLUMNS} FROM tokens WHERE pat_id IN ({found}) {order}");
        statement
    }
}

impl Store {
    /// A page of the owner's tokens that are wanted; of everybody's where no owner is named.
    pub async fn list_tokens(
        &self,
        owner: Option<&UserId>,
        filter: &TokenFilter,
        now: Timestamp,
    ) -> Result<Page<TokenRecord>, StoreError> {
        let list = List { owner, filter, now, dialect: self.dialect };
        within(async {
            if filter.sort == TokenSort::Status && filter.status.is_none() {
                return self.list_by_status(list).await;
            }
            let TokenFilter { status, direction, page: PageRequest { offset, limit }, .. } =
                *filter;
            let count = self.count(list.count(status));
            let (total, page) = if offset < Part::FAR {
                // Each looks through an index by itself.
                let part = Part::first(filter.page, direction);
                tokio::try_join!(count, self.read(list.page(status, part)))?
            } else {
                let total = count.await?;
                let part = Part::nearest(offset.into(), limit, direction, total);
                (total, self.read(list.page(status, part)).await?)
            };
            let items = page.iter().map(token_record).collect::<Result<_, _>>()?;
            Ok(Page { items, total })
        })
        .await
    }

    /// How many tokens of this status there are at `now`.
    pub async fn count_tokens(
        &self,
        status: TokenStatus,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let filter = &TokenFilter::newest(PageRequest { offset: 0, limit: 1 });
        let list = List { owner: None, filter, now, dialect: self.dialect };
        within(self.count(list.count(Some(status)))).await
    }

    async fn list_by_status(&self, list: List<'_>) -> Result<Page<TokenRecord>, StoreError> {
        // In the order of `TokenStatus::ALL`.
        let [active, expired, soon, revoked, suspended] =
            TokenStatus::ALL.map(|status| self.count(list.count(Some(status))));
        let counts = tokio::try_join!(active, expired, soon, revoked, suspended)?;
        let mut parts: [u64; 5] = counts.into();
        let total = parts.iter().sum();
        let (mut statuses, direction) = (TokenStatus::ALL, list.filter.direction);
        if direction == Direction::Descending {
            statuses.reverse();
            parts.reverse();
        }
        let PageRequest { offset, limit } = list.filter.page;
        // How many of the page are before the next status, and what is found.
        let (mut offset, mut items) = (u64::from(offset), Vec::new());
        for (status, count) in statuses.into_iter().zip(parts) {
            let found = u32::try_from(items.len()).unwrap_or(limit);
            if offset < count && found < limit {
                let part = Part::nearest(offset, limit - found, direction, count);
                for row in self.read(list.page(Some(status), part)).await? {
                    items.push(token_record(&row)?);
                }
            }
            offset = offset.saturating_sub(count);
        }
        Ok(Page { items, total })
    }

    /// How the database would answer [`Self::list_tokens`]: the plans of its statements, a line each.
    pub async fn explain_list_tokens(
        &self,
        owner: Option<&UserId>,
        filter: &TokenFilter,
        now: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        let list = List { owner, filter, now, dialect: self.dialect };
        let (prefix, column) = match self.dialect {
            Dialect::Sqlite => ("EXPLAIN QUERY PLAN ", 3),
            Dialect::Postgres => ("EXPLAIN ", 0),
        };
        let by_status = filter.sort == TokenSort::Status;
        let status = filter.status.or(by_status.then_some(TokenStatus::Active));
        let mut lines = Vec::new();
        let part = Part::first(filter.page, filter.direction);
        for statement in [list.count(status), list.page(status, part)] {
            for row in statement.query(prefix).fetch_all(&self.pool).await? {
                lines.push(row.try_get::<String, _>(column)?);
            }
        }
        Ok(lines)
    }

    async fn count(&self, statement: Statement) -> Result<u64, StoreError> {
        let rows = self.read(statement).await?;
        let count = rows.first().map_or(Ok(0), |row| row.try_get::<i64, _>(0))?;
        Ok(count.unsigned_abs())
    }

    async fn read(&self, statement: Statement) -> Result<Vec<AnyRow>, StoreError> {
        Ok(statement.query("").fetch_all(&self.pool).await?)
    }
}

//! Lists of tokens. Their statements are joined from static fragments, here and nowhere else.
//!
//! A page is found in an index that has all that a search and a status look at; only its own rows are read from the
//! table. The order by status is no index's, since time moves it: it is the lists of the statuses, one after the other.

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Row as _};

use super::{COLUMNS, TokenRecord, TokenStatus, status, token_record};
use crate::clock::Timestamp;
use crate::id::UserId;
use crate::page::{Direction, Page, PageRequest};
use crate::store::{Dialect, Store, StoreError, search_pattern, within};

/// By what a list of tokens is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
            Self::LastUsedAt => "COALESCE(last_used_at, 0)",
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
}

enum Value {
    Text(String),
    Number(i64),
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
    fn conditions(self, statement: &mut Statement, status: Option<TokenStatus>) -> String {
        let mut conditions = Vec::new();
        if let Some(owner) = self.owner {
            let owner = statement.bind(Value::Text(owner.to_string()));
            conditions.push(format!("user_id = {owner}"));
        }
        if !self.filter.search.is_empty() {
            let pattern = statement.bind(Value::Text(search_pattern(&self.filter.search)));
            let text = if self.filter.search_usernames { "search_text" } else { "name" };
            conditions.push(format!("{text} LIKE {pattern} ESCAPE '\\'"));
        }
        conditions.extend(status.map(|status| self.condition(statement, status)));
        if conditions.is_empty() {
            return String::new();
        }
        format!("WHERE {}", conditions.join(" AND "))
    }

    fn condition(self, statement: &mut Statement, status: TokenStatus) -> String {
        let template = status::condition(status);
        let now = statement.bind(Value::Number(self.now.millis()));
        let condition = template.replace(":now", &now);
        if !template.contains(":soon") {
            return condition;
        }
        let soon = statement.bind(Value::Number(self.now.plus(status::SOON).millis()));
        condition.replace(":soon", &soon)
    }

    fn count(self, status: Option<TokenStatus>) -> Statement {
        let mut statement = Statement::default();
        let conditions = self.conditions(&mut statement, status);
        statement.text = format!("SELECT COUNT(*) FROM tokens {conditions}");
        statement
    }

    /// How many there are of each status, in the order of [`TokenStatus::ALL`].
    fn count_each(self) -> Statement {
        let mut statement = Statement::default();
        let counts: Vec<_> = TokenStatus::ALL
            .iter()
            .map(|status| self.condition(&mut statement, *status))
            .map(|condition| format!("COUNT(CASE WHEN {condition} THEN 1 END)"))
            .collect();
        let conditions = self.conditions(&mut statement, None);
        statement.text = format!("SELECT {} FROM tokens {conditions}", counts.join(", "));
        statement
    }

    fn page(self, status: Option<TokenStatus>, page: PageRequest) -> Statement {
        let mut statement = Statement::default();
        let conditions = self.conditions(&mut statement, status);
        let limit = statement.bind(Value::Number(page.limit.into()));
        let offset = statement.bind(Value::Number(page.offset.into()));
        let direction = self.filter.direction.sql();
        let key = self.filter.sort.expression();
        let order = format!("ORDER BY {key} {direction}, pat_id {direction}");
        let found =
            format!("SELECT pat_id FROM tokens {conditions} {order} LIMIT {limit} OFFSET {offset}");
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
        let list = List { owner, filter, now };
        within(async {
            if filter.sort == TokenSort::Status && filter.status.is_none() {
                return self.list_by_status(list).await;
            }
            let count = self.read(list.count(filter.status));
            let page = self.read(list.page(filter.status, filter.page));
            // Each looks through an index by itself.
            let (count, page) = tokio::try_join!(count, page)?;
            let total = count.first().map_or(Ok(0), |row| row.try_get::<i64, _>(0))?;
            let items = page.iter().map(token_record).collect::<Result<_, _>>()?;
            Ok(Page { items, total: total.unsigned_abs() })
        })
        .await
    }

    async fn list_by_status(&self, list: List<'_>) -> Result<Page<TokenRecord>, StoreError> {
        let row = self.read(list.count_each()).await?;
        let row = row.first().ok_or(sqlx::Error::RowNotFound)?;
        let mut counts = Vec::new();
        for (index, status) in TokenStatus::ALL.into_iter().enumerate() {
            counts.push((status, row.try_get::<i64, _>(index)?.unsigned_abs()));
        }
        let total = counts.iter().map(|(_, count)| count).sum();
        if list.filter.direction == Direction::Descending {
            counts.reverse();
        }
        let PageRequest { offset, limit } = list.filter.page;
        let (mut offset, mut items) = (u64::from(offset), Vec::new());
        for (status, count) in counts {
            let found = u32::try_from(items.len()).unwrap_or(limit);
            let part = u32::try_from(offset)
                .ok()
                .filter(|_| offset < count && found < limit)
                .map(|offset| PageRequest { offset, limit: limit - found });
            offset = offset.saturating_sub(count);
            if let Some(part) = part {
                for row in self.read(list.page(Some(status), part)).await? {
                    items.push(token_record(&row)?);
                }
            }
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
        let list = List { owner, filter, now };
        let (prefix, column) = match self.dialect {
            Dialect::Sqlite => ("EXPLAIN QUERY PLAN ", 3),
            Dialect::Postgres => ("EXPLAIN ", 0),
        };
        let by_status = filter.sort == TokenSort::Status && filter.status.is_none();
        let (count, status) = if by_status {
            (list.count_each(), Some(TokenStatus::Active))
        } else {
            (list.count(filter.status), filter.status)
        };
        let mut lines = Vec::new();
        for statement in [count, list.page(status, filter.page)] {
            for row in statement.query(prefix).fetch_all(&self.pool).await? {
                lines.push(row.try_get::<String, _>(column)?);
            }
        }
        Ok(lines)
    }

    async fn read(&self, statement: Statement) -> Result<Vec<AnyRow>, StoreError> {
        Ok(statement.query("").fetch_all(&self.pool).await?)
    }
}

//! A move of everything to another database.
//!
//! 1. Both stores are marked first: neither is opened by anything else until the move has ended. So what is copied does not
//!    change, and nobody works with half of it.
//! 2. Tables are copied row by row, as they are. A row that is there is written again: an interrupted copy is repeated.
//! 3. The rows of each table are counted on both sides. Then the target's mark goes; the source keeps its own, so that no
//!    two services ever work with what was one store.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};

use super::{Dialect, Store, StoreError, placeholders, rows_of_placeholders, within};

/// How many rows are read and written at a time.
const BATCH: usize = 250;

/// In the source: where its rows went, or are going.
const MOVED_TO: &str = "moved_to";
/// In the target: where its rows come from, until all are there.
const COPIED_FROM: &str = "copied_from";

/// What a copied table had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedTable {
    /// The table.
    pub name: String,
    /// Its rows.
    pub rows: u64,
}

/// Why not everything was copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// One of the two stores failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The target holds something that this copy did not bring there.
    #[error("the target is in use already: it has {0}")]
    TargetInUse(String),
    /// The source goes somewhere else.
    #[error("this store is being moved to {0}, or was: finish that, or end it with --abandon")]
    OtherTarget(String),
    /// The two programs, or their tables, are not of the same version.
    #[error("the table {0} is not the same in both stores")]
    OtherTables(String),
    /// Something wrote into one of them meanwhile.
    #[error("{table} has {source_rows} rows, and its copy {target_rows}")]
    OtherCount {
        /// The table.
        table: String,
        /// How many there are.
        source_rows: u64,
        /// How many arrived.
        target_rows: u64,
    },
}

impl From<sqlx::Error> for CopyError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    BigInt,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Column {
    name: String,
    kind: Kind,
    in_key: bool,
}

impl Store {
    /// Copies all rows to `target`, whose tables are up to date. `from` and `to` name the two for people. An interrupted
    /// copy is repeated by the same call. `progress` hears of each batch: the table, and how many of its rows are copied.
    pub async fn copy_to(
        &self,
        target: &Self,
        (from, to): (&str, &str),
        progress: &mut (dyn FnMut(&str, u64) + Send),
    ) -> Result<Vec<CopiedTable>, CopyError> {
        let tables = self.list_tables().await?;
        target.reserve_for_copy(&tables, from).await?;
        match self.find_fact(MOVED_TO).await? {
            Some(other) if other != to => return Err(CopyError::OtherTarget(other)),
            _ => self.put_fact(MOVED_TO, to).await?,
        }
        for table in &tables {
            let columns = self.columns(table).await?;
            if columns.is_empty() || sorted(&columns) != sorted(&target.columns(table).await?) {
                return Err(CopyError::OtherTables(table.clone()));
            }
            self.copy_table(target, table, &columns, progress).await?;
        }
        let mut copied = Vec::new();
        for name in tables {
            let (source_rows, target_rows) =
                (self.count_rows(&name).await?, target.count_rows(&name).await?);
            if source_rows != target_rows {
                return Err(CopyError::OtherCount { table: name, source_rows, target_rows });
            }
            copied.push(CopiedTable { name, rows: source_rows });
        }
        target.remove_fact(COPIED_FROM).await?;
        Ok(copied)
    }

    /// Lets this store be used again, though its rows went to another, or were going there. Answers where.
    pub async fn abandon_copy(&self) -> Result<Option<String>, StoreError> {
        let to = self.find_fact(MOVED_TO).await?;
        self.remove_fact(MOVED_TO).await?;
        Ok(to)
    }

    /// Refuses a store whose rows went elsewhere, or did not all arrive.
    pub async fn check_place(&self) -> Result<(), StoreError> {
        if let Some(to) = self.find_fact(MOVED_TO).await? {
            return Err(StoreError::Moved { to });
        }
        match self.find_fact(COPIED_FROM).await? {
            Some(from) => Err(StoreError::HalfCopied { from }),
            None => Ok(()),
        }
    }

    /// Marks an empty target, or goes on with one that this source marked before.
    async fn reserve_for_copy(&self, tables: &[String], from: &str) -> Result<(), CopyError> {
        match self.find_fact(COPIED_FROM).await? {
            Some(known) if known == from => return Ok(()),
            Some(other) => {
                return Err(CopyError::TargetInUse(format!("a part of the store {other}")));
            }
            None => {}
        }
        // The migrations put one row each into these.
        let begun = ["change_counter", "follower"];
        for table in tables.iter().filter(|table| !begun.contains(&table.as_str())) {
            let rows = self.count_rows(table).await?;
            if rows > 0 {
                return Err(CopyError::TargetInUse(format!("{rows} rows in {table}")));
            }
        }
        Ok(self.put_fact(COPIED_FROM, from).await?)
    }

    async fn copy_table(
        &self,
        target: &Self,
        table: &str,
        columns: &[Column],
        progress: &mut (dyn FnMut(&str, u64) + Send),
    ) -> Result<(), CopyError> {
        let names = |of: &dyn Fn(&&Column) -> bool| -> Vec<&str> {
            columns.iter().filter(of).map(|column| column.name.as_str()).collect()
        };
        let (all, key) = (names(&|_| true).join(", "), names(&|column| column.in_key).join(", "));
        let updates: Vec<_> = names(&|column| !column.in_key)
            .iter()
            .map(|name| format!("{name} = excluded.{name}"))
            .collect();
        let on_conflict = if updates.is_empty() {
            "DO NOTHING".to_owned()
        } else {
            format!("DO UPDATE SET {}", updates.join(", "))
        };
        let in_key: Vec<_> = columns.iter().filter(|column| column.in_key).cloned().collect();
        let own = own_rows(table);
        let after = format!("AND ({key}) > ({})", placeholders(1, in_key.len()));
        let mut last: Option<AnyRow> = None;
        let mut copied = 0;
        loop {
            let after = if last.is_some() { after.as_str() } else { "" };
            let select = format!(
                "SELECT {key}, {all} FROM {table} WHERE {own} {after} ORDER BY {key} LIMIT {BATCH}"
            );
            let rows = within(async {
                let mut query = sqlx::query(AssertSqlSafe(select));
                if let Some(last) = &last {
                    query = bind(query, last, 0, &in_key)?;
                }
                Ok(query.fetch_all(&self.pool).await?)
            })
            .await?;
            if rows.is_empty() {
                return Ok(());
            }
            let values = rows_of_placeholders(rows.len(), columns.len());
            let insert = format!(
                "INSERT INTO {table} ({all}) VALUES {values} ON CONFLICT ({key}) {on_conflict}"
            );
            within(async {
                let mut query = sqlx::query(AssertSqlSafe(insert)).persistent(false);
                for row in &rows {
                    query = bind(query, row, in_key.len(), columns)?;
                }
                query.execute(&target.pool).await?;
                Ok(())
            })
            .await?;
            copied += rows.len() as u64;
            last = rows.into_iter().next_back();
            progress(table, copied);
        }
    }

    /// Our tables, without what the migrations keep of themselves.
    async fn list_tables(&self) -> Result<Vec<String>, StoreError> {
        let sql = match self.dialect {
            Dialect::Sqlite => {
                "SELECT name FROM sqlite_master WHERE type = 'table' \
                 AND name NOT LIKE 'sqlite%' AND name NOT LIKE '_sqlx%' ORDER BY name"
            }
            Dialect::Postgres => {
                "SELECT table_name::text FROM information_schema.tables \
                 WHERE table_schema = current_schema() AND table_name NOT LIKE '_sqlx%' ORDER BY 1"
            }
        };
        within(async { Ok(sqlx::query_scalar(sql).fetch_all(&self.pool).await?) }).await
    }

    async fn columns(&self, table: &str) -> Result<Vec<Column>, StoreError> {
        let sql = match self.dialect {
            Dialect::Sqlite => "SELECT name, lower(type), pk FROM pragma_table_info($1)",
            Dialect::Postgres => {
                "SELECT column_name::text, data_type::text, (SELECT COUNT(*) \
                 FROM information_schema.key_column_usage AS used \
                 JOIN information_schema.table_constraints AS key USING (constraint_schema, constraint_name) \
                 WHERE key.constraint_type = 'PRIMARY KEY' AND used.table_schema = current_schema() \
                 AND used.table_name = listed.table_name AND used.column_name = listed.column_name) \
                 FROM information_schema.columns AS listed \
                 WHERE table_schema = current_schema() AND table_name = $1"
            }
        };
        within(async {
            let rows = sqlx::query(sql).bind(table).fetch_all(&self.pool).await?;
            rows.iter().map(column).collect()
        })
        .await
    }

    async fn count_rows(&self, table: &str) -> Result<u64, StoreError> {
        let sql = format!("SELECT COUNT(*) FROM {table} WHERE {}", own_rows(table));
        let count: i64 = within(async {
            Ok(sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&self.pool).await?)
        })
        .await?;
        Ok(count.unsigned_abs())
    }
}

/// Which rows of a table are copied: the marks are facts of one side only.
fn own_rows(table: &str) -> &'static str {
    // The two names, as above.
    if table == "facts" { "name NOT IN ('moved_to', 'copied_from')" } else { "1 = 1" }
}

fn column(row: &AnyRow) -> Result<Column, StoreError> {
    let kind = match row.try_get::<&str, _>(1)? {
        "text" => Kind::Text,
        "bigint" => Kind::BigInt,
        _ => return Err(StoreError::Corrupt("column type")),
    };
    Ok(Column { name: row.try_get(0)?, kind, in_key: row.try_get::<i64, _>(2)? > 0 })
}

fn sorted(columns: &[Column]) -> Vec<&Column> {
    let mut columns: Vec<_> = columns.iter().collect();
    columns.sort_by_key(|column| &column.name);
    columns
}

type Insert<'q> = sqlx::query::Query<'q, sqlx::Any, sqlx::any::AnyArguments>;

/// Binds the values of these columns, which begin at `first` in the row.
fn bind<'q>(
    mut query: Insert<'q>,
    row: &AnyRow,
    first: usize,
    columns: &[Column],
) -> Result<Insert<'q>, StoreError> {
    for (at, column) in (first..).zip(columns) {
        query = match column.kind {
            Kind::Text => query.bind(row.try_get::<Option<String>, _>(at)?),
            Kind::BigInt => query.bind(row.try_get::<Option<i64>, _>(at)?),
        };
    }
    Ok(query)
}

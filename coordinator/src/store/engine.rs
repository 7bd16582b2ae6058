//! Two engines behind one face: typed pools, statements that say the same on both, values, rows.
//!
//! Integers are 64 bits wide, and there are doubles and texts besides: what both engines store alike. Bulk rows travel as one JSON text
//! (integers and texts) or as parameters (doubles, which must arrive to the last bit; see `insertions`).

mod insertions;
mod kept;
mod streaming;

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgPool, PgRow, Postgres};
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqlitePool, SqliteRow};
use sqlx::{Connection as _, Row as _};

pub(super) use self::insertions::Insertion;
pub(super) use self::kept::Kept;

type Decoded<T> = Result<T, sqlx::Error>;

/// A statement, as each engine says it; most say it alike.
#[derive(Debug, Clone, Copy)]
pub(super) struct Statement {
    /// The file's name, for tests.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests name statements"))]
    pub(super) name: &'static str,
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
}

/// A parameter.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Integer(Option<i64>),
    Real(Option<f64>),
    Text(Option<String>),
    /// A column of many rows, on PostgreSQL.
    Integers(Vec<Option<i64>>),
    /// See [`Self::Integers`].
    Reals(Vec<Option<f64>>),
    /// See [`Self::Integers`].
    Texts(Vec<Option<String>>),
}

macro_rules! values {
    ($($from:ty => $variant:ident($convert:expr);)*) => {
        $(
            impl From<$from> for Value {
                fn from(value: $from) -> Self {
                    Self::$variant(Some($convert(value)))
                }
            }

            impl From<Option<$from>> for Value {
                fn from(value: Option<$from>) -> Self {
                    Self::$variant(value.map($convert))
                }
            }
        )*
    };
}

values! {
    i64 => Integer(|value| value);
    u32 => Integer(i64::from);
    i32 => Integer(i64::from);
    bool => Integer(i64::from);
    &str => Text(storable);
    &String => Text(|value: &String| storable(value));
    String => Text(|value: String| storable(&value));
}

impl From<f64> for Value {
    /// What is not finite has no place in a database: a column that must have a value refuses it, alike on both engines.
    fn from(value: f64) -> Self {
        Self::Real(value.is_finite().then_some(value))
    }
}

impl From<Option<f64>> for Value {
    fn from(value: Option<f64>) -> Self {
        value.map_or(Self::Real(None), Self::from)
    }
}

impl Value {
    /// No value, of the same type.
    fn nothing(&self) -> Self {
        match self {
            Self::Integer(_) => Self::Integer(None),
            Self::Real(_) => Self::Real(None),
            Self::Text(_) => Self::Text(None),
            Self::Integers(_) | Self::Reals(_) | Self::Texts(_) => unreachable!("rows have single values"),
        }
    }

    /// An array that values of this type can be pushed to.
    fn empty_array(&self, capacity: usize) -> Self {
        match self {
            Self::Integer(_) | Self::Integers(_) => Self::Integers(Vec::with_capacity(capacity)),
            Self::Real(_) | Self::Reals(_) => Self::Reals(Vec::with_capacity(capacity)),
            Self::Text(_) | Self::Texts(_) => Self::Texts(Vec::with_capacity(capacity)),
        }
    }

    /// PostgreSQL's type of such an array.
    const fn array_type(&self) -> &'static str {
        match self {
            Self::Integer(_) | Self::Integers(_) => "bigint[]",
            Self::Real(_) | Self::Reals(_) => "double precision[]",
            Self::Text(_) | Self::Texts(_) => "text[]",
        }
    }

    /// Appends a value to an array of its type.
    fn push(&mut self, value: Self) {
        match (self, value) {
            (Self::Integers(all), Self::Integer(one)) => all.push(one),
            (Self::Reals(all), Self::Real(one)) => all.push(one),
            (Self::Texts(all), Self::Text(one)) => all.push(one),
            (all, one) => unreachable!("a column has one type: {all:?}, {one:?}"),
        }
    }
}

/// A text without the one character that PostgreSQL cannot store: a trainer may print it, and must not take the batch down with it.
pub(super) fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Parameters of a statement: `args![id, now_us]`.
macro_rules! args {
    ($($value:expr),* $(,)?) => { [$($crate::store::engine::Value::from($value)),*] };
}
pub(super) use args;

/// A row of either engine.
#[derive(Debug)]
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// What a column holds.
pub(super) trait Column: Sized {
    fn read(row: &Row, name: &str) -> Decoded<Self>;
}

macro_rules! columns {
    ($($type:ty),*) => {
        $(impl Column for $type {
            fn read(row: &Row, name: &str) -> Decoded<Self> {
                match row {
                    Row::Sqlite(row) => row.try_get(name),
                    Row::Postgres(row) => row.try_get(name),
                }
            }
        })*
    };
}

columns!(i64, f64, String, Option<i64>, Option<f64>, Option<String>);

macro_rules! narrow_columns {
    ($($type:ty),*) => {
        $(impl Column for $type {
            fn read(row: &Row, name: &str) -> Decoded<Self> {
                let wide = i64::read(row, name)?;
                Self::try_from(wide).map_err(|error| sqlx::Error::ColumnDecode { index: name.to_owned(), source: Box::new(error) })
            }
        })*
    };
}

narrow_columns!(u32, i32, u64, usize);

impl Column for bool {
    fn read(row: &Row, name: &str) -> Decoded<Self> {
        Ok(i64::read(row, name)? != 0)
    }
}

impl Row {
    pub(super) fn get<T: Column>(&self, name: &str) -> Decoded<T> {
        T::read(self, name)
    }
}

/// Connections to a database.
#[derive(Debug, Clone)]
pub(super) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// A transaction. Dropped without a commit, it leaves nothing behind.
#[derive(Debug)]
pub(super) enum Transaction {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
    /// On a connection that is kept afterwards.
    OnKept(kept::Begun),
}

/// Whatever statements can be run on.
pub(super) enum Executor<'a> {
    Sqlite(&'a mut sqlx::SqliteConnection),
    Postgres(&'a mut PgConnection),
}

fn bind_sqlite(statement: &'static str, values: impl IntoIterator<Item = Value>) -> Query<'static, Sqlite, SqliteArguments> {
    values.into_iter().fold(sqlx::query(statement), |query, value| match value {
        Value::Integer(value) => query.bind(value),
        Value::Real(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
        Value::Integers(_) | Value::Reals(_) | Value::Texts(_) => unreachable!("SQLite has no arrays"),
    })
}

fn bind_postgres(statement: &'static str, values: impl IntoIterator<Item = Value>) -> Query<'static, Postgres, PgArguments> {
    values.into_iter().fold(sqlx::query(statement), |query, value| match value {
        Value::Integer(value) => query.bind(value),
        Value::Real(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
        Value::Integers(values) => query.bind(values),
        Value::Reals(values) => query.bind(values),
        Value::Texts(values) => query.bind(values),
    })
}

impl Executor<'_> {
    /// All rows.
    pub(super) async fn all(self, statement: Statement, values: impl IntoIterator<Item = Value>) -> Decoded<Vec<Row>> {
        match self {
            Self::Sqlite(on) => Ok(bind_sqlite(statement.sqlite, values).fetch_all(on).await?.into_iter().map(Row::Sqlite).collect()),
            Self::Postgres(on) => {
                Ok(bind_postgres(statement.postgres, values).fetch_all(on).await?.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// The first row, where there is one.
    pub(super) async fn optional(self, statement: Statement, values: impl IntoIterator<Item = Value>) -> Decoded<Option<Row>> {
        match self {
            Self::Sqlite(on) => Ok(bind_sqlite(statement.sqlite, values).fetch_optional(on).await?.map(Row::Sqlite)),
            Self::Postgres(on) => Ok(bind_postgres(statement.postgres, values).fetch_optional(on).await?.map(Row::Postgres)),
        }
    }

    /// Runs a statement; the number of rows that it changed.
    pub(super) async fn run(self, statement: Statement, values: impl IntoIterator<Item = Value>) -> Decoded<u64> {
        match self {
            Self::Sqlite(on) => Ok(bind_sqlite(statement.sqlite, values).execute(on).await?.rows_affected()),
            Self::Postgres(on) => Ok(bind_postgres(statement.postgres, values).execute(on).await?.rows_affected()),
        }
    }
}

impl Transaction {
    fn executor(&mut self) -> Executor<'_> {
        match self {
            Self::Sqlite(tx) => Executor::Sqlite(tx),
            Self::Postgres(tx) => Executor::Postgres(tx),
            Self::OnKept(tx) => Executor::Postgres(tx.connection()),
        }
    }

    /// All rows.
    pub(super) async fn all(&mut self, statement: Statement, values: impl IntoIterator<Item = Value>) -> Decoded<Vec<Row>> {
        self.executor().all(statement, values).await
    }

    /// The first row, where there is one.
    pub(super) async fn optional(&mut self, statement: Statement, values: impl IntoIterator<Item = Value>) -> Decoded<Option<Row>> {
        self.executor().optional(statement, values).await
    }

    /// The first row.
    pub(super) async fn one(&mut self, statement: Statement, values: impl IntoIterator<Item = Value>) -> Decoded<Row> {
        self.optional(statement, values).await?.ok_or(sqlx::Error::RowNotFound)
    }

    /// Runs a statement; the number of rows that it changed.
    pub(super) async fn run(&mut self, statement: Statement, values: impl IntoIterator<Item = Value>) -> Decoded<u64> {
        self.executor().run(statement, values).await
    }

    /// Inserts rows, as many at a time as go into one statement.
    pub(super) async fn insert(&mut self, statement: Statement, mut rows: Vec<Vec<Value>>) -> Decoded<()> {
        while !rows.is_empty() {
            let rest = rows.split_off(self.rows_most().min(rows.len()));
            let part = vec![(statement, rows)];
            match self.executor() {
                Executor::Sqlite(on) => {
                    let (text, values) = insertions::sqlite(part, None);
                    bind_sqlite(text, values).execute(on).await?;
                }
                Executor::Postgres(on) => {
                    let (text, values) = insertions::postgres(part, None);
                    bind_postgres(text, values).execute(on).await?;
                }
            }
            rows = rest;
        }
        Ok(())
    }

    /// Inserts rows and runs a statement, all with one round trip where the rows are few enough; the rows that the statement answers with. The
    /// insertions are in an order in which each may refer to those before it. On PostgreSQL the statement begins with `WITH`, and may or may not
    /// see what is inserted.
    pub(super) async fn insert_and_run(
        &mut self,
        mut insertions: Vec<Insertion>,
        statement: Statement,
        values: impl IntoIterator<Item = Value>,
    ) -> Decoded<Vec<Row>> {
        insertions.retain(|(_, rows)| !rows.is_empty());
        if insertions.iter().any(|(_, rows)| rows.len() > self.rows_most()) {
            for (insertion, rows) in insertions.drain(..) {
                self.insert(insertion, rows).await?;
            }
        }
        let then = Some((statement, values.into_iter().collect()));
        match self.executor() {
            Executor::Sqlite(on) => {
                let (text, values) = insertions::sqlite(insertions, then);
                Ok(bind_sqlite(text, values).fetch_all(on).await?.into_iter().map(Row::Sqlite).collect())
            }
            Executor::Postgres(on) => {
                let (text, values) = insertions::postgres(insertions, then);
                Ok(bind_postgres(text, values).fetch_all(on).await?.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    const fn rows_most(&self) -> usize {
        match self {
            Self::Sqlite(_) => insertions::SQLITE_ROWS_MOST,
            Self::Postgres(_) | Self::OnKept(_) => insertions::POSTGRES_ROWS_MOST,
        }
    }

    /// Whether nobody else can write to the database until its end.
    pub(super) const fn has_one_writer(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    /// Runs a statement that only PostgreSQL needs: SQLite has one writer anyway.
    pub(super) async fn run_on_postgres(&mut self, statement: &'static str, values: impl IntoIterator<Item = Value>) -> Decoded<()> {
        match self.executor() {
            Executor::Sqlite(_) => Ok(()),
            Executor::Postgres(on) => bind_postgres(statement, values).execute(on).await.map(|_| ()),
        }
    }

    pub(super) async fn rollback(self) -> Decoded<()> {
        match self {
            Self::Sqlite(tx) => tx.rollback().await,
            Self::Postgres(tx) => tx.rollback().await,
            Self::OnKept(tx) => tx.rollback().await,
        }
    }

    pub(super) async fn commit(self) -> Decoded<()> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx) => tx.commit().await,
            Self::OnKept(tx) => tx.commit().await,
        }
    }
}

/// A connection that reads: outside a transaction, each statement sees what is committed then.
enum Lent {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

impl Lent {
    fn executor(&mut self) -> Executor<'_> {
        match self {
            Self::Sqlite(connection) => Executor::Sqlite(connection),
            Self::Postgres(connection) => Executor::Postgres(connection),
        }
    }
}

/// How long a server may take to let somebody in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connects once. A pool tries again for as long as it may, and then says that it waited, not why it was refused.
pub(super) async fn try_connecting(options: &PgConnectOptions) -> Decoded<()> {
    match tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(options)).await {
        Ok(connected) => connected?.close().await,
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}

/// A connection or a transaction of a pool, or why there is none: a pool that nobody gives back to, or a server that lets nobody in.
async fn explained<T>(pool: &PgPool, acquired: Decoded<T>) -> Decoded<T> {
    match acquired {
        Err(sqlx::Error::PoolTimedOut) => {
            try_connecting(&pool.connect_options()).await?;
            Err(sqlx::Error::PoolTimedOut)
        }
        acquired => acquired,
    }
}

impl Pool {
    async fn lend(&self) -> Decoded<Lent> {
        Ok(match self {
            Self::Sqlite(pool) => Lent::Sqlite(pool.acquire().await?),
            Self::Postgres(pool) => Lent::Postgres(explained(pool, pool.acquire().await).await?),
        })
    }

    /// All rows.
    pub(super) async fn all(&self, statement: Statement, values: impl IntoIterator<Item = Value>) -> Decoded<Vec<Row>> {
        self.lend().await?.executor().all(statement, values).await
    }

    /// The first row, where there is one.
    pub(super) async fn optional(&self, statement: Statement, values: impl IntoIterator<Item = Value>) -> Decoded<Option<Row>> {
        self.lend().await?.executor().optional(statement, values).await
    }

    /// The first row.
    pub(super) async fn one(&self, statement: Statement, values: impl IntoIterator<Item = Value>) -> Decoded<Row> {
        self.optional(statement, values).await?.ok_or(sqlx::Error::RowNotFound)
    }

    /// Begins a transaction that reads one state of the database throughout.
    pub(super) async fn begin_reading(&self) -> Decoded<Transaction> {
        Ok(match self {
            Self::Sqlite(pool) => Transaction::Sqlite(pool.begin().await?),
            Self::Postgres(pool) => {
                let begun = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await;
                Transaction::Postgres(explained(pool, begun).await?)
            }
        })
    }

    /// Begins a transaction that writes. SQLite's takes the write lock at once: one that only later turns into a write can be refused without
    /// waiting.
    pub(super) async fn begin_writing(&self) -> Decoded<Transaction> {
        Ok(match self {
            Self::Sqlite(pool) => Transaction::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?),
            Self::Postgres(pool) => Transaction::Postgres(explained(pool, pool.begin().await).await?),
        })
    }

    /// Closes the connections; waits for what is running on them.
    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

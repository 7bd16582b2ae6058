//! Connections of their own for statements whose rows are taken one by one, for as long as that takes.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection as _, Row as _};
use tokio_stream::{Stream, StreamExt};

use super::{Decoded, Pool, Row};

/// How long a statement may take on a server, all its rows included: a pause of whoever takes them counts.
const STREAM_TIMEOUT: Duration = Duration::from_hours(1);
/// How often a server looks whether anybody still listens while it sorts. Servers before 14 do not.
const CLIENT_CHECK: &str =
    "SELECT set_config(name, '1000', false) FROM pg_catalog.pg_settings WHERE name = 'client_connection_check_interval'";
/// Steps of SQLite's machine between two looks at whether to stop: some milliseconds.
const STEPS_BETWEEN_LOOKS: i32 = 100_000;

/// A connection that nobody else uses.
pub(in crate::store) enum Alone {
    Sqlite(Box<SqliteConnection>),
    Postgres(Box<PgConnection>),
}

impl Pool {
    /// Connects once more. What runs on the connection on SQLite ends when `stop` says so; on a server, when the connection is dropped.
    pub(in crate::store) async fn connect_alone(&self, stop: Arc<AtomicBool>) -> Decoded<Alone> {
        match self {
            Self::Sqlite(pool) => {
                let mut connection = SqliteConnection::connect_with(&pool.connect_options()).await?;
                connection.lock_handle().await?.set_progress_handler(STEPS_BETWEEN_LOOKS, move || !stop.load(Ordering::Relaxed));
                Ok(Alone::Sqlite(Box::new(connection)))
            }
            Self::Postgres(pool) => {
                let timeout = STREAM_TIMEOUT.as_millis().to_string();
                let options = pool.connect_options().as_ref().clone().options([("statement_timeout", timeout)]);
                let connected = tokio::time::timeout(super::CONNECT_TIMEOUT, PgConnection::connect_with(&options)).await;
                let mut connection = connected.map_err(|_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))??;
                sqlx::query(CLIENT_CHECK).execute(&mut connection).await?;
                Ok(Alone::Postgres(Box::new(connection)))
            }
        }
    }

    /// Waits until the pool is closed.
    pub(in crate::store) fn closed(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        match self {
            Self::Sqlite(pool) => Box::pin(pool.close_event()),
            Self::Postgres(pool) => Box::pin(pool.close_event()),
        }
    }
}

impl Alone {
    /// Runs a statement, whose rows come as they are taken.
    pub(in crate::store) fn stream(&mut self, statement: String) -> Pin<Box<dyn Stream<Item = Decoded<Row>> + Send + '_>> {
        let query = AssertSqlSafe(statement);
        match self {
            Self::Sqlite(connection) => Box::pin(sqlx::query(query).fetch(&mut **connection).map(|row| row.map(Row::Sqlite))),
            Self::Postgres(connection) => Box::pin(sqlx::query(query).fetch(&mut **connection).map(|row| row.map(Row::Postgres))),
        }
    }

    /// Says good-bye. On a server rows that nobody took may be on their way: the connection is cut instead.
    pub(in crate::store) async fn close(self) -> Decoded<()> {
        match self {
            Self::Sqlite(connection) => connection.close().await,
            Self::Postgres(connection) => connection.close_hard().await,
        }
    }
}

/// What a column holds, by its place.
pub(in crate::store) trait Placed: Sized {
    fn read(row: &Row, place: usize) -> Decoded<Self>;
}

macro_rules! placed {
    ($($type:ty),*) => {
        $(impl Placed for $type {
            fn read(row: &Row, place: usize) -> Decoded<Self> {
                match row {
                    Row::Sqlite(row) => row.try_get(place),
                    Row::Postgres(row) => row.try_get(place),
                }
            }
        })*
    };
}

placed!(Option<i64>, Option<f64>, Option<String>);

impl Row {
    /// The value of the column in this place of the answer.
    pub(in crate::store) fn at<T: Placed>(&self, place: usize) -> Decoded<T> {
        T::read(self, place)
    }
}

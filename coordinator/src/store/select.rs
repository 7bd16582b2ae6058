//! Rows of any view, as a stream: filtered, sorted, and in memory that does not grow with them.
//!
//! Sorting and the choice of a sweep are the engine's, with statements made of nothing but names that the domain knows and numbers. Filters are
//! evaluated here, so that they mean the same on both engines. A reader holds up nobody, however slow it is: it has a connection of its own,
//! and neither engine has readers lock out writers.

pub(crate) mod page;
mod parse;
mod rows;
pub(super) mod statement;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use offramp_domain::filter::Filter;
use offramp_domain::table::{Batch, Sort, View};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};

use super::engine::{Pool, Row};
use super::error::DatabaseError;
use super::read::Reader;
pub use parse::QueryError;
use rows::Gathering;

/// Batches that wait to be taken: one is taken while the next one is read.
const BATCHES_AHEAD: usize = 1;

/// Which rows of a view are wanted, what of them, and in which order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    /// Those of one sweep, by id. Of a view whose rows belong to no sweep this is ignored.
    pub sweep: Option<i64>,
    /// Those that it takes; on the same view.
    pub filter: Option<Filter>,
    /// The column that decides first comes first. What is equal in all of them, and everything where there is none, stands in the sweep's
    /// order, and then in that of the view's key.
    pub sort: Vec<Sort>,
    /// Numbers of the columns, in the order in which they are wanted.
    pub columns: Vec<usize>,
    /// At most this many rows, of those that the filter takes.
    pub limit: Option<u64>,
    /// Pass this many over, of those that the filter takes.
    pub offset: u64,
}

impl Query {
    /// All columns of all rows.
    pub fn all(view: &View) -> Self {
        Self { columns: (0..view.columns.len()).collect(), ..Self::default() }
    }
}

impl Reader {
    /// Rows of a view, in batches, as they were at one moment. There is always a first batch, if an empty one. Dropping the stream ends the
    /// statement.
    ///
    /// # Errors
    /// The last item may be an error: one of the database.
    pub fn select(&self, view: &'static View, query: Query) -> impl Stream<Item = Result<Batch, DatabaseError>> + Send + Unpin + 'static {
        let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
        let pool = self.pool().clone();
        tokio::spawn(async move {
            let dropped = sender.clone();
            let closed = pool.closed();
            let read = read(&pool, view, query, sender.clone());
            let end = tokio::select! {
                // Nobody wants the rest.
                () = dropped.closed() => return,
                () = closed => Err(sqlx::Error::PoolClosed),
                end = read => end,
            };
            if let Err(error) = end {
                // Whoever is not there needs no error.
                let _ = sender.send(Err(error.into())).await;
            }
        });
        ReceiverStream::new(receiver)
    }
}

type Batches = mpsc::Sender<Result<Batch, DatabaseError>>;

/// Reads rows until there are no more, the limit is reached, or nobody takes them.
async fn read(pool: &Pool, view: &'static View, query: Query, batches: Batches) -> Result<(), sqlx::Error> {
    let statement = statement::text(view, &query, matches!(pool, Pool::Postgres(_)));
    let mut gathering = Gathering::new(view, query);
    let stop = Stop::default();
    let mut connection = pool.connect_alone(Arc::clone(&stop.0)).await?;
    let mut rows = connection.stream(statement);
    while let Some(row) = rows.try_next().await? {
        if let Some(batch) = gathering.take(&row)?
            && batches.send(Ok(batch)).await.is_err()
        {
            return Ok(());
        }
        if gathering.is_complete() {
            break;
        }
    }
    drop(rows);
    if let Some(last) = gathering.finish() {
        // As above.
        let _ = batches.send(Ok(last)).await;
    }
    connection.close().await
}

/// Tells SQLite to give up what it is doing, once dropped: its thread does not hear otherwise before the next row.
#[derive(Debug, Default)]
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

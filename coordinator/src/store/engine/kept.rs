//! A connection to PostgreSQL that one transaction after the other is run on.
//!
//! A pool asks a server whether it is there when it lends a connection, and again when it gets it back: two trips more for a transaction of half a
//! dozen. Whoever writes all day keeps the connection instead, and takes one from the pool where it has not been used for a moment. One that has
//! gone in that moment fails its transaction, which is tried again on another.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::Executor as _;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, Postgres};

use super::{Decoded, Pool, Transaction, explained};

/// A connection that was used within this time is taken to be there still, microseconds.
const FRESH_US: i64 = 1_000_000;

/// A place for the connection; empty on SQLite, whose one connection everybody needs.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct Kept {
    slot: Slot,
}

type Slot = Arc<Mutex<Place>>;

#[derive(Debug, Default)]
struct Place {
    resting: Option<Resting>,
    /// Nothing is kept any more.
    closed: bool,
}

#[derive(Debug)]
struct Resting {
    connection: PoolConnection<Postgres>,
    used_us: i64,
}

impl Kept {
    /// Begins a transaction that writes.
    pub(in crate::store) async fn begin(&self, pool: &Pool, now_us: i64) -> Decoded<Transaction> {
        let Pool::Postgres(pool) = pool else { return pool.begin_writing().await };
        let resting = self.take().filter(|resting| (resting.used_us..resting.used_us + FRESH_US).contains(&now_us));
        let connection = match resting {
            Some(resting) => resting.connection,
            None => explained(pool, pool.acquire().await).await?,
        };
        let mut begun = Begun { connection: Some(connection), slot: Arc::clone(&self.slot), now_us };
        begun.connection().execute("BEGIN").await?;
        Ok(Transaction::OnKept(begun))
    }

    /// Gives the connection back to its pool, now or once its transaction is over: a pool that closes waits for it.
    pub(in crate::store) fn close(&self) {
        let mut place = place(&self.slot);
        place.closed = true;
        place.resting = None;
    }

    fn take(&self) -> Option<Resting> {
        place(&self.slot).resting.take()
    }
}

fn place(slot: &Slot) -> MutexGuard<'_, Place> {
    // Each critical section leaves it whole.
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A transaction on such a connection. Dropped before it is over, it takes the connection with it: the server then rolls back.
#[derive(Debug)]
pub(in crate::store) struct Begun {
    connection: Option<PoolConnection<Postgres>>,
    slot: Slot,
    now_us: i64,
}

impl Begun {
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect("it is there until the transaction is over")
    }

    pub(super) async fn commit(mut self) -> Decoded<()> {
        self.connection().execute("COMMIT").await?;
        self.keep();
        Ok(())
    }

    pub(super) async fn rollback(mut self) -> Decoded<()> {
        self.connection().execute("ROLLBACK").await?;
        self.keep();
        Ok(())
    }

    fn keep(&mut self) {
        let resting = self.connection.take().map(|connection| Resting { connection, used_us: self.now_us });
        let mut place = place(&self.slot);
        if !place.closed {
            place.resting = resting;
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(connection) = &mut self.connection {
            connection.close_on_drop();
        }
    }
}

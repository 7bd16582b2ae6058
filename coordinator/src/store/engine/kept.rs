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
    /// Some transaction has the place, and its connection will rest here.
    taken: bool,
    /// Nothing is kept any more.
    closed: bool,
}

/// Another transaction has the place.
struct Taken;

#[derive(Debug)]
struct Resting {
    connection: PoolConnection<Postgres>,
    used_us: i64,
}

impl Kept {
    /// Begins a transaction that writes. While there is one, another has any connection of the pool: all but one circulate there, and whoever waits
    /// for one of them gets it.
    pub(in crate::store) async fn begin(&self, pool: &Pool, now_us: i64) -> Decoded<Transaction> {
        let Pool::Postgres(server) = pool else { return pool.begin_writing().await };
        let Ok(resting) = self.take() else { return pool.begin_writing().await };
        let mut begun = Begun { connection: None, over: false, slot: Arc::clone(&self.slot), now_us };
        let fresh = resting.filter(|resting| (resting.used_us..resting.used_us + FRESH_US).contains(&now_us));
        begun.connection = Some(match fresh {
            Some(resting) => resting.connection,
            None => explained(server, server.acquire().await).await?,
        });
        begun.connection().execute("BEGIN").await?;
        Ok(Transaction::OnKept(begun))
    }

    /// Gives the connection back to its pool, now or once its transaction is over: a pool that closes waits for it.
    pub(in crate::store) fn close(&self) {
        let mut place = place(&self.slot);
        place.closed = true;
        place.resting = None;
    }

    /// Takes the place, with the connection that rests there, if any.
    fn take(&self) -> Result<Option<Resting>, Taken> {
        let mut place = place(&self.slot);
        if place.taken {
            return Err(Taken);
        }
        place.taken = true;
        Ok(place.resting.take())
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
    over: bool,
    slot: Slot,
    now_us: i64,
}

impl Begun {
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect("a transaction that has begun has one")
    }

    pub(super) async fn commit(mut self) -> Decoded<()> {
        self.connection().execute("COMMIT").await?;
        self.over = true;
        Ok(())
    }

    pub(super) async fn rollback(mut self) -> Decoded<()> {
        self.connection().execute("ROLLBACK").await?;
        self.over = true;
        Ok(())
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let mut place = place(&self.slot);
        place.taken = false;
        let Some(mut connection) = self.connection.take() else { return };
        if !self.over {
            connection.close_on_drop();
        } else if !place.closed {
            place.resting = Some(Resting { connection, used_us: self.now_us });
        }
    }
}

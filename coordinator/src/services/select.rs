//! Rows of any view, streamed.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use offramp_domain::table::{self, Batch, Column, OfSweep, View};
use offramp_proto::{rows, v1};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;
use tonic::{Response, Status};

use super::Context;
use super::status::{at_fault, ending};
use crate::store::{DatabaseError, Query, QueryError};

/// Most streams at a time: each has a connection of its own.
pub(crate) const SELECTS_MOST: usize = 16;
/// How long a client may leave a batch lying. Whoever reads holds up no writer, but SQLite cannot fold its log into the file meanwhile.
const PATIENCE: Duration = Duration::from_mins(5);

/// An answer, batch by batch.
pub(super) type Rows = Pin<Box<dyn Stream<Item = Result<v1::RowBatch, Status>> + Send>>;

/// Rows that were asked for, on their way.
pub(crate) struct SelectedRows {
    /// The view that they are of.
    pub(crate) view: &'static View,
    /// The columns that they have.
    pub(crate) columns: Vec<&'static Column>,
    /// The rows; the last item may be an error.
    pub(crate) batches: ReceiverStream<Result<Batch, Status>>,
}

/// Answers a [`v1::SelectRequest`].
pub(super) async fn select(context: &Context, request: v1::SelectRequest) -> Result<Response<Rows>, Status> {
    let SelectedRows { columns, batches, .. } = context.select_rows(request).await?;
    let messages = batches.map(move |batch| Ok(rows::row_batch(columns.iter().copied(), batch?)));
    Ok(Response::new(Box::pin(messages)))
}

impl Context {
    /// Begins to read what a [`v1::SelectRequest`] asks for.
    pub(crate) async fn select_rows(&self, request: v1::SelectRequest) -> Result<SelectedRows, Status> {
        let v1::SelectRequest { view, sweep, r#where, sort, columns, limit, offset } = request;
        let view = table::view(&view).map_err(|error| at_fault("view", format!("{error}\nhint: {}", error.hint())))?;
        let query = Query::parse(view, &r#where, &sort, &columns).map_err(|error| wrong_query(&error))?;
        if !sweep.is_empty() && view.of_sweep == OfSweep::None {
            return Err(at_fault("sweep", format!("the rows of {} belong to no sweep\nhint: leave `sweep` empty", view.name)));
        }
        let sweep = if sweep.is_empty() { None } else { Some(self.sweep_id(&sweep).await?) };
        let query = Query { sweep, limit: (limit > 0).then_some(limit), offset, ..query };
        let Ok(permit) = Arc::clone(&self.selects).try_acquire_owned() else {
            let message = format!("{SELECTS_MOST} streams of rows are open already\nhint: try again when one of them is over");
            return Err(Status::resource_exhausted(message));
        };
        let columns: Vec<_> = query.columns.iter().filter_map(|column| view.column(*column)).collect();
        let batches = self.store.reader().select(view, query);
        // A batch that waits to be taken, and the last word.
        let (sender, receiver) = mpsc::channel(2);
        let shutdown = self.shutdown.clone();
        tokio::spawn(async move {
            let _permit = permit;
            pass_on(batches, sender, PATIENCE, shutdown).await;
        });
        Ok(SelectedRows { view, columns, batches: ReceiverStream::new(receiver) })
    }
}

/// Passes batches on until there are no more, or nobody takes them. Where that is not all of them the last item says so, for which a place is kept:
/// to a client half of the rows must not look like all of them, and whoever is slow has the least room.
async fn pass_on(
    mut batches: impl Stream<Item = Result<Batch, DatabaseError>> + Unpin,
    sender: mpsc::Sender<Result<Batch, Status>>,
    patience: Duration,
    shutdown: CancellationToken,
) {
    let Ok(last_word) = sender.clone().reserve_owned().await else { return };
    let passing_on = async {
        loop {
            let next = tokio::select! {
                () = sender.closed() => return Ok(()),
                next = batches.next() => next,
            };
            let Some(batch) = next else { return Ok(()) };
            match tokio::time::timeout(patience, sender.send(batch.map_err(Status::from))).await {
                Ok(Ok(())) => {}
                // Whoever is not there needs no answer.
                Ok(Err(_)) => return Ok(()),
                // A client that reads no further is let go: its stream ends, and with it the statement.
                Err(_) => return Err(left_lying(patience)),
            }
        }
    };
    let end = shutdown.run_until_cancelled(passing_on).await.unwrap_or_else(|| Err(ending()));
    if let Err(status) = end {
        last_word.send(Err(status));
    }
}

fn left_lying(patience: Duration) -> Status {
    let seconds = patience.as_secs();
    Status::aborted(format!("no rows were taken for {seconds} s, and there are more\nhint: ask again, and read them without a pause"))
}

/// What is wrong with a query, by the field that it stands in.
pub(super) fn wrong_query(error: &QueryError) -> Status {
    let hint = error.hint().map_or_else(String::new, |hint| format!("\nhint: {hint}"));
    at_fault(error.field(), format!("{error}{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Batches of which each is told from the others by its number of rows.
    fn batches(n_batches: usize) -> impl Stream<Item = Result<Batch, DatabaseError>> + Unpin {
        tokio_stream::iter((1..=n_batches).map(|n_rows| Ok(Batch { columns: Vec::new(), n_rows })))
    }

    /// What a client gets that reads nothing before the other end is done.
    async fn late(n_batches: usize, patience: Duration, shutdown: CancellationToken) -> Vec<Result<usize, String>> {
        let (sender, receiver) = mpsc::channel(2);
        pass_on(batches(n_batches), sender, patience, shutdown).await;
        received(receiver).await
    }

    async fn received(receiver: mpsc::Receiver<Result<Batch, Status>>) -> Vec<Result<usize, String>> {
        let received: Vec<_> = ReceiverStream::new(receiver).collect().await;
        received.into_iter().map(|batch| batch.map(|batch| batch.n_rows).map_err(|status| status.message().to_owned())).collect()
    }

    #[tokio::test]
    async fn who_takes_nothing_for_long_learns_that_there_is_more() {
        assert_eq!(late(1, Duration::ZERO, CancellationToken::new()).await, [Ok(1)], "all that there is");
        let why = "no rows were taken for 0 s, and there are more\nhint: ask again, and read them without a pause";
        assert_eq!(late(3, Duration::ZERO, CancellationToken::new()).await, [Ok(1), Err(why.to_owned())]);
    }

    #[tokio::test]
    async fn the_end_of_the_coordinator_is_not_that_of_the_rows() {
        let shutdown = CancellationToken::new();
        // When the second is polled, the first batch lies there and the second waits for its place.
        let (ends, ()) = tokio::join!(late(3, PATIENCE, shutdown.clone()), async { shutdown.cancel() });
        assert_eq!(ends, [Ok(1), Err(ending().message().to_owned())]);
    }

    #[tokio::test]
    async fn who_keeps_reading_gets_everything() {
        let (sender, receiver) = mpsc::channel(2);
        let (read, ()) = tokio::join!(received(receiver), pass_on(batches(5), sender, PATIENCE, CancellationToken::new()));
        assert_eq!(read, [Ok(1), Ok(2), Ok(3), Ok(4), Ok(5)]);
    }
}

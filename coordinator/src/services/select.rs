//! Rows of any view, streamed.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use offramp_domain::table::{self, Batch, Column, OfSweep, View};
use offramp_proto::{rows, v1};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
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
        let mut batches = self.store.reader().select(view, query);
        let (sender, receiver) = mpsc::channel(1);
        let shutdown = self.shutdown.clone();
        tokio::spawn(async move {
            let _permit = permit;
            loop {
                let next: Option<Result<_, DatabaseError>> = tokio::select! {
                    () = shutdown.cancelled() => {
                        // Whoever is not there needs no answer.
                        let _ = sender.try_send(Err(ending()));
                        return;
                    }
                    () = sender.closed() => return,
                    next = batches.next() => next,
                };
                let Some(batch) = next else { return };
                // A client that reads no further is let go: its stream ends, and with it the statement.
                if !matches!(tokio::time::timeout(PATIENCE, sender.send(batch.map_err(Status::from))).await, Ok(Ok(()))) {
                    return;
                }
            }
        });
        Ok(SelectedRows { view, columns, batches: ReceiverStream::new(receiver) })
    }
}

/// What is wrong with a query, by the field that it stands in.
pub(super) fn wrong_query(error: &QueryError) -> Status {
    let hint = error.hint().map_or_else(String::new, |hint| format!("\nhint: {hint}"));
    at_fault(error.field(), format!("{error}{hint}"))
}

//! The coordinator: keeps sweeps, jobs and results in a database, leases jobs to workers, and answers questions, over gRPC.
//!
//! - [`config`]: what a coordinator is told, and what is wrong with that.
//! - [`server`]: [`start`] puts one together and serves it until its shutdown token is cancelled.
//! - [`store`]: the database; [`store::Reader`] reads it without a coordinator, too.
//!
//! Inside: `services` holds the handlers (decode, call, encode), `janitor` takes back what was lost, `live` keeps what is worth showing but
//! not storing, and `clock` is the one place that reads the time.

pub mod config;
pub mod server;
pub mod store;

mod clock;
mod janitor;
mod live;
mod services;

pub use config::{Config, ConfigProblem, Database};
pub use server::{Running, ServeError, StartError, start};

/// An error with its whole chain of sources, for a log line or a status message.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

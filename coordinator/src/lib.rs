//! The coordinator: keeps sweeps, jobs and results in a database, leases jobs to workers, and answers questions, over gRPC
//! and, to read alone, as JSON over HTTP.
//!
//! - [`config`]: what a coordinator is told, and what is wrong with that.
//! - [`server`]: [`start`] puts one together and serves it until its shutdown token is cancelled.
//! - [`store`]: the database; [`store::Reader`] reads it without a coordinator, too.
//!
//! Inside: `services` holds the handlers (decode, call, encode), `http` the routes to some of them, `dispatch` gathers what workers ask for into transactions, `janitor` takes back
//! what was lost, `live` keeps what is worth showing but not storing, `watches` and `frontiers` follow sweeps and frontiers for all that look on, and `clock` is the one
//! place that reads the time. `failpoint` fails on request, where a test of the whole system wants to see what is left.

pub mod config;
pub mod server;
pub mod store;

mod clock;
mod dispatch;
mod failpoint;
mod frontiers;
mod http;
mod janitor;
mod live;
mod services;
mod watches;

pub use config::{Config, ConfigProblem, Database, DatabaseParseError, PostgresUrl};
pub use failpoint::{FailpointError, Failpoints};
pub use server::{Running, ServeError, StartError, start};

/// How the note begins of a sweep that its circuit breaker has paused.
pub const BREAKER_NOTE: &str = "paused by coordinator: circuit breaker";

/// An error with its whole chain of sources, for a log line or a status message. What a source says that is said already is left out:
/// some libraries repeat the source in their own message.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    for source in std::iter::successors(error.source(), |error| error.source()) {
        let message = source.to_string();
        if !text.ends_with(&message) {
            text = format!("{text}: {message}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_source_that_is_quoted_already_is_not_said_again() {
        #[derive(Debug, thiserror::Error)]
        #[error("{text}")]
        struct Layer {
            text: &'static str,
            source: Option<Box<Layer>>,
        }
        let layer = |text, source| Layer { text, source };
        let full = layer("(code: 13) database or disk is full", None);
        let quoting = layer("error returned from database: (code: 13) database or disk is full", Some(Box::new(full)));
        let error = layer("no room left for the database", Some(Box::new(quoting)));
        let expected = "no room left for the database: error returned from database: (code: 13) database or disk is full";
        assert_eq!(super::chain(&error), expected);
    }
}

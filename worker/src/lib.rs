//! Workers: lease jobs from a coordinator, run them in trainer processes, report.
//!
//! A worker never trains. Each of its slots has a child process that does, so that whatever goes wrong there costs one attempt and not the
//! worker. In reading order:
//!
//! - [`run`](mod@run): a worker from start to end: configuration, shutdown, errors.
//! - `slot`: run one job after the other; the next is claimed, and the last reported, beside it.
//! - `lease`, `report`, `held`, `client`: the line to the coordinator: leases, reports and heartbeats, held attempts, calls with retries.
//! - [`process`]: a trainer process, seen from the worker.
//! - [`trainer`]: the other side: what runs inside that process, and `frame`, the messages between the two.
//! - [`simulated`]: a trainer that trains nothing.

mod chance;
mod client;
mod clock;
mod frame;
mod held;
mod lease;
pub mod process;
mod report;
pub mod run;
pub mod simulated;
mod slot;
#[cfg(test)]
mod testing;
pub mod trainer;

pub use process::TrainerCommand;
pub use run::{Config, Shutdown, Summary, WorkerError, run};

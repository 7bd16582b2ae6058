//! Workers and trainer processes for real: child processes, pipes, signals, gRPC over loopback.
#![expect(clippy::unwrap_used, reason = "allowed in tests, which clippy does not see the modules of an integration test as")]

mod coordinator;
mod deadline;
mod orders;
mod processes;
mod reports;
mod reserves;
#[path = "../../src/testing.rs"]
mod testing;
mod workers;

use std::path::PathBuf;

use offramp_worker::TrainerCommand;

/// How to start the simulated trainer, which cargo builds as an example along with the tests.
fn simulated_trainer(options: &str) -> TrainerCommand {
    let test = std::env::current_exe().expect("a running test has a path");
    let program: PathBuf = test.ancestors().nth(2).expect("tests lie in deps/").join("examples/simulated_trainer");
    assert!(program.exists(), "{} is missing: `cargo test -p offramp-worker` builds it", program.display());
    TrainerCommand { program, args: vec![options.into()], env: Vec::new() }
}

/// How to start a shell script in a trainer's place.
fn script(text: &str) -> TrainerCommand {
    TrainerCommand { program: "/bin/sh".into(), args: vec!["-c".into(), text.into()], env: Vec::new() }
}

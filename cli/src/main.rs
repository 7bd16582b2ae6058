//! The `offramp` program: argument parsing, commands and output.
//!
//! - [`args`]: the argument tree, one file a command group.
//! - [`commands`]: what each command does, one file each.
//! - [`source`]: where reading commands read: a database file or a coordinator, with the same answer.
//! - [`client`]: calls to a coordinator; [`back_off`]: when to repeat them; [`follow`]: following a sweep until it is finished.
//! - [`output`]: the only place that writes to stdout and stderr; tables, JSON, CSV.
//! - [`progress`]: how a running sweep is shown; [`report`]: how one is written down.
//! - [`failure`], [`exit`]: what is said when a command cannot do its work, and the exit code it ends with.
//! - [`environment`], [`memory`], [`signals`], [`logging`], [`text`]: edges of the process, and small texts.

use std::process::ExitCode;

mod args;
mod back_off;
mod client;
mod commands;
mod environment;
mod exit;
mod failure;
mod follow;
mod logging;
mod memory;
mod output;
mod progress;
mod report;
mod signals;
mod source;
#[cfg(test)]
mod tests;
mod text;

fn main() -> ExitCode {
    let arguments = match args::parse() {
        Ok(arguments) => arguments,
        Err(exit) => return exit.into(),
    };
    logging::start(arguments.global.verbose);
    match commands::run(&arguments) {
        Ok(exit) => exit.into(),
        Err(failure) => output::report(&failure).into(),
    }
}

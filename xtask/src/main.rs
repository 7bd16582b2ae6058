//! Repository tasks: `cargo xtask check` (format, lints, docs, tidy), `cargo xtask test` (everything that must pass), `cargo xtask chaos`
//! (everything that may break), `cargo xtask parity` (the same numbers from PyTorch) and `cargo xtask bench` (everything that must be fast).

mod bench;
mod chaos;
mod command;
mod debian;
mod parity;
mod postgres;
mod python;
mod test;
mod tidy;

use clap::{Parser, Subcommand};

/// Repository tasks. Run from anywhere in the checkout as `cargo xtask TASK`.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Checks format, lints, docs and the rules of the layout, without running tests.
    Check,
    /// Checks the rules of the layout alone: arrows between crates, where a dependency may stand, file lengths, names.
    Tidy,
    /// Runs every test, fastest first, setting up what they need.
    Test {
        /// Only the tests that need neither Burn nor the built binary: what an edit of the domain, the coordinator or the worker wants.
        #[arg(long)]
        quick: bool,
        /// Leave out what needs PostgreSQL. Otherwise the full run fails where there is none, and the quick one says so.
        #[arg(long)]
        without_postgres: bool,
    },
    /// Breaks workers, coordinators, the database and the network under a fleet that trains, by a schedule that can be repeated.
    Chaos(chaos::Arguments),
    /// Compares logits, gradients and batch norm's statistics of every family of backbones with PyTorch's.
    Parity,
    /// Measures speed beside what the machine could do at best.
    Bench(bench::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().task {
        Task::Check => check(),
        Task::Tidy => tidy::run(),
        Task::Test { quick, without_postgres } => test::run(quick, without_postgres),
        Task::Chaos(arguments) => chaos::run(&arguments),
        Task::Parity => parity::run(),
        Task::Bench(arguments) => bench::start(&arguments),
    }
}

fn check() -> anyhow::Result<()> {
    tidy::run()?;
    command::cargo(&["fmt", "--all", "--check"])?;
    command::cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])?;
    command::cargo_with(&["doc", "--workspace", "--no-deps", "--quiet"], &[("RUSTDOCFLAGS", "-D warnings")])
}

//! `cargo xtask bench`: how fast the queue and the results' store are, on databases of their own.

use std::path::Path;

use anyhow::Context;

use crate::command::{cargo, root, run};
use crate::{postgres, python};

/// A benchmark.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    subject: Subject,
}

#[derive(Debug, clap::Subcommand)]
enum Subject {
    /// The queue, beside what its database could do at best. Wants a machine that does nothing else; fails where a requirement is missed.
    Queue {
        /// Which database to measure on.
        #[arg(long, value_enum, default_value = "both")]
        engine: Engine,
        /// Few jobs: whether everything works, not how fast it is.
        #[arg(long)]
        quick: bool,
        /// For the benchmark itself: `--json`, `--repetitions N`, `--only FIGURE`.
        #[arg(last = true)]
        rest: Vec<String>,
    },
    /// The results' store with a million operating points: beside one with a thousand, beside computing what it keeps, and beside moocore, which is
    /// written in C. Sets up a Python environment; fails where a requirement is missed.
    Results {
        /// Which database to measure on.
        #[arg(long, value_enum, default_value = "both")]
        engine: Engine,
        /// Few points: whether everything works, not how fast it is.
        #[arg(long)]
        quick: bool,
        /// For the benchmark itself: `--json`, `--repetitions N`, `--only FIGURE`.
        #[arg(last = true)]
        rest: Vec<String>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Engine {
    Sqlite,
    Postgres,
    Both,
}

pub(crate) fn start(arguments: &Arguments) -> anyhow::Result<()> {
    let (Subject::Queue { engine, quick, rest } | Subject::Results { engine, quick, rest }) = &arguments.subject;
    // Held to the end: when it goes, so does the server.
    let server = if *engine == Engine::Sqlite { None } else { Some(postgres::start(&postgres::required()?)?) };
    let mut more = rest.clone();
    if *quick {
        more.push("--quick".to_owned());
    }
    if *engine == Engine::Postgres {
        more.extend(["--engine".to_owned(), "postgres".to_owned()]);
    }
    let url = server.as_ref().map(|server| server.url("postgres"));
    match &arguments.subject {
        Subject::Queue { .. } => queue(url.as_deref(), &more),
        Subject::Results { .. } => {
            cargo(&["build", "--release", "--quiet", "--package", "offramp"])?;
            results(url.as_deref(), &python::environment()?, &more)
        }
    }
}

/// Builds the benchmark and runs it on SQLite and, where a server is named, on PostgreSQL.
pub(crate) fn queue(postgres: Option<&str>, more: &[String]) -> anyhow::Result<()> {
    measure("queue", postgres, more)
}

/// The same of the results' store, with the release build of `offramp` that is there.
pub(crate) fn results(postgres: Option<&str>, python: &Path, more: &[String]) -> anyhow::Result<()> {
    let python = python.to_str().context("the checkout's path is not UTF-8")?;
    let programs = ["--python", python, "--offramp", "target/release/offramp"].map(str::to_owned);
    measure("results", postgres, &[&programs, more].concat())
}

fn measure(subject: &str, postgres: Option<&str>, more: &[String]) -> anyhow::Result<()> {
    cargo(&["build", "--release", "--quiet", "--package", "offramp-bench"])?;
    let binary = root().join("target/release/offramp-bench");
    let mut arguments = vec![subject];
    if let Some(url) = postgres {
        arguments.extend(["--postgres", url]);
    }
    arguments.extend(more.iter().map(String::as_str));
    run(&Path::new(&binary).to_string_lossy(), &arguments, &[])
}

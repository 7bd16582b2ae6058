//! The test tiers, fastest first.

use std::path::Path;

use anyhow::Context;
use offramp_tests::chaos;
use offramp_tests::postgres::{Installation, Postgres};

use crate::chaos as task;
use crate::command::{cargo_with, root, say};
use crate::{bench, debian, postgres, python};

/// Crates whose tests need neither Burn nor the built binary.
const QUICK: &[&str] = &[
    "offramp-domain",
    "offramp-data",
    "offramp-records",
    "offramp-figures",
    "offramp-proto",
    "offramp-coordinator",
    "offramp-worker",
    "offramp-bench",
    "xtask",
];

/// What the tests find in their environment.
type Variables = Vec<(&'static str, String)>;

pub(crate) fn run(quick: bool, without_postgres: bool) -> anyhow::Result<()> {
    // Held to the end: when it goes, so does the server, also after a failure.
    let server = server(quick, without_postgres)?;
    let mut variables = Variables::new();
    if let Some((installation, postgres)) = &server {
        variables.push(("OFFRAMP_TEST_POSTGRES", postgres.url("postgres")));
        variables.push(("OFFRAMP_TEST_PG_BIN", text(installation.bin())?));
    }
    // Tests that need a server have `postgres` in their name, as in `postgres::NAME`.
    let filter: &[&str] = if server.is_some() { &[] } else { &["--", "--skip", "postgres::"] };

    let mut arguments = vec!["test", "--quiet"];
    arguments.extend(QUICK.iter().flat_map(|name| ["--package", name]));
    arguments.extend(filter);
    cargo(&arguments, &variables)?;
    // The tests' own tools: a proxy that loses what it should not is no evidence.
    cargo(&[&["test", "--quiet", "--package", "offramp-tests", "--lib"], filter].concat(), &variables)?;
    if quick {
        // Without Burn: the command line's own tests are about arguments and output.
        cargo(&[&["test", "--quiet", "--package", "offramp", "--no-default-features"], filter].concat(), &variables)?;
        if server.is_none() {
            say("PostgreSQL's half of the tests was left out");
        }
        return Ok(());
    }
    // The release build, because that is what users run, and because training unoptimised takes forever.
    cargo(&["build", "--release", "--package", "offramp"], &variables)?;
    // Both packages in one selection: cargo then settles on the same features for Burn's dependencies as in the build above, and doesn't
    // spend minutes on compiling Burn once more.
    let trained = ["test", "--release", "--quiet", "--package", "offramp", "--package", "offramp-train"];
    cargo(&[&trained, filter].concat(), &variables)?;
    let python = python::environment()?;
    debian::install_for_recipes();
    let binary = root().join("target/release/offramp");
    variables.push(("OFFRAMP_TEST_BINARY", text(&binary)?));
    variables.push(("OFFRAMP_TEST_PYTHON", text(&python)?));
    // Against programs of others, which the tiers above have not.
    cargo(&["test", "--release", "--quiet", "--package", "offramp-domain", "--test", "frontier_oracle", "--", "--ignored"], &variables)?;
    // They take minutes, so one run tells of all that fail.
    let whole_system = ["test", "--release", "--package", "offramp-tests", "--tests", "--no-fail-fast"];
    cargo(&[&whole_system, filter].concat(), &variables)?;

    // Whether the benchmarks still measure what they say; how fast things are shows on a quiet machine alone.
    let url = server.as_ref().map(|(_, postgres)| postgres.url("postgres"));
    let quick = ["--quick".to_owned()];
    bench::queue(url.as_deref(), &quick)?;
    bench::results(url.as_deref(), &python, &quick)?;

    let engines = [Some(chaos::Store::Sqlite(None)), server.as_ref().map(|(installation, _)| chaos::Store::Postgres(installation.clone()))];
    for store in engines.into_iter().flatten() {
        task::run_with(&binary, &python, &chaos::Settings::short(store))?;
    }
    if server.is_none() {
        say("PostgreSQL's half of the tests was left out");
    }
    Ok(())
}

/// A server for the tests. The full run needs one unless told otherwise, the quick one goes on without.
fn server(quick: bool, without_postgres: bool) -> anyhow::Result<Option<(Installation, Postgres)>> {
    if without_postgres {
        return Ok(None);
    }
    let installation = if quick { postgres::installation()? } else { Some(postgres::required()?) };
    let Some(installation) = installation else {
        say(&format!("there is no PostgreSQL on this machine: its half of the tests is left out\n{}", postgres::hint()));
        return Ok(None);
    };
    let postgres = postgres::start(&installation)?;
    Ok(Some((installation, postgres)))
}

fn cargo(arguments: &[&str], variables: &Variables) -> anyhow::Result<()> {
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    cargo_with(arguments, &variables)
}

fn text(path: &Path) -> anyhow::Result<String> {
    Ok(path.to_str().context("the checkout's path is not UTF-8")?.to_owned())
}

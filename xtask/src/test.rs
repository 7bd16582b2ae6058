//! The test tiers, fastest first.

use anyhow::Context;

use crate::command::{cargo, cargo_with, root};
use crate::python;

/// Crates whose tests need neither Burn nor the built binary.
const QUICK: &[&str] = &["offramp-domain", "offramp-proto", "offramp-coordinator", "offramp-worker", "xtask"];

pub(crate) fn run(quick: bool) -> anyhow::Result<()> {
    let mut arguments = vec!["test", "--quiet"];
    arguments.extend(QUICK.iter().flat_map(|name| ["--package", name]));
    cargo(&arguments)?;
    // Without Burn here too: the command line's own tests are about arguments and output.
    cargo(&["test", "--quiet", "--package", "offramp", "--no-default-features"])?;
    if quick {
        return Ok(());
    }
    // Training unoptimised takes forever, and the release build is the one that users run.
    cargo(&["build", "--release", "--package", "offramp"])?;
    cargo(&["test", "--release", "--quiet", "--package", "offramp-train"])?;
    let python = python::environment()?;
    let binary = root().join("target/release/offramp");
    let environment = [
        ("OFFRAMP_TEST_BINARY", binary.to_str().context("the checkout's path is not UTF-8")?),
        ("OFFRAMP_TEST_PYTHON", python.to_str().context("the checkout's path is not UTF-8")?),
    ];
    cargo_with(&["test", "--release", "--package", "offramp-tests"], &environment)
}

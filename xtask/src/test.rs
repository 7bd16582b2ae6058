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
    if quick {
        // Without Burn: the command line's own tests are about arguments and output.
        return cargo(&["test", "--quiet", "--package", "offramp", "--no-default-features"]);
    }
    // The release build, because that is what users run, and because training unoptimised takes forever.
    cargo(&["build", "--release", "--package", "offramp"])?;
    // Both packages in one selection: cargo then settles on the same features for Burn's dependencies as in the build above, and doesn't
    // spend minutes on compiling Burn once more.
    cargo(&["test", "--release", "--quiet", "--package", "offramp", "--package", "offramp-train"])?;
    let python = python::environment()?;
    let binary = root().join("target/release/offramp");
    let environment = [
        ("OFFRAMP_TEST_BINARY", binary.to_str().context("the checkout's path is not UTF-8")?),
        ("OFFRAMP_TEST_PYTHON", python.to_str().context("the checkout's path is not UTF-8")?),
    ];
    cargo_with(&["test", "--release", "--package", "offramp-tests"], &environment)
}

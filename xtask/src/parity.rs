//! Networks in Burn beside the same networks in PyTorch, with the same weights on the same batch.
//!
//! PyTorch's networks are written from the papers (`xtask/parity/models.py`) and share no code with the domain. Not among the tests: PyTorch
//! is too large to install everywhere.

use std::process::Command;

use anyhow::{Context, bail};

use crate::command::{cargo, root, run as run_program, say};
use crate::python;

/// What PyTorch takes with the CUDA libraries that its wheels ask for, while pip still has the archives, GiB.
const NEEDED_GIB: u64 = 9;

const ENVIRONMENT: &str = "parity";

/// Sets PyTorch up, lets both sides compute, compares, and fails where they differ.
pub(crate) fn run() -> anyhow::Result<()> {
    if !root().join("target").join(ENVIRONMENT).exists() {
        check_space()?;
    }
    let python = python::install(ENVIRONMENT, "xtask/parity/requirements.txt").context(
        "hint: PyTorch could not be installed from PyPI, which has it for Python 3.10 to 3.14 and takes about 5 GB; the other tests need none of it",
    )?;
    let python = python.to_str().context("the checkout's path is not UTF-8")?;
    let folder = root().join("target/parity-cases");
    let folder = folder.to_str().context("the checkout's path is not UTF-8")?;
    let burn = |task: &str| cargo(&["run", "--quiet", "--package", "offramp-train", "--example", "parity", "--", task, folder]);
    burn("describe")?;
    run_program(python, &["xtask/parity/reference.py", folder], &[])?;
    burn("run")?;
    run_program(python, &["xtask/parity/compare.py", folder], &[])
}

/// Refuses to begin an installation that would fill the disk. Where `df` cannot tell, it is tried all the same.
fn check_space() -> anyhow::Result<()> {
    let output = Command::new("df").args(["-P", "-k", "."]).current_dir(root()).output();
    let Some(free_kib) = output.ok().and_then(|output| free_kib(&String::from_utf8_lossy(&output.stdout))) else {
        say("cannot tell how much space is left; going on");
        return Ok(());
    };
    let free_gib = free_kib >> 20;
    if free_gib < NEEDED_GIB {
        bail!(
            "PyTorch needs {NEEDED_GIB} GiB on the disk of the checkout, where {free_gib} GiB are left\nhint: the other tests need none of it"
        );
    }
    Ok(())
}

/// The fourth column of the second line, as POSIX has it.
fn free_kib(output: &str) -> Option<u64> {
    output.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_space_is_read_off_the_second_line() {
        let output =
            "Filesystem     1024-blocks     Used Available Capacity Mounted on\n/dev/vda         263174212 38000000  56000000      41% /\n";
        assert_eq!(free_kib(output), Some(56_000_000));
        assert_eq!(free_kib(""), None);
    }
}

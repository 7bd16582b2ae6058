//! Python environments of the tests' own: independent readers, a foreign gRPC client, and PyTorch.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

use crate::command::{root, run, say};

/// Makes (once) `target/python` from `tests/requirements.txt`, and returns its interpreter.
pub(crate) fn environment() -> anyhow::Result<PathBuf> {
    install("python", "tests/requirements.txt")
        .context("hint: the foreign-client tests install packages from PyPI; is it reachable? `cargo xtask test --quick` needs none")
}

/// Makes (once for each version of `requirements`) the environment `target/NAME`, and returns its interpreter.
pub(crate) fn install(name: &str, requirements: &str) -> anyhow::Result<PathBuf> {
    let folder = root().join("target").join(name);
    let interpreter = folder.join("bin/python");
    let wanted = root().join(requirements);
    let installed = folder.join("requirements.txt");
    let requirements = std::fs::read(&wanted).with_context(|| format!("`{}` cannot be read", wanted.display()))?;
    if std::fs::read(&installed).is_ok_and(|have| have == requirements) {
        return Ok(interpreter);
    }
    say(&format!("setting up a Python environment in target/{name}"));
    let base = ["python3", "python"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok_and(|out| out.status.success()))
        .context("no `python3` on the PATH\nhint: install Python 3.11 or newer (Debian: `apt-get install python3 python3-venv`)")?;
    let target = folder.to_str().context("the checkout's path is not UTF-8")?;
    run(base, &["-m", "venv", "--clear", target], &[])
        .context("hint: Python's venv module is missing or broken (Debian: `apt-get install python3-venv`)")?;
    let list = wanted.to_str().context("the checkout's path is not UTF-8")?;
    let python = interpreter.to_str().context("the checkout's path is not UTF-8")?;
    run(python, &["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", list], &[])?;
    std::fs::write(&installed, requirements).with_context(|| format!("`{}` cannot be written", installed.display()))?;
    Ok(interpreter)
}

//! Programs of others, in a Python process that answers one question after the other.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

const SCRIPT: &str = include_str!("../../python/points.py");

/// The process.
#[derive(Debug)]
pub(super) struct Python {
    /// Ends with this.
    _child: Child,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    version: String,
}

/// What it says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Answer {
    pub(super) seconds: f64,
    pub(super) value: f64,
}

impl Python {
    /// Starts an interpreter that has the packages of `tests/requirements.txt`.
    pub(super) async fn start(interpreter: &Path) -> anyhow::Result<Self> {
        let mut child = Command::new(interpreter)
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("`{}` could not be started", interpreter.display()))?;
        let questions = child.stdin.take().context("its input is piped")?;
        let answers = BufReader::new(child.stdout.take().context("its output is piped")?).lines();
        let mut python = Self { _child: child, questions, answers, version: String::new() };
        let hello = python.line().await.with_context(|| {
            format!(
                "`{}` does not run\nhint: it needs the packages of tests/requirements.txt; `cargo xtask bench results` sets up one that has them",
                interpreter.display()
            )
        })?;
        hello["version"].as_str().context("it says no version")?.clone_into(&mut python.version);
        Ok(python)
    }

    /// Of moocore.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// Asks a question about a file.
    pub(super) async fn ask(&mut self, what: &str, file: &Path) -> anyhow::Result<Answer> {
        let question = format!("{}\n", json!({ "do": what, "file": file }));
        self.questions.write_all(question.as_bytes()).await?;
        let answer = self.line().await?;
        let number = |name: &str| answer[name].as_f64().with_context(|| format!("Python's answer has no `{name}`"));
        Ok(Answer { seconds: number("seconds")?, value: number("value")? })
    }

    async fn line(&mut self) -> anyhow::Result<Value> {
        match self.answers.next_line().await? {
            Some(line) => Ok(serde_json::from_str(&line)?),
            None => bail!("the Python process ended"),
        }
    }
}

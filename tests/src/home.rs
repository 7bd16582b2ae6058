//! A user's home folder and the built binary in it.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::postgres::Database;
use crate::processes::{children, send};
use crate::{DEADLINE, binary, python, script, wait_until};

/// Which database Offramp keeps its queue in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A file in the home.
    Sqlite,
    /// A database of the test's own on the server that `cargo xtask test` started.
    Postgres,
}

/// Makes two tests of each function that takes a `&Home`: `sqlite::NAME` and `postgres::NAME`.
#[macro_export]
macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $name() {
                super::$name(&$crate::Home::on($crate::Engine::Sqlite));
            })+
        }
        mod postgres {
            $(#[test]
            fn $name() {
                super::$name(&$crate::Home::on($crate::Engine::Postgres));
            })+
        }
    };
}

/// A user's home folder that goes away with the test. Offramp's default database lies in it.
pub struct Home {
    folder: TempDir,
    /// Where Offramp's database is instead.
    server_database: Option<Database>,
}

impl Home {
    /// An empty home.
    #[expect(clippy::new_without_default, reason = "it makes a folder")]
    pub fn new() -> Self {
        Self::on(Engine::Sqlite)
    }

    /// An empty home whose Offramp keeps its queue in the engine, without being told on the command line.
    pub fn on(engine: Engine) -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        Self { folder, server_database: (engine == Engine::Postgres).then(Database::new) }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The default database's file.
    pub fn database(&self) -> PathBuf {
        self.path().join("offramp/offramp.db")
    }

    /// Which engine it is on.
    pub fn engine(&self) -> Engine {
        if self.server_database.is_some() { Engine::Postgres } else { Engine::Sqlite }
    }

    /// The database's URL.
    pub fn database_url(&self) -> String {
        match &self.server_database {
            Some(database) => database.url(),
            None => format!("sqlite:{}", self.database().display()),
        }
    }

    /// Whether there is a database; it may be empty.
    pub fn has_database(&self) -> bool {
        self.server_database.is_some() || self.database().exists()
    }

    /// Writes a file into the home and returns its path.
    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.path().join(name);
        std::fs::write(&path, text).expect("the home can be written to");
        path.to_str().expect("temporary folders have UTF-8 names").to_owned()
    }

    /// Offramp with arguments, at home here, untouched by the environment of whoever runs the tests.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        unconfigured(&mut command);
        if let Some(database) = &self.server_database {
            command.env("OFFRAMP_DATABASE", database.url());
        }
        command.args(arguments).env("HOME", self.path()).env("XDG_DATA_HOME", self.path()).current_dir(self.path());
        command.stdin(Stdio::null());
        command
    }

    /// Runs Offramp to its end.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        self.start(arguments).finish(DEADLINE)
    }

    /// Runs Offramp with `--output json` and returns what it printed; it must have ended well, or have found an empty list and said so.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let finished = self.run(&[arguments, &["--output", "json"]].concat());
        let value: Result<Value, _> = serde_json::from_str(&finished.stdout);
        let is_empty_list = value.as_ref().is_ok_and(|value| value["rows"].as_array().is_some_and(Vec::is_empty));
        let expected = if is_empty_list { 4 } else { 0 };
        assert_eq!(finished.code, Some(expected), "{arguments:?}: {}", finished.stderr);
        value.unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", finished.stdout))
    }

    /// The `rows` of what Offramp printed with `--output json`.
    pub fn rows(&self, arguments: &[&str]) -> Vec<Value> {
        let value = self.json(arguments);
        value["rows"].as_array().unwrap_or_else(|| panic!("{arguments:?}: no rows in {value}")).clone()
    }

    /// Starts Offramp as the head of a process group of its own.
    pub fn start(&self, arguments: &[&str]) -> Started {
        let capture = TempDir::new_in(self.path()).expect("the home can be written to");
        let file = |name: &str| File::create(capture.path().join(name)).expect("the home can be written to");
        let mut command = self.command(arguments);
        command.stdout(file("stdout")).stderr(file("stderr")).process_group(0);
        let child = command.spawn().expect("the binary can be started");
        Started { child, capture, arguments: arguments.join(" ") }
    }

    /// Rows of a query straight to the database, past Offramp.
    pub fn query(&self, statement: &str) -> Vec<Vec<Value>> {
        let text = self.ask(&["--query", statement]);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{statement}: {error}: {text}"))
    }

    /// Checks the database with the independent checker; `finished` says that every job must have succeeded.
    pub fn check_database(&self, finished: bool) {
        self.ask(if finished { &["--finished", "--quiescent"] } else { &[] });
    }

    /// Runs the independent checker, which must be content, and returns what it printed.
    fn ask(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(python());
        command.arg(script("check_database.py")).arg(self.database_url()).args(arguments);
        let output = command.output().expect("Python can be started");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }
}

/// A running Offramp. Its whole process group is killed if the test ends first.
pub struct Started {
    child: Child,
    capture: TempDir,
    arguments: String,
}

/// How a run of Offramp ended.
pub struct Finished {
    /// Its exit code; absent where a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Started {
    /// The process id, which is the group's id too.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to standard output so far.
    pub fn stdout(&self) -> String {
        self.read("stdout")
    }

    /// What it has written to standard error so far.
    pub fn stderr(&self) -> String {
        self.read("stderr")
    }

    /// Sends a signal (`INT`, `TERM`, `KILL`, ...) to the process alone.
    pub fn signal(&self, signal: &str) {
        send(signal, &self.id().to_string());
    }

    /// Sends a signal to the process and all that it has started.
    pub fn signal_group(&self, signal: &str) {
        send(signal, &format!("-{}", self.id()));
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_some()
    }

    /// Process ids of its trainer processes.
    pub fn trainers(&self) -> Vec<u32> {
        children(self.id())
    }

    /// Resident memory of the process and its trainers now, KiB; pages that they share are counted more than once.
    pub fn memory_kib(&self) -> u64 {
        let resident = |process: u32| {
            let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok())
        };
        std::iter::once(self.id()).chain(self.trainers()).filter_map(resident).sum()
    }

    /// Waits for its end.
    pub fn finish(mut self, deadline: Duration) -> Finished {
        let description = self.arguments.clone();
        wait_until(&format!("`offramp {description}` to end"), deadline, || self.has_ended().then_some(()));
        let status = self.child.wait().expect("a child can be waited for");
        Finished { code: status.code(), stdout: self.stdout(), stderr: self.stderr() }
    }

    fn read(&self, name: &str) -> String {
        let bytes = std::fs::read(self.capture.path().join(name)).expect("captured output can be read");
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if !self.has_ended() {
            self.signal_group("KILL");
            self.child.wait().expect("a child can be waited for");
        }
    }
}

/// Takes away what whoever runs the tests has configured for their own Offramp.
pub(crate) fn unconfigured(command: &mut Command) {
    let inherited = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for name in inherited.filter(|name| name.starts_with("OFFRAMP_") || name == "BURN_DEVICE" || name == "RAYON_NUM_THREADS") {
        command.env_remove(name);
    }
}

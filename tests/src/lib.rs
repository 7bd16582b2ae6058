//! What the whole-system tests share: a home folder of their own, the built binary in it, signals, and waiting with a deadline.
//!
//! The tests link nothing of Offramp. They run the binary named by `OFFRAMP_TEST_BINARY`, which `cargo xtask test` builds, and look at
//! what its users look at: exit codes, output, and the database through `tests/python/check_database.py`.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything here takes on a slow machine: a test that reaches it hangs.
pub const DEADLINE: Duration = Duration::from_mins(2);

/// A user's home folder that goes away with the test. Offramp's default database lies in it.
pub struct Home {
    folder: TempDir,
}

impl Home {
    /// An empty home.
    #[expect(clippy::new_without_default, reason = "it makes a folder")]
    pub fn new() -> Self {
        Self { folder: TempDir::new().expect("a temporary folder can be made") }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The default database's file.
    pub fn database(&self) -> PathBuf {
        self.path().join("offramp/offramp.db")
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
        let inherited = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        for name in inherited.filter(|name| name.starts_with("OFFRAMP_") || name == "BURN_DEVICE" || name == "RAYON_NUM_THREADS") {
            command.env_remove(name);
        }
        command.args(arguments).env("HOME", self.path()).env("XDG_DATA_HOME", self.path()).current_dir(self.path());
        command.stdin(Stdio::null());
        command
    }

    /// Runs Offramp to its end.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        self.start(arguments).finish(DEADLINE)
    }

    /// Runs Offramp with `--output json` and returns what it printed; it must have ended well.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let finished = self.run(&[arguments, &["--output", "json"]].concat());
        assert_eq!(finished.code, Some(0), "{arguments:?}: {}", finished.stderr);
        serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", finished.stdout))
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

    /// Checks the database with the independent checker; `finished` says that every job must have succeeded.
    pub fn check_database(&self, finished: bool) {
        let checker = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/check_database.py");
        let mut command = Command::new(python());
        command.arg(checker).arg(self.database());
        if finished {
            command.arg("--finished");
        }
        let output = command.output().expect("Python can be started");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
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

/// Process ids of the children of `parent`, from Linux's `/proc`.
pub fn children(parent: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>()).collect()
}

/// Whether a process exists and is not a zombie.
pub fn is_alive(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/stat"));
    // The state follows the name, which stands in parentheses and may hold anything.
    status.is_ok_and(|text| text.rsplit(") ").next().is_some_and(|rest| !rest.starts_with('Z')))
}

/// Sends a signal to a process, or to a group (`-ID`).
///
/// The target may just have ended: that is not an error.
pub fn send(signal: &str, target: &str) {
    Command::new("kill").args(["-s", signal, "--", target]).stderr(Stdio::null()).status().expect("`kill` can be started");
}

/// Asks `level` again and again until it answers, and panics with `what` when the deadline passes.
pub fn wait_until<T>(what: &str, deadline: Duration, mut level: impl FnMut() -> Option<T>) -> T {
    let begin = now();
    loop {
        if let Some(answer) = level() {
            return answer;
        }
        assert!(begin.elapsed() < deadline, "waited {deadline:?} for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A sweep file of the repository.
pub fn sweep_file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lie one folder below the root").join("sweeps").join(name);
    path.to_str().expect("the checkout's path is UTF-8").to_owned()
}

/// The interpreter that `cargo xtask test` set up, or the system's.
pub fn python() -> String {
    variable("OFFRAMP_TEST_PYTHON").unwrap_or_else(|| "python3".to_owned())
}

fn binary() -> String {
    variable("OFFRAMP_TEST_BINARY").expect("OFFRAMP_TEST_BINARY names the built binary: run these tests with `cargo xtask test`")
}

#[expect(clippy::disallowed_methods, reason = "xtask hands the tests their tools through the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[expect(clippy::disallowed_methods, reason = "deadlines of tests are real time")]
fn now() -> Instant {
    Instant::now()
}

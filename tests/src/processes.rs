//! Processes: who they are, whose children, whether they live, and signals to them.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

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

/// A command that gets `signal` when the thread that starts it is gone, however that happens, where the system can do so.
///
/// What a test or a task starts must not outlive it, and a guard's `drop` does not run when somebody presses Ctrl-C.
pub fn tied(program: impl AsRef<OsStr>, signal: &str) -> Command {
    let can = Command::new("setpriv").args(["--pdeathsig", signal, "--", "true"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !can.is_ok_and(|status| status.success()) {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    // It becomes the program: the process id stays.
    command.args(["--pdeathsig", signal, "--"]).arg(program);
    command
}

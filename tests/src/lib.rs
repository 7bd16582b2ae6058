//! What the whole-system tests share: a home folder of their own, the built binary in it, servers and networks that fail on request, and
//! waiting with a deadline.
//!
//! Nothing here links any of Offramp, and of the tests only those that hold `offramp-domain` against other programs do. The others run the
//! binary named by `OFFRAMP_TEST_BINARY`, which `cargo xtask test` builds, and look at what its users look at: exit codes, output, and the
//! database through `tests/python/check_database.py`.

pub mod chance;
pub mod chaos;
mod home;
pub mod postgres;
mod processes;
pub mod proxy;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use home::{Engine, Finished, Home, Started};
pub use processes::{children, is_alive, send, tied};

/// Longer than anything here takes on a slow machine: a test that reaches it hangs.
pub const DEADLINE: Duration = Duration::from_mins(2);

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

/// A script of `tests/python`.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(name)
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

//! Log lines on stderr, above the progress bars where there are any.

use std::io::Write;

use tracing_subscriber::EnvFilter;

/// Starts logging: warnings, unless `OFFRAMP_LOG` or `-v` (info, then debug, then trace) asks for more.
pub(crate) fn start(verbose: u8) {
    let variable = crate::environment::variable("OFFRAMP_LOG").map(|value| value.to_string_lossy().into_owned());
    let level = match verbose {
        // The database driver warns of every moment that a busy disk takes.
        0 => "warn,sqlx=error",
        1 => "warn,sqlx=error,offramp=info,offramp_coordinator=info,offramp_worker=info,offramp_train=info",
        2 => "info,offramp=debug,offramp_coordinator=debug,offramp_worker=debug,offramp_train=debug",
        _ => "trace",
    };
    let (filter, complaint) = match (verbose, variable) {
        (0, Some(directives)) => match EnvFilter::try_new(&directives) {
            Ok(filter) => (filter, None),
            Err(error) => (EnvFilter::new(level), Some(error)),
        },
        _ => (EnvFilter::new(level), None),
    };
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| AboveBars).with_ansi(crate::output::colour_on_stderr()).init();
    if let Some(error) = complaint {
        tracing::warn!(%error, "OFFRAMP_LOG is not a log filter and is ignored; write for example OFFRAMP_LOG=info");
    }
}

/// Writes to stderr while the progress bars step aside.
struct AboveBars;

impl Write for AboveBars {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        crate::progress::aside(|| std::io::stderr().write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

//! A coordinator in a process of its own, so that it has its own memory, its own threads, and clients across a socket.

use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use offramp_coordinator::{Config, Failpoints};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

/// Longer than any phase of the benchmark leaves a job alone: what is measured is not how leases run out.
const LEASE: Duration = Duration::from_mins(10);
/// How long a coordinator may take to come up, or to end.
const PATIENCE: Duration = Duration::from_mins(1);

/// What /proc counts in, on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Serves `database` until the standard input ends; says on the standard output where.
#[expect(clippy::print_stdout, reason = "the parent process reads the address there")]
pub(crate) fn serve(database: &str) -> anyhow::Result<()> {
    // As the command line sets it up, with a filter that lets little through.
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(tracing_subscriber::EnvFilter::new("warn")).init();
    let config = Config {
        listen: "127.0.0.1:0".parse()?,
        database: database.parse()?,
        lease: LEASE,
        heartbeat: Config::HEARTBEAT,
        // A job that fails waits for nothing but to be asked for again.
        max_failures: 1,
        grace: Config::GRACE,
        quarantine_after: Config::QUARANTINE_AFTER,
        failpoints: Failpoints::default(),
        insecure: false,
        hosts: Vec::new(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let shutdown = CancellationToken::new();
        let running = offramp_coordinator::start(config, shutdown.clone()).await?;
        println!("{}", running.address);
        // A thread that waits for the parent to let go, or to die.
        std::thread::spawn(move || {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            shutdown.cancel();
        });
        running.join.await??;
        Ok(())
    })
}

/// A coordinator that runs.
#[derive(Debug)]
pub(crate) struct Coordinator {
    child: Child,
    pid: u32,
    address: String,
}

impl Coordinator {
    /// Starts one.
    pub(crate) async fn start(database: &str) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["coordinator", "--database", database])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("the coordinator's process could not be started")?;
        let pid = child.id().context("the coordinator's process ended at once")?;
        let mut lines = BufReader::new(child.stdout.take().context("its output is piped")?).lines();
        let Some(address) = tokio::time::timeout(PATIENCE, lines.next_line()).await.context("the coordinator does not come up")?? else {
            bail!("the coordinator did not come up: {}", child.wait().await?);
        };
        Ok(Self { child, pid, address })
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its memory now and at its most, bytes.
    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        memory_of(self.pid)
    }

    /// The processor time that it has used, all threads together.
    pub(crate) fn processor_seconds(&self) -> anyhow::Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).context("its time is read from Linux's /proc")?;
        // The name in parentheses may hold anything; user and system time are the 12th and 13th field after it.
        let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |index: usize| -> anyhow::Result<f64> { Ok(fields.get(index).context("a short status line")?.parse()?) };
        Ok((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
    }

    /// Ends it, and waits until its database is closed.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        drop(self.child.stdin.take());
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await.context("the coordinator does not end")??;
        if !status.success() {
            bail!("the coordinator ended with {status}");
        }
        Ok(())
    }
}

/// A process's memory now and at its most.
pub(crate) fn memory_of(pid: u32) -> anyhow::Result<Memory> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("its memory is read from Linux's /proc")?;
    let field = |name: &str| -> anyhow::Result<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no `{name}` in its status"))?;
        let kib: u64 = line.trim_start_matches(':').trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib * 1_024)
    };
    Ok(Memory { now: field("VmRSS")?, most: field("VmHWM")? })
}

/// Resident memory of a process, bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) now: u64,
    pub(crate) most: u64,
}

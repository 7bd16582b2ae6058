//! SIGINT and SIGTERM: the first asks for an orderly end, the second ends at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;
use crate::failure::Failure;

/// What asked for the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// SIGINT, Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

/// The signals of this process, from when it is made.
#[derive(Debug)]
pub(crate) struct Signals {
    /// Cancelled by the first signal.
    pub(crate) first: CancellationToken,
    received: tokio::sync::watch::Receiver<Option<Signal>>,
}

impl Signals {
    /// Starts to listen. A second signal ends the process at once, with exit code 130.
    ///
    /// # Errors
    /// When the system refuses the handlers.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let refused = |error| Failure::new(anyhow::Error::new(error).context("cannot listen for signals"));
        let mut interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(refused)?;
        let first = CancellationToken::new();
        let (sender, received) = tokio::sync::watch::channel(None);
        tokio::spawn({
            let first = first.clone();
            async move {
                loop {
                    let signal = tokio::select! {
                        _ = interrupt.recv() => Signal::Interrupt,
                        _ = terminate.recv() => Signal::Terminate,
                    };
                    if sender.borrow().is_some() {
                        // Trainers end by themselves: their standard input closes with this process.
                        std::process::exit(Exit::Interrupted.code().into());
                    }
                    sender.send_replace(Some(signal));
                    first.cancel();
                }
            }
        });
        Ok(Self { first, received })
    }

    /// The first signal, if one has come.
    pub(crate) fn received(&self) -> Option<Signal> {
        *self.received.borrow()
    }
}

/// Makes this process outlive SIGINT and SIGTERM. A terminal sends Ctrl-C to every process of the command: trainers must
/// leave the end to their worker, which still has to give the lease back.
///
/// # Errors
/// When the system refuses the handlers.
pub(crate) fn outlive() -> Result<(), Failure> {
    let refused = |error| Failure::new(anyhow::Error::new(error).context("cannot listen for signals"));
    // The handlers stay installed after the streams are dropped.
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        drop(signal(kind).map_err(refused)?);
    }
    Ok(())
}

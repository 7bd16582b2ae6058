//! What is said when a command cannot do its work.

use std::fmt::Write as _;

use crate::exit::Exit;
use crate::text::escape_control;

/// Why a command ended without doing its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error with its chain of sources.
    Error {
        /// The exit code it comes to.
        exit: Exit,
        /// What failed.
        error: anyhow::Error,
        /// What to do next.
        hint: Option<String>,
    },
    /// Problems of a sweep file, already rendered with their places.
    Problems(String),
    /// Whoever read our output has gone: nobody is left to tell.
    ClosedPipe,
}

impl Failure {
    /// A failure that exits with 1.
    pub(crate) fn new(error: impl Into<anyhow::Error>) -> Self {
        Self::with_exit(Exit::Error, error)
    }

    /// A failure that exits with `exit`.
    pub(crate) fn with_exit(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self::Error { exit, error: error.into(), hint: None }
    }

    /// Adds what to do next; the last hint given counts.
    pub(crate) fn hint(mut self, text: impl Into<String>) -> Self {
        if let Self::Error { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }

    /// The exit code.
    pub(crate) const fn exit(&self) -> Exit {
        match self {
            Self::Error { exit, .. } => *exit,
            Self::Problems(_) => Exit::Usage,
            Self::ClosedPipe => Exit::Ok,
        }
    }

    /// The message with its chain, and the hint.
    pub(crate) fn parts(&self) -> (String, Option<String>) {
        match self {
            Self::Error { error, hint, .. } => (chain(error), hint.clone()),
            Self::Problems(rendered) => (rendered.clone(), None),
            Self::ClosedPipe => (String::new(), None),
        }
    }

    /// What stderr gets: `error: ` with the chain, then `hint: `. Empty for a closed pipe.
    pub(crate) fn render(&self) -> String {
        match self {
            Self::Error { error, hint, .. } => {
                let mut text = format!("error: {}\n", lines(&chain(error)));
                if let Some(hint) = hint {
                    writeln!(text, "hint: {}", lines(hint)).expect("a String takes any text");
                }
                text
            }
            Self::Problems(rendered) if rendered.ends_with('\n') => rendered.clone(),
            Self::Problems(rendered) => format!("{rendered}\n"),
            Self::ClosedPipe => String::new(),
        }
    }
}

/// The messages of an error and its sources, each once: some libraries repeat the source in their own message.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for source in error.chain() {
        let status = source.downcast_ref::<tonic::Status>().or_else(|| source.downcast_ref::<Box<tonic::Status>>().map(AsRef::as_ref));
        // A status shows its insides; what it has to say to a person is its message.
        let message = status.map_or_else(|| source.to_string(), |status| status.message().to_owned());
        if text.is_empty() {
            text = message;
        } else if !text.ends_with(&message) {
            text = format!("{text}: {message}");
        }
        if status.is_some() {
            break;
        }
    }
    text
}

/// Keeps line breaks, which messages of several lines need, and escapes the other control characters.
fn lines(text: &str) -> String {
    text.lines().map(escape_control).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_its_chain_once_and_a_hint() {
        let source = std::io::Error::other("address in use");
        let error = anyhow::Error::new(source).context("cannot listen on 127.0.0.1:7717");
        let failure = Failure::new(error).hint("choose another port with --listen");
        assert_eq!(failure.render(), "error: cannot listen on 127.0.0.1:7717: address in use\nhint: choose another port with --listen\n");
        assert_eq!(failure.exit(), Exit::Error);

        let repeated = anyhow::anyhow!("no such file").context("cannot open x: no such file");
        assert_eq!(Failure::new(repeated).render(), "error: cannot open x: no such file\n");
    }

    #[test]
    fn a_status_says_its_message_and_no_more() {
        let error = anyhow::Error::new(tonic::Status::unavailable("tcp connect error")).context("no contact");
        assert_eq!(Failure::new(error).render(), "error: no contact: tcp connect error\n");
        let boxed = anyhow::Error::new(Box::new(tonic::Status::internal("no room"))).context("refused");
        assert_eq!(Failure::new(boxed).render(), "error: refused: no room\n");
    }

    #[test]
    fn control_characters_cannot_drive_the_terminal() {
        let failure = Failure::new(anyhow::anyhow!("bad \u{1b}[2J\nsecond line"));
        assert_eq!(failure.render(), "error: bad \\u{1b}[2J\nsecond line\n");
    }

    #[test]
    fn a_closed_pipe_is_quiet_and_fine() {
        assert_eq!(Failure::ClosedPipe.render(), "");
        assert_eq!(Failure::ClosedPipe.exit(), Exit::Ok);
    }
}

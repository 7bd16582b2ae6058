//! A trainer process's standard error: line by line into the log, the last lines kept.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Lines kept for the message of a failure.
const KEPT_LINES: usize = 20;

/// A longer line is cut into pieces of this size: a progress bar without line feeds must not grow for ever.
const MAX_LINE_BYTES: usize = 1024;

/// How long a finished process's last lines are waited for; a grandchild may hold the pipe open.
const FINISH_WITHIN: Duration = Duration::from_secs(1);

/// Follows the stream in the background.
#[derive(Debug)]
pub(super) struct Stderr {
    last: Arc<Mutex<VecDeque<String>>>,
    following: JoinHandle<()>,
}

impl Stderr {
    pub(super) fn follow(stream: impl AsyncRead + Send + Unpin + 'static, slot: u32) -> Self {
        let last = Arc::new(Mutex::new(VecDeque::with_capacity(KEPT_LINES)));
        let kept = Arc::clone(&last);
        let following = tokio::spawn(each_line(stream, move |line| {
            tracing::info!(slot, line, "trainer");
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() == KEPT_LINES {
                kept.pop_front();
            }
            kept.push_back(line.to_owned());
        }));
        Self { last, following }
    }

    /// The last lines so far.
    pub(super) fn last_lines(&self) -> Vec<String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Waits until everything has been read, for a process that has ended.
    pub(super) async fn finish(&mut self) {
        if !self.following.is_finished() {
            // Late lines are only missing from a message.
            let _ = timeout(FINISH_WITHIN, &mut self.following).await;
        }
    }
}

async fn each_line(mut stream: impl AsyncRead + Unpin, mut take: impl FnMut(&str)) {
    let mut buffer = BytesMut::new();
    loop {
        while let Some(line) = split_line(&mut buffer) {
            take(&printable(&line));
        }
        buffer.reserve(MAX_LINE_BYTES);
        // A broken pipe and its end are the same here: nothing more comes.
        if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
            break;
        }
    }
    if !buffer.is_empty() {
        take(&printable(&buffer));
    }
}

/// Takes a line off the front, without its end.
fn split_line(buffer: &mut BytesMut) -> Option<BytesMut> {
    match buffer.iter().take(MAX_LINE_BYTES).position(|byte| *byte == b'\n') {
        Some(end) => {
            let line = buffer.split_to(end);
            buffer.advance(1);
            Some(line)
        }
        None if buffer.len() >= MAX_LINE_BYTES => Some(buffer.split_to(MAX_LINE_BYTES)),
        None => None,
    }
}

/// Text without control characters: it ends up on terminals and in the database.
fn printable(line: &[u8]) -> String {
    String::from_utf8_lossy(line).chars().filter(|character| !character.is_control() || *character == '\t').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(stream: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        each_line(stream, |line| lines.push(line.to_owned())).await;
        lines
    }

    #[tokio::test]
    async fn lines_are_split_cut_and_cleaned() {
        assert_eq!(lines(b"one\ntwo\r\n\x1b[31mthree").await, ["one", "two", "[31mthree"]);
        assert_eq!(lines(b"\xff\n").await, ["\u{fffd}"]);
        let long = lines(&[b'x'; 2500]).await;
        assert_eq!(long.iter().map(String::len).collect::<Vec<_>>(), [1024, 1024, 452]);
    }

    #[tokio::test]
    async fn the_last_twenty_lines_are_kept() {
        let text = (0..30).map(|index| format!("line {index}")).collect::<Vec<_>>().join("\n");
        let mut stderr = Stderr::follow(std::io::Cursor::new(text), 0);
        stderr.finish().await;
        let kept = stderr.last_lines();
        assert_eq!((kept.len(), kept[0].as_str(), kept[19].as_str()), (20, "line 10", "line 29"));
    }
}

//! Connections: how many there may be, and how long one may be silent before it says what it wants.
//!
//! Whoever reaches the port can open connections and leave them idle. Each takes a file descriptor, of which the database needs some, too. So there
//! is a bound on them, below the process's limit on descriptors. At the bound, new connections wait in the kernel's backlog until another one ends;
//! and one ends soon where nobody is behind it, because it does not begin to speak HTTP/2 in time or does not answer its pings.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Sleep;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::{Connected, TcpConnectInfo, TcpIncoming};
use tracing::warn;

/// Connections at once: several for each worker of a large fleet.
const CONNECTIONS_MOST: u64 = 4_096;
/// File descriptors that are none of connections: the database's, the log's, those of trainers in the same process.
const DESCRIPTORS_KEPT: u64 = 256;
/// Even where descriptors are scarce, some can connect.
const CONNECTIONS_LEAST: u64 = 16;
/// Length of what every HTTP/2 client sends first, <https://www.rfc-editor.org/rfc/rfc9113#section-3.4>.
const PREFACE_BYTES: usize = 24;
/// A pause after a connection could not be accepted, which also the next one cannot: there are no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How many connections this process has descriptors for. Where the limit on descriptors is low and may be raised, it is: the usual one dates from
/// programs that could not handle more.
pub(super) fn most() -> usize {
    let wanted = CONNECTIONS_MOST + DESCRIPTORS_KEPT;
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: Some(limit.maximum.map_or(wanted, |maximum| maximum.min(wanted))), ..limit };
    let current = match limit.current {
        Some(current) if current < wanted && setrlimit(Resource::Nofile, raised).is_ok() => raised.current,
        current => current,
    };
    connections_of(current)
}

/// How many connections there is room for where there are so many descriptors; `None` where there is no limit.
fn connections_of(n_descriptors: Option<u64>) -> usize {
    let room = n_descriptors.map_or(CONNECTIONS_MOST, |descriptors| descriptors.saturating_sub(DESCRIPTORS_KEPT));
    room.clamp(CONNECTIONS_LEAST, CONNECTIONS_MOST) as usize
}

/// How a peer is noticed that is gone without a word, before it speaks HTTP/2 and answers its pings.
const TCP_KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Accepts connections, at most `most` at once, until `shutdown` is cancelled. One that has not begun to speak HTTP/2 after `silence` is closed.
pub(super) fn accept(
    listener: TcpListener,
    most: usize,
    silence: Duration,
    shutdown: CancellationToken,
) -> ReceiverStream<Result<Connection, Infallible>> {
    // An answer is one small segment, which waits for nothing.
    let mut incoming = TcpIncoming::from(listener).with_nodelay(Some(true)).with_keepalive(Some(TCP_KEEP_ALIVE));
    let (sender, receiver) = mpsc::channel(1);
    let accepting = async move {
        let room = Arc::new(Semaphore::new(most));
        let mut told = false;
        loop {
            if room.available_permits() == 0 && !std::mem::replace(&mut told, true) {
                warn!(most, "as many connections as there is room for: new ones wait until others end");
            }
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
            told &= room.available_permits() == 0;
            match incoming.next().await {
                Some(Ok(stream)) => {
                    let silence = Some(Box::pin(tokio::time::sleep(silence)));
                    if sender.send(Ok(Connection { stream, n_read: 0, silence, _permit: permit })).await.is_err() {
                        return;
                    }
                }
                // Of one connection that came to nothing, there is nothing to say.
                Some(Err(error)) if is_of_one_connection(&error) => {}
                // The server goes on without it, as it does not where errors are passed on.
                Some(Err(error)) => {
                    warn!(error = crate::chain(&error), "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
                None => return,
            }
        }
    };
    tokio::spawn(shutdown.run_until_cancelled_owned(accepting));
    ReceiverStream::new(receiver)
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, Interrupted, InvalidInput, NotConnected};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | Interrupted | InvalidInput | NotConnected)
}

/// A connection that counts.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    n_read: usize,
    /// How long it may go on to be silent; `None` once it speaks.
    silence: Option<Pin<Box<Sleep>>>,
    _permit: OwnedSemaphorePermit,
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if let Some(silence) = &mut self.silence {
            if read.is_pending() {
                ready!(silence.as_mut().poll(cx));
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.n_read += buffer.filled().len() - before;
            if self.n_read >= PREFACE_BYTES {
                self.silence = None;
            }
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_rest() {
        assert_eq!(connections_of(Some(1_024)), 768);
        assert_eq!(connections_of(Some(100)), 16);
        assert_eq!(connections_of(Some(1_000_000)), 4_096);
        assert_eq!(connections_of(None), 4_096);
    }

    #[tokio::test]
    async fn a_connection_that_says_nothing_is_closed_and_one_that_speaks_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let mut connections = accept(listener, 2, Duration::from_millis(50), shutdown.clone());
        let _silent = TcpStream::connect(address).await.unwrap();
        let mut accepted = connections.next().await.unwrap().unwrap();
        assert!(accepted.stream.nodelay().unwrap());
        let error = accepted.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);

        let mut speaking = TcpStream::connect(address).await.unwrap();
        let mut accepted = connections.next().await.unwrap().unwrap();
        speaking.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        accepted.read_exact(&mut [0; PREFACE_BYTES]).await.unwrap();
        assert!(accepted.silence.is_none(), "from here on there is no limit of ours");
        shutdown.cancel();
        assert!(connections.next().await.is_none());
    }

    #[tokio::test]
    async fn at_the_bound_a_connection_waits_until_another_one_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut connections = accept(listener, 2, Duration::from_mins(1), CancellationToken::new());
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(TcpStream::connect(address).await.unwrap());
        }
        let first = connections.next().await.unwrap().unwrap();
        let _second = connections.next().await.unwrap().unwrap();
        let mut third = Box::pin(connections.next());
        // All that can run has run when a task that only yields was run as often as there are steps.
        for _ in 0..100 {
            tokio::task::yield_now().await;
            assert!(is_pending(&mut third).await, "the third waits");
        }
        drop(first);
        third.await.unwrap().unwrap();
    }

    async fn is_pending<F: Future + Unpin>(future: &mut F) -> bool {
        std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx).is_pending())).await
    }
}

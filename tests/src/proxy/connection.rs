//! One connection through the proxy: two directions, a thread each.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Fault, Plan, Shared, lock};
use crate::now;

/// Bytes of a client's that are kept to be sent again; of a connection with more, nothing is.
const MOST_RECORDED: usize = 256 * 1024;

/// How long a replayed connection stays open without an answer.
const REPLAY_PATIENCE: Duration = Duration::from_secs(2);

/// Both ends of a connection.
#[derive(Debug)]
pub(super) struct Connection {
    client: TcpStream,
    server: TcpStream,
    is_cut: AtomicBool,
}

impl Connection {
    /// Ends it, whatever its threads wait for. The waiting ones have to be woken by whoever calls.
    pub(super) fn cut(&self) {
        self.is_cut.store(true, Ordering::Release);
        self.client.shutdown(Shutdown::Both).ok();
        self.server.shutdown(Shutdown::Both).ok();
    }

    fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Acquire)
    }
}

/// Serves a client until both directions are over.
pub(super) fn serve(client: TcpStream, plan: Plan, shared: &Arc<Shared>) {
    let upstream = *lock(&shared.upstream);
    // Nobody there: the client sees its connection end.
    let Ok(server) = TcpStream::connect(upstream) else { return };
    let Some(connection) = register(client, server, shared) else { return };
    let mut recorded = plan.replay.then(Vec::new);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pump(&connection.server, &connection.client, Direction::new(plan.down, &connection, shared, None));
        });
        pump(&connection.client, &connection.server, Direction::new(plan.up, &connection, shared, recorded.as_mut()));
    });
    forget(&connection, shared);
    if let Some(bytes) = recorded.filter(|bytes| !bytes.is_empty() && bytes.len() <= MOST_RECORDED)
        && !shared.is_closing()
    {
        // The server it went to may be gone: then this does nothing, as on a real network.
        replay(&bytes, shared).ok();
    }
}

fn register(client: TcpStream, server: TcpStream, shared: &Arc<Shared>) -> Option<Arc<Connection>> {
    // Small messages are not to wait for each other here: delays are the plan's.
    client.set_nodelay(true).ok()?;
    server.set_nodelay(true).ok()?;
    let connection = Arc::new(Connection { client, server, is_cut: AtomicBool::new(false) });
    lock(&shared.live).push(Arc::clone(&connection));
    // The proxy may have been closed while the connection was made.
    if shared.is_closing() {
        connection.cut();
    }
    Some(connection)
}

fn forget(connection: &Arc<Connection>, shared: &Shared) {
    lock(&shared.live).retain(|other| !Arc::ptr_eq(other, connection));
}

/// Sends recorded bytes to the server on a connection of their own, and reads the answers until there are none.
fn replay(bytes: &[u8], shared: &Arc<Shared>) -> io::Result<()> {
    let upstream = *lock(&shared.upstream);
    let server = TcpStream::connect(upstream)?;
    server.set_read_timeout(Some(REPLAY_PATIENCE))?;
    let Some(connection) = register(server.try_clone()?, server, shared) else { return Ok(()) };
    let result = (&connection.server).write_all(bytes).and_then(|()| {
        shared.count("replay", 1);
        io::copy(&mut &connection.server, &mut io::sink()).map(drop)
    });
    connection.cut();
    forget(&connection, shared);
    result
}

/// What a direction's thread knows.
struct Direction<'a> {
    /// What goes on all the time.
    delay: Option<Duration>,
    bytes_per_second: Option<u64>,
    /// What strikes once, the next one last.
    to_strike: Vec<(u64, Fault)>,
    /// Bytes read from the sender so far.
    position: u64,
    /// Bytes still to be dropped.
    to_drop: u64,
    connection: &'a Connection,
    shared: &'a Shared,
    recorded: Option<&'a mut Vec<u8>>,
}

/// What becomes of a direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The sender said that it ends, or the plan did: the receiver is told.
    Told,
    /// Nobody is told.
    Silent,
}

impl<'a> Direction<'a> {
    fn new(faults: Vec<Fault>, connection: &'a Connection, shared: &'a Shared, recorded: Option<&'a mut Vec<u8>>) -> Self {
        let (mut delay, mut bytes_per_second) = (None, None);
        for fault in &faults {
            match *fault {
                Fault::Delay(time) => delay = Some(time),
                Fault::Throttle(rate) => bytes_per_second = Some(rate),
                _ => continue,
            }
            shared.count(fault.name(), 1);
        }
        let mut to_strike: Vec<_> = faults.into_iter().filter_map(|fault| Some((fault.after()?, fault))).collect();
        to_strike.sort_by_key(|(after, _)| std::cmp::Reverse(*after));
        Self { delay, bytes_per_second, to_strike, position: 0, to_drop: 0, connection, shared, recorded }
    }

    /// How much to read at once: a throttled direction moves in small steps.
    fn step(&self) -> usize {
        self.bytes_per_second.map_or(64 * 1024, |rate| (rate / 20).clamp(1, 64 * 1024) as usize)
    }

    /// Waits while nothing passes, and `time` at least; an error says that the connection was cut meanwhile.
    fn hold(&self, time: Duration) -> io::Result<()> {
        let begin = now();
        let mut partitioned = lock(&self.shared.partitioned);
        loop {
            if self.connection.is_cut() || self.shared.is_closing() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            let left = time.saturating_sub(begin.elapsed());
            if left.is_zero() && !*partitioned {
                return Ok(());
            }
            // What changes is announced, but not under this lock: look again now and then, lest an announcement come in between.
            let most = if left.is_zero() { LOOK_AGAIN } else { left.min(LOOK_AGAIN) };
            partitioned = self.shared.changed.wait_timeout(partitioned, most).unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }

    /// Passes a piece on, with all that strikes within it. An end is one of this direction.
    fn pass(&mut self, mut piece: &[u8], to: &TcpStream) -> io::Result<Option<End>> {
        self.hold(self.delay.unwrap_or_default())?;
        loop {
            let due = self.to_strike.last().map_or(u64::MAX, |(after, _)| after.saturating_sub(self.position));
            let before = piece.len().min(usize::try_from(due).unwrap_or(usize::MAX));
            let (now_passing, rest) = piece.split_at(before);
            self.forward(now_passing, to)?;
            piece = rest;
            if self.to_strike.is_empty() || due > before as u64 {
                return Ok(None);
            }
            let Some((_, fault)) = self.to_strike.pop() else { return Ok(None) };
            self.shared.count(fault.name(), 1);
            match fault {
                Fault::Delay(_) | Fault::Throttle(_) => {}
                Fault::Pause { time, .. } => self.hold(time)?,
                Fault::Drop { n_bytes, .. } => self.to_drop += n_bytes,
                Fault::Cut { .. } => {
                    self.connection.cut();
                    self.shared.changed.notify_all();
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                Fault::HalfClose { .. } => return Ok(Some(End::Told)),
                Fault::BlackHole { .. } => return Ok(Some(End::Silent)),
            }
        }
    }

    fn forward(&mut self, bytes: &[u8], mut to: &TcpStream) -> io::Result<()> {
        self.position += bytes.len() as u64;
        let dropped = bytes.len().min(usize::try_from(self.to_drop).unwrap_or(usize::MAX));
        self.to_drop -= dropped as u64;
        let bytes = &bytes[dropped..];
        if bytes.is_empty() {
            return Ok(());
        }
        to.write_all(bytes)?;
        self.shared.n_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if let Some(rate) = self.bytes_per_second {
            self.hold(Duration::from_secs_f64(bytes.len() as f64 / rate as f64))?;
        }
        Ok(())
    }
}

/// How long a waiting direction sleeps before it looks by itself.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Moves bytes one way until that way is over.
fn pump(from: &TcpStream, to: &TcpStream, mut direction: Direction<'_>) {
    let mut buffer = vec![0; direction.step()];
    // What is planned for byte 0 strikes before anything is sent.
    let mut end = direction.pass(&[], to);
    let mut reader = from;
    while let Ok(None) = end {
        end = match reader.read(&mut buffer) {
            Ok(0) => Ok(Some(End::Told)),
            Ok(n) => {
                if let Some(recorded) = direction.recorded.as_mut().filter(|recorded| recorded.len() <= MOST_RECORDED) {
                    recorded.extend_from_slice(&buffer[..n]);
                }
                direction.pass(&buffer[..n], to)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
            Err(error) => Err(error),
        };
    }
    match end {
        // The end of a direction is held back like its bytes.
        Ok(Some(End::Told)) if direction.hold(direction.delay.unwrap_or_default()).is_ok() => {
            to.shutdown(Shutdown::Write).ok();
        }
        Ok(Some(End::Silent)) => {}
        _ => {
            direction.connection.cut();
            direction.shared.changed.notify_all();
            return;
        }
    }
    // The sender is not to notice: what it goes on sending is taken, and leads nowhere.
    io::copy(&mut reader, &mut io::sink()).ok();
    if let Ok(Some(End::Silent)) = end {
        // As long as this waits, the receiver's end stays open.
        direction.hold(Duration::MAX).ok();
    }
}

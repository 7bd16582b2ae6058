//! A TCP proxy that fails on request: what a bad network, a firewall or a dying switch does to connections.
//!
//! What happens to a connection is planned when it is opened, by its number and a seed alone ([`seeded`]), or by the test ([`Proxy::start`]
//! takes any function). What happens to all of them now ([`Proxy::cut`], [`Proxy::partition`]) is told to the running proxy.

mod connection;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use connection::Connection;
pub use plan::{Fault, Odds, Plan, seeded};

/// A running proxy. Dropped, it ends all connections and its threads.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

/// What the threads of a proxy have in common.
#[derive(Debug)]
struct Shared {
    upstream: Mutex<SocketAddr>,
    /// Whether bytes pass at present.
    partitioned: Mutex<bool>,
    /// Rung when something changes that a connection may be waiting for.
    changed: Condvar,
    live: Mutex<Vec<Arc<Connection>>>,
    /// How often each kind of fault has struck.
    struck: Mutex<BTreeMap<&'static str, u64>>,
    n_bytes: AtomicU64,
    closing: AtomicBool,
}

impl Proxy {
    /// Listens on a free loopback port, and plans every connection with `plan`, which gets the connection's number.
    ///
    /// # Errors
    ///
    /// Of a machine that gives out no port.
    pub fn start(upstream: SocketAddr, plan: impl FnMut(u64) -> Plan + Send + 'static) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            upstream: Mutex::new(upstream),
            partitioned: Mutex::new(false),
            changed: Condvar::new(),
            live: Mutex::default(),
            struck: Mutex::default(),
            n_bytes: AtomicU64::new(0),
            closing: AtomicBool::new(false),
        });
        let acceptor = {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || accept(&listener, &shared, plan))
        };
        Ok(Self { address, shared, acceptor: Some(acceptor) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where connections that are opened from now on lead.
    pub fn lead_to(&self, upstream: SocketAddr) {
        *lock(&self.shared.upstream) = upstream;
    }

    /// Ends all present connections, on both sides.
    pub fn cut(&self) {
        let live = std::mem::take(&mut *lock(&self.shared.live));
        self.shared.count("cut by hand", live.len() as u64);
        for connection in live {
            connection.cut();
        }
        self.shared.changed.notify_all();
    }

    /// Holds back everything, the ends of connections too, until [`Proxy::heal`]; then it all arrives, late, as TCP has it.
    pub fn partition(&self) {
        *lock(&self.shared.partitioned) = true;
        self.shared.count("partition", 1);
    }

    /// Ends a partition.
    pub fn heal(&self) {
        *lock(&self.shared.partitioned) = false;
        self.shared.changed.notify_all();
    }

    /// How often each kind of fault has struck so far.
    pub fn struck(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.shared.struck).clone()
    }

    /// Bytes that have passed so far, in both directions.
    pub fn n_bytes(&self) -> u64 {
        self.shared.n_bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Release);
        self.heal();
        // Wakes the acceptor, which cuts what there is before it ends.
        TcpStream::connect(self.address).ok();
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.join().ok();
        }
    }
}

impl Shared {
    fn count(&self, kind: &'static str, n: u64) {
        if n > 0 {
            *lock(&self.struck).entry(kind).or_default() += n;
        }
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }
}

/// A panic elsewhere is reported elsewhere.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, mut plan: impl FnMut(u64) -> Plan) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    for number in 0.. {
        let client = match listener.accept() {
            Ok((client, _)) => client,
            // The client is gone again, or descriptors are short; either passes.
            Err(_) if !shared.is_closing() => continue,
            Err(_) => break,
        };
        if shared.is_closing() {
            break;
        }
        let plan = plan(number);
        let for_thread = Arc::clone(shared);
        threads.retain(|thread| !thread.is_finished());
        threads.push(std::thread::spawn(move || connection::serve(client, plan, &for_thread)));
    }
    for connection in std::mem::take(&mut *lock(&shared.live)) {
        connection.cut();
    }
    shared.changed.notify_all();
    for thread in threads {
        thread.join().ok();
    }
}

//! The proxy between a client and a server that sends back what it gets.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Instant;

use super::*;
use crate::{DEADLINE, now, wait_until};
use std::time::Duration;

/// Sends back everything, and the end too; remembers what it got on each connection.
struct Echo {
    address: SocketAddr,
    got: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Echo {
    fn start() -> Self {
        Self::answering(true)
    }

    /// One that only listens.
    fn mute() -> Self {
        Self::answering(false)
    }

    fn answering(answers: bool) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let got = Arc::new(Mutex::new(Vec::new()));
        let for_thread = Arc::clone(&got);
        // The thread ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let number = {
                    let mut got = for_thread.lock().unwrap();
                    got.push(Vec::new());
                    got.len() - 1
                };
                let got = Arc::clone(&for_thread);
                std::thread::spawn(move || {
                    let mut buffer = [0; 1024];
                    while let Ok(n @ 1..) = stream.read(&mut buffer) {
                        got.lock().unwrap()[number].extend_from_slice(&buffer[..n]);
                        if answers && stream.write_all(&buffer[..n]).is_err() {
                            break;
                        }
                    }
                    stream.shutdown(Shutdown::Write).ok();
                });
            }
        });
        Self { address, got }
    }

    fn got(&self) -> Vec<Vec<u8>> {
        self.got.lock().unwrap().clone()
    }
}

fn planned(echo: &Echo, plan: Plan) -> Proxy {
    Proxy::start(echo.address, move |_| plan.clone()).unwrap()
}

fn up(fault: Fault) -> Plan {
    Plan { up: vec![fault], ..Plan::default() }
}

fn down(fault: Fault) -> Plan {
    Plan { down: vec![fault], ..Plan::default() }
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// Sends all, says that it ends, and reads until the other side ends.
fn exchange(proxy: &Proxy, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(proxy);
    // A proxy that ends the connection may do so before everything is sent.
    stream.write_all(bytes).ok();
    stream.shutdown(Shutdown::Write).ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok();
    answer
}

fn numbers(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i % 251) as u8).collect()
}

/// Whether nothing comes for a while.
fn is_silent(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let silent = stream.read(&mut [0]).is_err_and(|error| matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut));
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    silent
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begin: Instant = now();
    let value = work();
    (value, begin.elapsed())
}

#[test]
fn without_faults_everything_passes() {
    let echo = Echo::start();
    let proxy = planned(&echo, Plan::default());
    let bytes = numbers(1_000_000);
    assert_eq!(exchange(&proxy, &bytes), bytes);
    assert_eq!(proxy.n_bytes(), 2_000_000);
    assert!(proxy.struck().is_empty());
}

#[test]
fn a_cut_lets_exactly_so_many_bytes_through() {
    for after in [0, 1, 1_000, 70_000] {
        // An answer on its way would make the end an abrupt one, and the system then throws away what the server has not read.
        let echo = Echo::mute();
        let proxy = planned(&echo, up(Fault::Cut { after }));
        exchange(&proxy, &numbers(200_000));
        wait_until("the bytes before the cut", DEADLINE, || (echo.got() == [numbers(after as usize)]).then_some(()));
        assert_eq!(proxy.struck(), BTreeMap::from([("cut", 1)]));
    }
}

#[test]
fn a_cut_of_answers_lets_exactly_so_many_bytes_through() {
    let echo = Echo::start();
    let proxy = planned(&echo, down(Fault::Cut { after: 1_500 }));
    assert_eq!(exchange(&proxy, &numbers(4_000)), numbers(1_500));
}

#[test]
fn dropped_bytes_are_missing_and_the_rest_is_there() {
    let echo = Echo::start();
    let proxy = planned(&echo, up(Fault::Drop { after: 10, n_bytes: 5 }));
    let bytes = numbers(100);
    assert_eq!(exchange(&proxy, &bytes), [&bytes[..10], &bytes[15..]].concat());
}

#[test]
fn a_half_closed_connection_goes_on_the_other_way() {
    let echo = Echo::start();
    let proxy = planned(&echo, up(Fault::HalfClose { after: 7 }));
    let mut stream = connect(&proxy);
    // The client has not ended its side; what it sends after the half-close leads nowhere, and is no error.
    stream.write_all(&numbers(100)).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, numbers(7));
    stream.write_all(&numbers(100)).unwrap();
    assert_eq!(echo.got(), [numbers(7)]);
}

#[test]
fn a_black_hole_tells_nobody() {
    let echo = Echo::start();
    let proxy = planned(&echo, down(Fault::BlackHole { after: 3 }));
    let mut stream = connect(&proxy);
    stream.write_all(&numbers(10)).unwrap();
    let mut answer = [0; 3];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [0, 1, 2]);
    assert!(is_silent(&mut stream));
    // Even when the server has ended its side.
    stream.shutdown(Shutdown::Write).unwrap();
    assert!(is_silent(&mut stream));
    assert_eq!(echo.got(), [numbers(10)]);
}

#[test]
fn a_delay_delays_and_a_pause_pauses_once() {
    let echo = Echo::start();
    let late = Duration::from_millis(100);
    for fault in [Fault::Delay(late), Fault::Pause { after: 2, time: late }] {
        let proxy = planned(&echo, up(fault));
        let (answer, time) = timed(|| exchange(&proxy, b"hello"));
        assert_eq!(answer, b"hello");
        assert!(time >= late, "{fault:?}: {time:?}");
    }
}

#[test]
fn a_throttled_direction_keeps_to_its_rate() {
    let echo = Echo::start();
    let proxy = planned(&echo, down(Fault::Throttle(40_000)));
    let bytes = numbers(20_000);
    let (answer, time) = timed(|| exchange(&proxy, &bytes));
    assert_eq!(answer, bytes);
    assert!(time >= Duration::from_millis(400), "{time:?}");
}

#[test]
fn a_replayed_connection_sends_everything_again() {
    let echo = Echo::start();
    let proxy = planned(&echo, Plan { replay: true, ..up(Fault::Cut { after: 50 }) });
    exchange(&proxy, b"a request");
    wait_until("the replay", DEADLINE, || (echo.got() == [b"a request".to_vec(), b"a request".to_vec()]).then_some(()));
    assert_eq!(proxy.struck(), BTreeMap::from([("replay", 1)]));
}

#[test]
fn a_partition_holds_everything_back_and_lets_it_arrive_late() {
    let echo = Echo::start();
    let proxy = planned(&echo, Plan::default());
    let mut stream = connect(&proxy);
    stream.write_all(b"a").unwrap();
    stream.read_exact(&mut [0]).unwrap();
    proxy.partition();
    stream.write_all(b"b").unwrap();
    assert!(is_silent(&mut stream));
    assert_eq!(echo.got(), [b"a".to_vec()]);
    proxy.heal();
    let mut answer = [0];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"b");
}

#[test]
fn a_cut_by_hand_ends_what_is_there_and_not_what_comes() {
    let echo = Echo::start();
    let proxy = planned(&echo, Plan::default());
    let mut stream = connect(&proxy);
    stream.write_all(b"a").unwrap();
    stream.read_exact(&mut [0]).unwrap();
    // Even in the middle of a partition.
    proxy.partition();
    proxy.cut();
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
    proxy.heal();
    assert_eq!(exchange(&proxy, b"again"), b"again");
}

#[test]
fn new_connections_follow_the_server_to_another_address() {
    let (first, second) = (Echo::start(), Echo::start());
    let proxy = planned(&first, Plan::default());
    exchange(&proxy, b"one");
    proxy.lead_to(second.address);
    exchange(&proxy, b"two");
    assert_eq!((first.got(), second.got()), (vec![b"one".to_vec()], vec![b"two".to_vec()]));
}

#[test]
fn nobody_behind_the_proxy_looks_like_an_ended_connection() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let proxy = Proxy::start(free, |_| Plan::default()).unwrap();
    assert_eq!(exchange(&proxy, b"anybody?"), b"");
}

#[test]
fn a_dropped_proxy_ends_its_connections() {
    let echo = Echo::start();
    // All of them are stuck in different ways.
    let faults =
        [Fault::BlackHole { after: 0 }, Fault::Pause { after: 0, time: DEADLINE }, Fault::Delay(DEADLINE), Fault::HalfClose { after: 0 }];
    for fault in faults {
        let proxy = planned(&echo, up(fault));
        let mut stream = connect(&proxy);
        stream.write_all(b"stuck").unwrap();
        let ((), time) = timed(|| drop(proxy));
        assert!(time < Duration::from_secs(10), "{fault:?}: {time:?}");
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0, "{fault:?}");
    }
}

#[test]
fn plans_are_a_function_of_seed_and_number() {
    let odds = Odds { delay: 0.5, throttle: 0.5, pause: 0.5, drop: 0.5, cut: 0.5, half_close: 0.5, black_hole: 0.5, replay: 0.5 };
    let plans = |seed| (0..50).map(seeded(seed, odds)).collect::<Vec<_>>();
    assert_eq!(plans(1), plans(1));
    assert_ne!(plans(1), plans(2));
    // In another order, too.
    let mut backwards: Vec<_> = (0..50).rev().map(seeded(1, odds)).collect();
    backwards.reverse();
    assert_eq!(backwards, plans(1));
    let names: std::collections::BTreeSet<_> = plans(1).iter().flat_map(|plan| plan.up.iter().chain(&plan.down)).map(Fault::name).collect();
    assert_eq!(names.len(), 7, "{names:?}");
    assert!((0..50).map(seeded(1, Odds::default())).all(|plan| plan == Plan::default()));
}

//! What is to happen to a connection.

use std::time::Duration;

use crate::chance::Chance;

/// What is to happen to one connection.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// To what the client sends.
    pub up: Vec<Fault>,
    /// To what the server sends.
    pub down: Vec<Fault>,
    /// When the connection is over, all that the client sent is sent to the server once more, on another connection: requests arrive twice.
    pub replay: bool,
}

/// A fault of one direction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// Every piece arrives this much later.
    Delay(Duration),
    /// So many bytes a second, no more.
    Throttle(u64),
    /// After `after` bytes, nothing passes for some time.
    Pause {
        /// Bytes that pass before.
        after: u64,
        /// For how long.
        time: Duration,
    },
    /// After `after` bytes, `n_bytes` are missing: a broken middlebox, since TCP itself loses nothing.
    Drop {
        /// Bytes that pass before.
        after: u64,
        /// Bytes that are missing.
        n_bytes: u64,
    },
    /// After `after` bytes, both directions end.
    Cut {
        /// Bytes that pass before.
        after: u64,
    },
    /// After `after` bytes, this direction ends; the other goes on.
    HalfClose {
        /// Bytes that pass before.
        after: u64,
    },
    /// After `after` bytes, nothing arrives any more, and nobody is told: not even that the sender is gone.
    BlackHole {
        /// Bytes that pass before.
        after: u64,
    },
}

impl Fault {
    /// Its name in counts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Delay(_) => "delay",
            Self::Throttle(_) => "throttle",
            Self::Pause { .. } => "pause",
            Self::Drop { .. } => "drop",
            Self::Cut { .. } => "cut",
            Self::HalfClose { .. } => "half-close",
            Self::BlackHole { .. } => "black hole",
        }
    }

    /// The byte that it strikes at; absent for what goes on all the time.
    pub(super) fn after(&self) -> Option<u64> {
        match *self {
            Self::Delay(_) | Self::Throttle(_) => None,
            Self::Pause { after, .. }
            | Self::Drop { after, .. }
            | Self::Cut { after }
            | Self::HalfClose { after }
            | Self::BlackHole { after } => Some(after),
        }
    }
}

/// How likely each fault is for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Odds {
    /// Of a delay of 1 to 50 ms in either direction.
    pub delay: f64,
    /// Of a limit of 16 to 256 KiB a second in either direction.
    pub throttle: f64,
    /// Of a pause of 0.1 to 3 s.
    pub pause: f64,
    /// Of 1 to 64 missing bytes.
    pub drop: f64,
    /// Of an end of both directions.
    pub cut: f64,
    /// Of an end of one direction.
    pub half_close: f64,
    /// Of one direction falling silent.
    pub black_hole: f64,
    /// Of everything being sent once more.
    pub replay: f64,
}

/// Where in a connection a fault may strike: from the first byte on to well into the requests.
const REACH: std::ops::Range<u64> = 0..40_000;

/// Plans the connections of a proxy: what happens to number `n` is a function of the seed and `n`, whatever the timing.
pub fn seeded(seed: u64, odds: Odds) -> impl FnMut(u64) -> Plan + Send + 'static {
    move |number| {
        let mut chance = Chance::new(seed).fork(&format!("connection {number}"));
        let mut plan = Plan { replay: chance.happens(odds.replay), ..Plan::default() };
        for direction in [&mut plan.up, &mut plan.down] {
            if chance.happens(odds.delay) {
                direction.push(Fault::Delay(chance.time(1..50)));
            }
            if chance.happens(odds.throttle) {
                direction.push(Fault::Throttle(chance.within(16..257) * 1024));
            }
            if chance.happens(odds.pause / 2.0) {
                direction.push(Fault::Pause { after: chance.within(REACH), time: chance.time(100..3_000) });
            }
            if chance.happens(odds.drop / 2.0) {
                direction.push(Fault::Drop { after: chance.within(REACH), n_bytes: chance.within(1..65) });
            }
            if chance.happens(odds.cut / 2.0) {
                direction.push(Fault::Cut { after: chance.within(REACH) });
            }
            if chance.happens(odds.half_close / 2.0) {
                direction.push(Fault::HalfClose { after: chance.within(REACH) });
            }
            if chance.happens(odds.black_hole / 2.0) {
                direction.push(Fault::BlackHole { after: chance.within(REACH) });
            }
        }
        plan
    }
}

//! What goes wrong when: a function of the seed and of the size of the fleet.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::chance::Chance;

/// Something that goes wrong. Members are named by their index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// `kill -9` of a worker; it is started again after a while.
    KillWorker(usize, Duration),
    /// `kill -9` of one of a worker's trainers: of its present ones, the one with this number.
    KillTrainer(usize, usize),
    /// SIGTERM to a worker, which gives its jobs back; it is started again after a while.
    DrainWorker(usize, Duration),
    /// SIGSTOP to a worker and its trainers, and SIGCONT after its leases have run out: it goes on as if nothing had been.
    HoldWorker(usize, Duration),
    /// All connections of a worker end.
    CutWorker(usize),
    /// Nothing passes between a worker and its coordinator for a while.
    PartitionWorker(usize, Duration),
    /// All connections of a worker end, and the next ones lead to another coordinator.
    MoveWorker(usize),
    /// `kill -9` of a coordinator; it is started again after a while.
    KillCoordinator(usize, Duration),
    /// SIGTERM to a coordinator; it is started again after a while.
    RestartCoordinator(usize, Duration),
    /// SIGSTOP to a coordinator, and SIGCONT after a while.
    HoldCoordinator(usize, Duration),
    /// All connections of a coordinator to its database end, in mid-transaction where there is one.
    CutDatabase(usize),
    /// PostgreSQL stops at once and writes nothing; it is started again after a while.
    StopDatabase(Duration),
    /// SIGSTOP to PostgreSQL and all its processes, and SIGCONT after a while.
    HoldDatabase(Duration),
}

impl Event {
    /// Its name in counts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::KillWorker(..) => "kill worker",
            Self::KillTrainer(..) => "kill trainer",
            Self::DrainWorker(..) => "drain worker",
            Self::HoldWorker(..) => "hold worker",
            Self::CutWorker(..) => "cut worker",
            Self::PartitionWorker(..) => "partition worker",
            Self::MoveWorker(..) => "move worker",
            Self::KillCoordinator(..) => "kill coordinator",
            Self::RestartCoordinator(..) => "restart coordinator",
            Self::HoldCoordinator(..) => "hold coordinator",
            Self::CutDatabase(..) => "cut database",
            Self::StopDatabase(..) => "stop database",
            Self::HoldDatabase(..) => "hold database",
        }
    }
}

/// Who there is to disturb.
#[derive(Debug, Clone, Copy)]
pub struct Fleet {
    /// Workers, at least 1.
    pub n_workers: usize,
    /// Coordinators, at least 1.
    pub n_coordinators: usize,
    /// Whether the database is a server of its own.
    pub has_server: bool,
}

/// An endless sequence of events, each with the time since the one before.
///
/// Whom an event strikes and when does not depend on how the fleet is doing: an event that finds its victim down already does nothing. So
/// the same seed gives the same schedule, though not the same interleaving within the processes.
#[derive(Debug, Clone)]
pub struct Schedule {
    chance: Chance,
    fleet: Fleet,
}

impl Schedule {
    /// The schedule of a seed.
    pub fn new(seed: u64, fleet: Fleet) -> Self {
        Self { chance: Chance::new(seed).fork("schedule"), fleet }
    }

    /// The names of all events that strike such a fleet, sooner or later.
    pub fn names(fleet: Fleet) -> BTreeSet<&'static str> {
        // The rarest is one in forty or so.
        Self::new(0, fleet).take(2_000).map(|(_, event)| event.name()).collect()
    }
}

/// Milliseconds between events: 0.7 s in the middle, so that most find the fleet at work and some strike while it recovers from another.
const GAP_MS: std::ops::Range<u64> = 50..1_350;

/// A constructor's arguments are drawn after the kind: the kinds by name alone.
#[derive(Debug, Clone, Copy)]
enum Kind {
    KillWorker,
    KillTrainer,
    DrainWorker,
    HoldWorker,
    CutWorker,
    PartitionWorker,
    MoveWorker,
    KillCoordinator,
    RestartCoordinator,
    HoldCoordinator,
    CutDatabase,
    StopDatabase,
    HoldDatabase,
}

impl Iterator for Schedule {
    type Item = (Duration, Event);

    fn next(&mut self) -> Option<(Duration, Event)> {
        let several = u64::from(self.fleet.n_coordinators > 1);
        let server = u64::from(self.fleet.has_server);
        let weights = [
            (40, Kind::KillWorker),
            (15, Kind::KillTrainer),
            (8, Kind::DrainWorker),
            (6, Kind::HoldWorker),
            (10, Kind::CutWorker),
            (6, Kind::PartitionWorker),
            (5 * several, Kind::MoveWorker),
            (12, Kind::KillCoordinator),
            (3, Kind::RestartCoordinator),
            (3, Kind::HoldCoordinator),
            (4 * server, Kind::CutDatabase),
            (3 * server, Kind::StopDatabase),
            (3 * server, Kind::HoldDatabase),
        ];
        let chance = &mut self.chance;
        let gap = chance.time(GAP_MS);
        let kind = chance.weighted(&weights);
        let worker = chance.within(0..self.fleet.n_workers as u64) as usize;
        let coordinator = chance.within(0..self.fleet.n_coordinators as u64) as usize;
        let event = match kind {
            Kind::KillWorker => Event::KillWorker(worker, chance.time(50..800)),
            Kind::KillTrainer => Event::KillTrainer(worker, chance.within(0..64) as usize),
            Kind::DrainWorker => Event::DrainWorker(worker, chance.time(50..800)),
            // Leases last 2 s: most of these are longer.
            Kind::HoldWorker => Event::HoldWorker(worker, chance.time(1_500..5_000)),
            Kind::CutWorker => Event::CutWorker(worker),
            Kind::PartitionWorker => Event::PartitionWorker(worker, chance.time(500..5_000)),
            Kind::MoveWorker => Event::MoveWorker(worker),
            Kind::KillCoordinator => Event::KillCoordinator(coordinator, chance.time(20..1_500)),
            Kind::RestartCoordinator => Event::RestartCoordinator(coordinator, chance.time(20..1_500)),
            Kind::HoldCoordinator => Event::HoldCoordinator(coordinator, chance.time(500..4_000)),
            Kind::CutDatabase => Event::CutDatabase(coordinator),
            Kind::StopDatabase => Event::StopDatabase(chance.time(100..3_000)),
            Kind::HoldDatabase => Event::HoldDatabase(chance.time(200..4_000)),
        };
        Some((gap, event))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const SMALL: Fleet = Fleet { n_workers: 3, n_coordinators: 1, has_server: false };
    const LARGE: Fleet = Fleet { n_workers: 3, n_coordinators: 2, has_server: true };

    fn counts(fleet: Fleet) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for (_, event) in Schedule::new(1, fleet).take(2_000) {
            *counts.entry(event.name()).or_default() += 1;
        }
        counts
    }

    #[test]
    fn a_seed_is_a_schedule() {
        let schedule = |seed| Schedule::new(seed, LARGE).take(500).collect::<Vec<_>>();
        assert_eq!(schedule(1), schedule(1));
        assert_ne!(schedule(1), schedule(2));
    }

    #[test]
    fn everything_happens_where_it_can() {
        assert_eq!(counts(LARGE).len(), 13);
        let small = counts(SMALL);
        assert_eq!(small.len(), 9, "{small:?}");
        assert!(Schedule::names(SMALL).iter().eq(small.keys()) && Schedule::names(LARGE).len() == 13);
        assert!(!small.contains_key("move worker") && !small.keys().any(|name| name.ends_with("database")), "{small:?}");
        // What a long run is to show: workers and coordinators are killed in about this proportion.
        let (workers, coordinators) = (small["kill worker"], small["kill coordinator"]);
        assert!(workers >= 3 * coordinators && coordinators * 5 >= workers, "{small:?}");
    }

    #[test]
    fn members_exist() {
        for (_, event) in Schedule::new(3, LARGE).take(2_000) {
            match event {
                Event::KillWorker(worker, _) | Event::CutWorker(worker) | Event::MoveWorker(worker) => assert!(worker < 3),
                Event::KillCoordinator(coordinator, _) | Event::CutDatabase(coordinator) => assert!(coordinator < 2),
                _ => {}
            }
        }
    }
}

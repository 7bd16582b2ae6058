//! The fleet: its processes, the proxies between them, and what is done to them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::member::{Change, Member, PATIENCE};
use super::schedule::{Event, Fleet};
use super::{DATABASE, MAX_FAILURES, Report, Settings, Store, sweeps};
use crate::chance::Chance;
use crate::postgres::Postgres;
use crate::processes::{is_alive, send};
use crate::proxy::{Odds, Plan, Proxy, seeded};

/// Slots of a worker.
const N_SLOTS: u32 = 2;

/// What happens to workers' connections beside the events of the schedule.
const ODDS: Odds = Odds { delay: 0.3, throttle: 0.1, pause: 0.15, drop: 0.05, cut: 0.2, half_close: 0.06, black_hole: 0.06, replay: 0.15 };

/// The share of the fleet's time that jobs are planned to take; the rest is lost to the faults.
const USEFUL_SHARE: f64 = 0.5;

/// What a coordinator ends with at a failpoint.
const FAILPOINT_EXIT: i32 = 86;

/// After PostgreSQL is there again, how long a coordinator may still fail to start.
const GRACE: Duration = Duration::from_secs(5);

/// A coordinator, its proxy to the database, and where it listens.
struct Coordinator {
    member: Member,
    to_database: Option<Proxy>,
    address: Option<SocketAddr>,
    /// Decides where its lives end by themselves.
    chance: Chance,
    /// For the command line: without faults of its own.
    front: Proxy,
}

impl Coordinator {
    fn serves(&self) -> bool {
        self.address.is_some() && self.member.is_up()
    }
}

/// A worker and its proxy to a coordinator.
struct Worker {
    member: Member,
    proxy: Proxy,
    coordinator: usize,
    partitioned_until: Option<Duration>,
}

/// Everything that runs.
pub(super) struct Running {
    coordinators: Vec<Coordinator>,
    workers: Vec<Worker>,
    postgres: Option<Postgres>,
    /// What is due with PostgreSQL: that it is started again, or let go on.
    postgres_due: Option<(Duration, Revival)>,
    /// Since when PostgreSQL has been there.
    postgres_since: Duration,
    database: String,
    /// Whether PostgreSQL did not come back: nothing more can be learnt then.
    is_broken: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Revival {
    Start,
    GoOn,
}

impl Running {
    pub(super) fn new(settings: &Settings, binary: &Path, folder: &Path, postgres: Option<Postgres>) -> Self {
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let proxy = |upstream, seed: Option<u64>| {
            let started = match seed {
                Some(seed) => Proxy::start(upstream, seeded(seed, ODDS)),
                None => Proxy::start(upstream, |_| Plan::default()),
            };
            started.expect("a loopback port can be listened on")
        };
        let database = match (&settings.store, &postgres) {
            (Store::Sqlite(file), _) => sqlite_url(file.as_deref(), folder),
            (Store::Postgres(_), Some(postgres)) => postgres.url(DATABASE),
            (Store::Postgres(_), None) => unreachable!("a run on PostgreSQL has a server"),
        };
        let coordinators = (0..settings.n_coordinators()).map(|index| {
            let to_database = postgres.as_ref().map(|server| proxy(SocketAddr::from((Ipv4Addr::LOCALHOST, server.port())), None));
            let url = match (&to_database, &postgres) {
                (Some(proxy), Some(server)) => database.replace(&format!(":{}/", server.port()), &format!(":{}/", proxy.address().port())),
                _ => database.clone(),
            };
            let arguments = [
                "coordinator",
                "--listen",
                "127.0.0.1:0",
                "--database",
                &url,
                "--lease-seconds",
                "2",
                "--heartbeat-seconds",
                "1",
                "--max-failures",
                &MAX_FAILURES.to_string(),
                "--quarantine-after",
                &MAX_FAILURES.to_string(),
            ]
            .map(str::to_owned);
            let mut member =
                Member::new(format!("coordinator-{index}"), binary, folder, arguments.to_vec(), "coordinator started".to_owned());
            let mut chance = Chance::new(settings.seed).fork(&member.name);
            member.next_arguments = failpoint(&mut chance);
            Coordinator { member, to_database, address: None, chance, front: proxy(nowhere, None) }
        });
        let coordinators: Vec<_> = coordinators.collect();
        let simulate = simulation(settings);
        let workers = (0..settings.n_workers).map(|index| {
            let seed = Chance::new(settings.seed).fork(&format!("worker {index}")).draw();
            let proxy = proxy(nowhere, Some(seed));
            let name = format!("worker-{index}");
            let url = format!("http://{}", proxy.address());
            let slots = N_SLOTS.to_string();
            let arguments = ["worker", "--coordinator", &url, "--name", &name, "--slots", &slots, "--trainer", "simulated"];
            let arguments = arguments.into_iter().chain(["--simulate", &simulate, "--hang-after", "20s"]).map(str::to_owned).collect();
            let listening = format!("worker {name}: {slots} slots, trainer simulated");
            let member = Member::new(name, binary, folder, arguments, listening);
            Worker { member, proxy, coordinator: index % settings.n_coordinators(), partitioned_until: None }
        });
        let workers = workers.collect();
        Self { coordinators, workers, postgres, postgres_due: None, postgres_since: Duration::ZERO, database, is_broken: false }
    }

    /// Who there is.
    pub(super) fn fleet(&self) -> Fleet {
        Fleet { n_workers: self.workers.len(), n_coordinators: self.coordinators.len(), has_server: self.postgres.is_some() }
    }

    /// The database's URL, past all proxies.
    pub(super) fn direct_database(&self) -> &str {
        &self.database
    }

    /// The URL at which the command line reaches a coordinator, whichever port it listens on at present.
    pub(super) fn front(&self, index: usize) -> String {
        format!("http://{}", self.coordinators[index % self.coordinators.len()].front.address())
    }

    pub(super) fn struck(&self) -> BTreeMap<&'static str, u64> {
        let mut all = BTreeMap::new();
        let to_database = self.coordinators.iter().filter_map(|coordinator| coordinator.to_database.as_ref());
        for proxy in self.workers.iter().map(|worker| &worker.proxy).chain(to_database) {
            for (name, n) in proxy.struck() {
                *all.entry(name).or_default() += n;
            }
        }
        all
    }

    /// Whether the run cannot go on.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// The server, with everybody who uses it gone.
    pub(super) fn into_postgres(self) -> Option<Postgres> {
        self.postgres
    }

    /// Does what is due: starts again, lets go on, heals.
    pub(super) fn tend(&mut self, now: Duration, report: &mut Report) {
        self.tend_postgres(now, report);
        let database_is_new = self.postgres.is_some() && (self.postgres_due.is_some() || now < self.postgres_since + GRACE);
        for coordinator in &mut self.coordinators {
            match coordinator.member.tend(now) {
                Some(Change::Started) => {
                    coordinator.address = None;
                    coordinator.member.next_arguments = failpoint(&mut coordinator.chance);
                }
                Some(Change::Fell(Some(FAILPOINT_EXIT), _)) => *report.events.entry("coordinator at failpoint").or_default() += 1,
                // It had not served yet, and could not: it says so and ends.
                Some(Change::Fell(..)) if coordinator.address.is_none() && database_is_new => {
                    *report.events.entry("start refused without database").or_default() += 1;
                }
                Some(Change::Fell(_, message) | Change::LeftBadly(message)) => report.faults.push(message),
                None => {}
            }
            if coordinator.address.is_none() && coordinator.member.is_up() {
                coordinator.address = address(&coordinator.member.stdout());
                if let Some(address) = coordinator.address {
                    coordinator.front.lead_to(address);
                }
            }
        }
        for worker in &mut self.workers {
            match worker.member.tend(now) {
                Some(Change::Fell(_, message) | Change::LeftBadly(message)) => report.faults.push(message),
                Some(Change::Started) | None => {}
            }
            if worker.partitioned_until.is_some_and(|until| now >= until) {
                worker.proxy.heal();
                worker.partitioned_until = None;
            }
            if let Some(address) = self.coordinators[worker.coordinator].address {
                worker.proxy.lead_to(address);
            }
        }
    }

    fn tend_postgres(&mut self, now: Duration, report: &mut Report) {
        let Some(postgres) = &mut self.postgres else { return };
        if let Some((at, revival)) = self.postgres_due
            && now >= at
        {
            match revival {
                Revival::Start => {
                    if let Err(error) = postgres.start_again() {
                        report.faults.push(format!("PostgreSQL did not come back: {error}"));
                        self.is_broken = true;
                    }
                }
                Revival::GoOn => postgres.go_on(),
            }
            self.postgres_due = None;
            self.postgres_since = now;
        }
    }

    /// Lets an event happen.
    pub(super) fn strike(&mut self, event: Event, now: Duration, report: &mut Report) {
        let struck = match event {
            Event::KillWorker(index, back_after) => self.workers[index].member.kill(now, back_after),
            Event::KillTrainer(index, number) => {
                let trainers = self.workers[index].member.children();
                let victim = trainers.get(number % trainers.len().max(1));
                victim.inspect(|process| send("KILL", &process.to_string())).is_some()
            }
            Event::DrainWorker(index, back_after) => self.workers[index].member.leave(now, Some(back_after)),
            Event::HoldWorker(index, time) => self.workers[index].member.hold(now, time),
            Event::CutWorker(index) => {
                self.workers[index].proxy.cut();
                true
            }
            Event::PartitionWorker(index, time) => {
                self.workers[index].proxy.partition();
                self.workers[index].partitioned_until = Some(now + time);
                true
            }
            Event::MoveWorker(index) => {
                let worker = &mut self.workers[index];
                worker.coordinator = (worker.coordinator + 1) % self.coordinators.len();
                if let Some(address) = self.coordinators[worker.coordinator].address {
                    worker.proxy.lead_to(address);
                }
                worker.proxy.cut();
                true
            }
            Event::KillCoordinator(index, back_after) => self.coordinators[index].member.kill(now, back_after),
            Event::RestartCoordinator(index, back_after) => {
                self.coordinators[index].serves() && self.coordinators[index].member.leave(now, Some(back_after))
            }
            Event::HoldCoordinator(index, time) => self.coordinators[index].member.hold(now, time),
            Event::CutDatabase(index) => self.coordinators[index].to_database.as_ref().inspect(|proxy| proxy.cut()).is_some(),
            Event::StopDatabase(time) => self.disturb_postgres(now + time, Revival::Start),
            Event::HoldDatabase(time) => self.disturb_postgres(now + time, Revival::GoOn),
        };
        if struck {
            *report.events.entry(event.name()).or_default() += 1;
        } else {
            report.missed += 1;
        }
    }

    fn disturb_postgres(&mut self, until: Duration, revival: Revival) -> bool {
        let Some(postgres) = self.postgres.as_mut().filter(|_| self.postgres_due.is_none()) else { return false };
        match revival {
            Revival::Start => postgres.stop_immediately(),
            Revival::GoOn => postgres.pause(),
        }
        self.postgres_due = Some((until, revival));
        true
    }

    /// Ends what is held, lets everybody finish, workers first, and looks for processes that were left behind.
    pub(super) fn retire(&mut self, begin: Instant, report: &mut Report) {
        self.postgres_due = self.postgres_due.map(|(_, revival)| (Duration::ZERO, revival));
        for worker in &mut self.workers {
            worker.partitioned_until = Some(Duration::ZERO);
        }
        for coordinator in &mut self.coordinators {
            // A worker gives its jobs back to somebody.
            coordinator.member.revive();
        }
        self.tend_until(begin, report, |running, _| running.coordinators.iter().all(Coordinator::serves));
        self.tend_until(begin, report, |running, now| {
            running.workers.iter_mut().for_each(|worker| worker.member.send_home(now));
            running.workers.iter().all(|worker| worker.member.is_gone())
        });
        self.tend_until(begin, report, |running, now| {
            running.coordinators.iter_mut().for_each(|coordinator| coordinator.member.send_home(now));
            running.coordinators.iter().all(|coordinator| coordinator.member.is_gone())
        });
        self.find_left_behind(report);
        let members =
            self.workers.iter().map(|worker| &worker.member).chain(self.coordinators.iter().map(|coordinator| &coordinator.member));
        for member in members {
            let log = std::fs::read(member.log_file()).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            let panics = log.lines().filter(|line| line.contains("panicked at"));
            report.faults.extend(panics.map(|line| format!("{}: {line}", member.name)));
        }
    }

    fn tend_until(&mut self, begin: Instant, report: &mut Report, mut is_done: impl FnMut(&mut Self, Duration) -> bool) {
        let since = begin.elapsed();
        while !is_done(self, begin.elapsed()) {
            self.tend(begin.elapsed(), report);
            if self.is_broken {
                return;
            }
            if begin.elapsed() > since + PATIENCE * 2 {
                report.faults.push(format!("the fleet did not come to rest within {:?}", PATIENCE * 2));
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Trainers end when their worker is gone, however it went.
    fn find_left_behind(&self, report: &mut Report) {
        let since = crate::now();
        let alive = || -> Vec<u32> {
            let left = self.workers.iter().flat_map(|worker| worker.member.left_behind.iter().copied());
            left.filter(|process| is_alive(*process) && is_trainer(*process)).collect()
        };
        while !alive().is_empty() && since.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(20));
        }
        report.faults.extend(alive().iter().map(|process| format!("trainer process {process} outlived its worker")));
    }
}

/// The number may have been given to another process meanwhile.
fn is_trainer(process: u32) -> bool {
    let line = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0).any(|word| word == b"trainer")
}

fn sqlite_url(file: Option<&Path>, folder: &Path) -> String {
    let file = file.map_or_else(|| folder.join("chaos.db"), Path::to_owned);
    let file: PathBuf = std::path::absolute(&file).unwrap_or(file);
    assert!(!file.exists(), "`{}` is there already: a run begins with an empty database", file.display());
    format!("sqlite:{}", file.display())
}

/// What the next life of a coordinator is asked to stumble over: half of them end, fail or wait right before or right after a commit.
fn failpoint(chance: &mut Chance) -> Vec<String> {
    let place = chance.weighted(&[
        (4, "apply.before-commit"),
        (6, "apply.after-commit"),
        (2, "session.before-commit"),
        (2, "session.after-commit"),
        (1, "submit.in-the-middle"),
        (1, "submit.before-commit"),
        (1, "submit.after-commit"),
    ]);
    // A life of seconds sees a few hundred batches of what workers ask for, a few sessions and hardly a submission.
    let hit = if place.starts_with("apply") { chance.within(1..150) } else { chance.within(1..4) };
    let action = chance.weighted(&[(4, "exit"), (2, "error"), (1, "delay:400")]);
    if chance.happens(0.5) { vec!["--failpoints".to_owned(), format!("{place}={action}@{hit}")] } else { Vec::new() }
}

/// Where a coordinator says that it listens.
fn address(stdout: &str) -> Option<SocketAddr> {
    let (_, rest) = stdout.split_once("http://")?;
    // A line that is not whole yet may end within the port.
    rest.split_once(char::is_whitespace)?.0.parse().ok()
}

/// Jobs that take as long as makes the fleet busy for the time wanted, and now and then fail in every way.
fn simulation(settings: &Settings) -> String {
    let slots = f64::from(settings.n_workers as u32 * N_SLOTS);
    let job = settings.time.as_secs_f64() * slots * USEFUL_SHARE / sweeps::n_jobs(settings) as f64;
    let epoch_ms = (job / f64::from(sweeps::N_EPOCHS) * 1_000.0).clamp(5.0, 2_000.0) as u64;
    format!("epoch-ms={epoch_ms},crash=0.02,error=0.02,oom=0.01,nan=0.005,slow=0.01")
}

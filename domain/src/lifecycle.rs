//! The states of a job, and what moves it between them.

use crate::outcome::FailureKind;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Waits for other jobs' results.
    Blocked,
    /// Waits for a worker, perhaps until its back-off is over.
    Queued,
    /// A worker has the right to work on it.
    Leased,
    /// Its one result is accepted. Final, unless somebody takes the result back.
    Succeeded,
    /// It failed as often as it may, or a job that it waits for did. Final, unless somebody asks for another round of tries.
    Failed,
    /// Its loss became NaN or infinite. Final: the same seed would do so again.
    Diverged,
    /// It crashed trainers on several workers. Final, unless somebody asks for another round of tries.
    Quarantined,
    /// Somebody did not want it any more. Final, unless somebody else does.
    Cancelled,
}

impl State {
    /// Every state, in the order of a job's life.
    pub const ALL: [Self; 8] =
        [Self::Blocked, Self::Queued, Self::Leased, Self::Succeeded, Self::Failed, Self::Diverged, Self::Quarantined, Self::Cancelled];

    /// The state's name, as the database and the wire write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Queued => "queued",
            Self::Leased => "leased",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Diverged => "diverged",
            Self::Quarantined => "quarantined",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads a state's name; `None` where no state has it.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether no worker moves a job out of this state: a sweep is finished when all its jobs are in such states.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Blocked | Self::Queued | Self::Leased => false,
            Self::Succeeded | Self::Failed | Self::Diverged | Self::Quarantined | Self::Cancelled => true,
        }
    }
}

/// What happens to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The last job that it waited for has its result.
    Unblocked,
    /// A job that it waits for ended without a result.
    DependencyFailed,
    /// A worker takes it.
    Claimed,
    /// The worker of the current attempt delivers a result.
    Completed,
    /// The worker of the current attempt reports a failure.
    Failed(FailureKind),
    /// The lease ran out, or the worker's session ended without a word.
    Lost,
    /// The worker gives the lease back: it ends, or was told to.
    Preempted,
    /// Somebody asks for another round of tries, as many as the first.
    Retried,
    /// Somebody takes its result back, and asks for another.
    TakenBack,
    /// Somebody does not want it any more.
    Cancelled,
}

/// What has gone wrong with a job since it was last asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Failures that count.
    pub n_failures: u32,
    /// Workers on which it crashed the trainer, the one of the present event included.
    pub n_crashed_workers: u32,
    /// Whether another worker offers the job's dataset, and the one of the present event does so no longer.
    pub data_elsewhere: bool,
}

/// How much may go wrong with a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Failures, at least 1.
    pub max_failures: u32,
    /// Workers on which it may crash the trainer before it is kept from the others, at least 1.
    pub quarantine_after: u32,
}

/// The state after an event, and what else follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// Where the job stands now.
    pub state: State,
    /// Whether a failure is counted against the attempt budget.
    pub counts_as_failure: bool,
    /// Whether earlier failures do not count any more.
    pub forgets_failures: bool,
    /// Whether the job waits before it can be claimed again.
    pub backs_off: bool,
}

impl Transition {
    /// Moves to `state`, and nothing else follows.
    const fn to(state: State) -> Self {
        Self { state, counts_as_failure: false, forgets_failures: false, backs_off: false }
    }
}

/// What `event` does to a job in `state`; `None` where the event cannot happen.
///
/// A policy per kind of failure:
///
/// | kind | counts | what follows |
/// |---|---|---|
/// | failed, out of memory, timed out | yes | back-off, until the failures are used up |
/// | crashed | yes | the same; on several workers: quarantine |
/// | no data | yes | queued at once, for workers with other data; failed where there are none |
/// | diverged | no | final: trying again would diverge again |
/// | lost, preempted | no | queued at once: it says nothing about the job |
///
/// A retry begins the counting anew; attempts go on being numbered where they were, because their numbers fence reports. Whether a retried
/// job is queued or blocked depends on the jobs that it waits for: the table says `Queued`, and the store blocks what must wait.
pub fn step(state: State, event: Event, tally: Tally, limits: Limits) -> Option<Transition> {
    match (state, event) {
        (State::Blocked, Event::Unblocked) | (State::Leased, Event::Lost | Event::Preempted) => Some(Transition::to(State::Queued)),
        (State::Blocked, Event::DependencyFailed) => Some(Transition::to(State::Failed)),
        (State::Queued, Event::Claimed) => Some(Transition::to(State::Leased)),
        (State::Leased, Event::Completed) => Some(Transition::to(State::Succeeded)),
        (State::Leased, Event::Failed(FailureKind::Diverged)) => Some(Transition::to(State::Diverged)),
        (State::Leased, Event::Failed(FailureKind::NoData)) => {
            let is_worth_it = tally.data_elsewhere && tally.n_failures.saturating_add(1) < limits.max_failures;
            Some(Transition { counts_as_failure: true, ..Transition::to(if is_worth_it { State::Queued } else { State::Failed }) })
        }
        (State::Leased, Event::Failed(kind)) => {
            let exhausted = tally.n_failures.saturating_add(1) >= limits.max_failures;
            let state = if kind == FailureKind::Crashed && tally.n_crashed_workers >= limits.quarantine_after {
                State::Quarantined
            } else if exhausted {
                State::Failed
            } else {
                State::Queued
            };
            Some(Transition { counts_as_failure: true, backs_off: state == State::Queued, ..Transition::to(state) })
        }
        (State::Failed | State::Diverged | State::Quarantined | State::Cancelled, Event::Retried)
        | (State::Succeeded, Event::TakenBack) => Some(Transition { forgets_failures: true, ..Transition::to(State::Queued) }),
        (State::Blocked | State::Queued | State::Leased, Event::Cancelled) => Some(Transition::to(State::Cancelled)),
        (
            State::Blocked,
            Event::Claimed | Event::Completed | Event::Failed(_) | Event::Lost | Event::Preempted | Event::Retried | Event::TakenBack,
        )
        | (
            State::Queued,
            Event::Unblocked
            | Event::DependencyFailed
            | Event::Completed
            | Event::Failed(_)
            | Event::Lost
            | Event::Preempted
            | Event::Retried
            | Event::TakenBack,
        )
        | (State::Leased, Event::Unblocked | Event::DependencyFailed | Event::Claimed | Event::Retried | Event::TakenBack)
        | (State::Succeeded, Event::Retried)
        | (State::Failed | State::Diverged | State::Quarantined | State::Cancelled, Event::TakenBack)
        | (
            State::Succeeded | State::Failed | State::Diverged | State::Quarantined | State::Cancelled,
            Event::Unblocked
            | Event::DependencyFailed
            | Event::Claimed
            | Event::Completed
            | Event::Failed(_)
            | Event::Lost
            | Event::Preempted
            | Event::Cancelled,
        ) => None,
    }
}

/// The first delay; short, because most failures on a shared machine pass at once.
const BACK_OFF_FIRST_MS: u64 = 1_000;
/// The longest delay, milliseconds: a fleet whose fault is repaired is at work again within minutes.
pub const BACK_OFF_LONGEST_MS: u64 = 300_000;

/// Delay after failure number `n_failures`, milliseconds: doubling from 1 s to at most 5 minutes, times a factor in [0.5, 1) drawn from `seed`.
///
/// The factor differs from failure to failure, and between jobs as their seeds do, so that jobs that failed together do not come back
/// together. Without a failure there is no delay.
pub fn back_off_ms(n_failures: u32, seed: u64) -> u64 {
    let Some(doublings) = n_failures.checked_sub(1) else { return 0 };
    let factor = 1_u64.checked_shl(doublings).unwrap_or(u64::MAX);
    let full_ms = BACK_OFF_FIRST_MS.saturating_mul(factor).min(BACK_OFF_LONGEST_MS);
    let half_ms = full_ms / 2;
    half_ms + scramble(seed.wrapping_add(u64::from(n_failures))) % half_ms
}

/// The output function of `SplitMix64` (Steele, Lea, Flood, OOPSLA 2014): nearby seeds give unrelated numbers.
const fn scramble(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [Event; 14] = [
        Event::Unblocked,
        Event::DependencyFailed,
        Event::Claimed,
        Event::Completed,
        Event::Failed(FailureKind::Failed),
        Event::Failed(FailureKind::OutOfMemory),
        Event::Failed(FailureKind::TimedOut),
        Event::Failed(FailureKind::Crashed),
        Event::Failed(FailureKind::NoData),
        Event::Failed(FailureKind::Diverged),
        Event::Lost,
        Event::Preempted,
        Event::Retried,
        Event::Cancelled,
    ];

    /// The whole table, a row a state and a column an event of `EVENTS`; `+` counts a failure, `~` backs off, `0` forgets failures.
    fn table(n_failures: u32, n_crashed_workers: u32, max_failures: u32) -> String {
        let tally = Tally { n_failures, n_crashed_workers, data_elsewhere: false };
        let limits = Limits { max_failures, quarantine_after: 2 };
        let cell = |state, event| match step(state, event, tally, limits) {
            None => "-".to_owned(),
            Some(next) => {
                let marks = [(next.counts_as_failure, "+"), (next.backs_off, "~"), (next.forgets_failures, "0")];
                let marks: String = marks.into_iter().filter(|(set, _)| *set).map(|(_, mark)| mark).collect();
                format!("{}{marks}", next.state.as_str())
            }
        };
        State::ALL.map(|state| EVENTS.map(|event| cell(state, event)).join(" ")).join("\n")
    }

    #[test]
    fn every_event_in_every_state() {
        let with_budget_left = "\
queued failed - - - - - - - - - - - cancelled
- - leased - - - - - - - - - - cancelled
- - - succeeded queued+~ queued+~ queued+~ queued+~ failed+ diverged queued queued - cancelled
- - - - - - - - - - - - - -
- - - - - - - - - - - - queued0 -
- - - - - - - - - - - - queued0 -
- - - - - - - - - - - - queued0 -
- - - - - - - - - - - - queued0 -";
        assert_eq!(table(0, 1, 3), with_budget_left);
        assert_eq!(table(1, 1, 3), with_budget_left);
        let on_the_last_attempt = with_budget_left.replace("queued+~", "failed+");
        assert_eq!(table(2, 1, 3), on_the_last_attempt);
        assert_eq!(table(0, 1, 1), on_the_last_attempt);
        assert_eq!(table(u32::MAX, 1, u32::MAX), on_the_last_attempt);
    }

    #[test]
    fn a_job_that_crashes_trainers_on_several_workers_is_quarantined_whatever_is_left_of_its_tries() {
        for n_failures in [1, 2] {
            let crashes = |n_crashed_workers| {
                let tally = Tally { n_failures, n_crashed_workers, data_elsewhere: false };
                let limits = Limits { max_failures: 3, quarantine_after: 2 };
                step(State::Leased, Event::Failed(FailureKind::Crashed), tally, limits).map(|next| next.state)
            };
            assert_eq!(crashes(2), Some(State::Quarantined));
            assert_eq!(crashes(1), Some(if n_failures == 2 { State::Failed } else { State::Queued }));
        }
    }

    #[test]
    fn a_job_without_good_data_goes_to_a_worker_with_other_data_or_nowhere() {
        let next = |n_failures, data_elsewhere| {
            let tally = Tally { n_failures, n_crashed_workers: 0, data_elsewhere };
            let limits = Limits { max_failures: 3, quarantine_after: 2 };
            step(State::Leased, Event::Failed(FailureKind::NoData), tally, limits).unwrap()
        };
        let counted = Transition { counts_as_failure: true, ..Transition::to(State::Queued) };
        assert_eq!(next(0, true), counted, "at once: the worker that has none is not asked again");
        assert_eq!(next(2, true).state, State::Failed);
        assert_eq!(next(0, false).state, State::Failed);
    }

    #[test]
    fn no_worker_moves_a_job_out_of_a_final_state() {
        let (tally, limits) = (Tally::default(), Limits { max_failures: 3, quarantine_after: 2 });
        for state in State::ALL {
            let stuck = EVENTS.iter().filter(|event| **event != Event::Retried).all(|event| step(state, *event, tally, limits).is_none());
            assert_eq!(stuck, state.is_final(), "{state:?}");
        }
    }

    #[test]
    fn names_are_read_back() {
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
        assert_eq!(State::parse("Queued"), None);
        assert_eq!(State::parse(""), None);
    }

    #[test]
    fn back_off_doubles_up_to_five_minutes() {
        let full_ms = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000, 300_000];
        for seed in 0..1_000 {
            assert_eq!(back_off_ms(0, seed), 0);
            for (n_failures, full_ms) in (1..).zip(full_ms) {
                let ms = back_off_ms(n_failures, seed);
                assert!((full_ms / 2..full_ms).contains(&ms), "{ms} after {n_failures} failures");
            }
            assert!((150_000..300_000).contains(&back_off_ms(u32::MAX, seed)));
        }
    }

    #[test]
    fn back_off_spreads_jobs_and_is_repeatable() {
        let delays: Vec<u64> = (0..1_000).map(|seed| back_off_ms(1, seed)).collect();
        let mean = delays.iter().sum::<u64>() as f64 / 1_000.0;
        // Uniform on [500, 1000): mean 749.5, standard error of 1,000 draws 4.6.
        assert!((mean - 749.5).abs() < 5.0 * 4.6, "{mean}");
        assert_eq!(delays, (0..1_000).map(|seed| back_off_ms(1, seed)).collect::<Vec<_>>());
    }

    #[test]
    fn scramble_is_splitmix64() {
        // First outputs of the reference implementation seeded with 1234567: each adds the constant once more.
        let outputs = [6_457_827_717_110_365_317_u64, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        for (index, output) in (0_u64..).zip(outputs) {
            assert_eq!(scramble(1_234_567_u64.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15))), output);
        }
    }
}

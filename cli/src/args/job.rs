//! Arguments of `offramp job ...`.

use clap::{Args, Subcommand, ValueEnum};
use offramp_domain::lifecycle::State;

use crate::args::{CoordinatorAddress, Reason, SelectArguments, SourceArguments};

/// What to do with jobs.
#[derive(Debug, Subcommand)]
pub(crate) enum JobCommand {
    /// List jobs, in the sweep's order
    List(ListJobsArguments),
    /// Show one job: configuration, history, attempts, learning curve, exits, operating points
    Show(ShowJobArguments),
    /// Say why a job is not running, and which worker comes nearest to what it needs
    Explain(ExplainJobArguments),
    /// Try a job again that ended without a result
    Retry(RetryJobArguments),
    /// Cancel a job, whichever sweeps want it
    Cancel(ControlJobArguments),
    /// Delete a job with its result, in every sweep that has it
    Delete(DeleteJobArguments),
    /// Have a job handed out earlier or later than the others of its sweep
    Priority(PrioritizeJobArguments),
}

/// Arguments of `offramp job list`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp job list last --state failed
  offramp job list last --where 'pattern.slope > 0' --sort -area --columns job,pattern,seed,area
  offramp job list digits --output csv > jobs.csv")]
pub(crate) struct ListJobsArguments {
    /// The sweep: `last`, an id, or a name [default: every job in the database]
    #[arg(value_name = "SWEEP")]
    pub(crate) sweep: Option<String>,
    /// Only jobs in this state
    #[arg(long, value_enum, value_name = "STATE")]
    pub(crate) state: Option<StateFilter>,
    /// Which rows.
    #[command(flatten)]
    pub(crate) select: SelectArguments,
    /// Where to read.
    #[command(flatten)]
    pub(crate) source: SourceArguments,
}

/// A job's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StateFilter {
    /// Waits for other jobs' results
    Blocked,
    /// Waits for a worker
    Queued,
    /// A worker is on it
    #[value(alias = "running")]
    Leased,
    /// Has its result
    Succeeded,
    /// Failed as often as it may, or a job that it waits for did
    Failed,
    /// Its loss became NaN or infinite
    Diverged,
    /// Crashed trainers on several workers
    Quarantined,
    /// Somebody did not want it any more
    Cancelled,
}

impl StateFilter {
    /// The state that it stands for.
    pub(crate) const fn state(self) -> State {
        match self {
            Self::Blocked => State::Blocked,
            Self::Queued => State::Queued,
            Self::Leased => State::Leased,
            Self::Succeeded => State::Succeeded,
            Self::Failed => State::Failed,
            Self::Diverged => State::Diverged,
            Self::Quarantined => State::Quarantined,
            Self::Cancelled => State::Cancelled,
        }
    }
}

/// Arguments of `offramp job show`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp job show 0123456789ab
  offramp job show 0123 --output json

In CSV this is the job's row alone; JSON has everything.")]
pub(crate) struct ShowJobArguments {
    /// The job's id, or a prefix that no other job has
    #[arg(value_name = "ID")]
    pub(crate) job: String,
    /// Where to read.
    #[command(flatten)]
    pub(crate) source: SourceArguments,
}

/// Arguments of `offramp job explain`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp job explain 0123456789ab --coordinator http://node0:7717

In CSV these are the workers and what each lacks; JSON has everything.")]
pub(crate) struct ExplainJobArguments {
    /// The job's id, or a prefix that no other job has
    #[arg(value_name = "ID")]
    pub(crate) job: String,
    /// Where to read.
    #[command(flatten)]
    pub(crate) source: SourceArguments,
}

/// Arguments of `offramp job retry`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp job retry 0123456789ab --reason \"disk was full\"
  offramp job retry --again 0123456789ab --reason \"trained on a faulty GPU\"

A failed, diverged, quarantined or cancelled job is queued again with all its tries before it. One
that is queued already stays so. With --again, a job that has its result loses it, and its points
leave every frontier; what they had dominated returns.")]
pub(crate) struct RetryJobArguments {
    /// The job's id, or a prefix that no other job has
    #[arg(value_name = "ID")]
    pub(crate) job: String,
    /// Take its result back where it has one, and train it anew
    #[arg(long)]
    pub(crate) again: bool,
    /// Why.
    #[command(flatten)]
    pub(crate) reason: Reason,
    /// Whom to ask.
    #[command(flatten)]
    pub(crate) address: CoordinatorAddress,
}

/// Arguments of `offramp job delete`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp job delete 0123456789ab --reason \"trained on a faulty GPU\"
  offramp job delete 0123456789ab --yes

Its result, operating points and history go, and what its points had dominated returns to the
frontiers. A job that runs is refused: cancel it first. There is no way back; `offramp job retry
--again ID` trains it anew instead.")]
pub(crate) struct DeleteJobArguments {
    /// The job's id, or a prefix that no other job has
    #[arg(value_name = "ID")]
    pub(crate) job: String,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// Why.
    #[command(flatten)]
    pub(crate) reason: Reason,
    /// Whom to ask.
    #[command(flatten)]
    pub(crate) address: CoordinatorAddress,
}

/// Arguments of `offramp job cancel`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp job cancel 0123456789ab --reason \"wrong learning rate\"

If it runs, its worker stops it with the next heartbeat. `offramp job retry ID` takes it up again.")]
pub(crate) struct ControlJobArguments {
    /// The job's id, or a prefix that no other job has
    #[arg(value_name = "ID")]
    pub(crate) job: String,
    /// Why.
    #[command(flatten)]
    pub(crate) reason: Reason,
    /// Whom to ask.
    #[command(flatten)]
    pub(crate) address: CoordinatorAddress,
}

/// Arguments of `offramp job priority`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp job priority 0123456789ab 10
  offramp job priority 0123456789ab -5

It is added to the priority of the job's sweep; 0 is what jobs have at first.")]
pub(crate) struct PrioritizeJobArguments {
    /// The job's id, or a prefix that no other job has
    #[arg(value_name = "ID")]
    pub(crate) job: String,
    /// What is added to the sweep's priority, -100 to 100; higher is earlier
    #[arg(value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(-100..=100))]
    pub(crate) priority: i32,
    /// Why.
    #[command(flatten)]
    pub(crate) reason: Reason,
    /// Whom to ask.
    #[command(flatten)]
    pub(crate) address: CoordinatorAddress,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_can_be_asked_for_by_its_name() {
        let names: Vec<_> =
            StateFilter::value_variants().iter().map(|filter| filter.to_possible_value().unwrap().get_name().to_owned()).collect();
        assert_eq!(names, State::ALL.map(State::as_str));
        assert_eq!(StateFilter::value_variants().iter().map(|filter| filter.state()).collect::<Vec<_>>(), State::ALL);
        // As tables call them.
        assert_eq!(StateFilter::from_str("running", false), Ok(StateFilter::Leased));
    }
}

//! Faults on request, at the boundaries where a crash is most telling: right before a commit, and between a commit and its answer.
//!
//! Whole-system tests start a coordinator with `apply.after-commit=exit@3` and look at what is left. Without such a request nothing happens.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The places that have a name. `apply` is what workers ask for, `submit` a submission, `control` what people do to sweeps and jobs, `session` a
/// worker's coming.
const PLACES: [&str; 9] = [
    "apply.before-commit",
    "apply.after-commit",
    "submit.in-the-middle",
    "submit.before-commit",
    "submit.after-commit",
    "control.before-commit",
    "control.after-commit",
    "session.before-commit",
    "session.after-commit",
];

/// What the process ends with at a failpoint: no other exit of ours has this code.
const EXIT_CODE: i32 = 86;

/// Faults that a coordinator was asked for. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Failpoints {
    points: Arc<[Failpoint]>,
}

#[derive(Debug)]
struct Failpoint {
    place: &'static str,
    action: Action,
    /// The hit that it acts on, from 1; 0 for every hit.
    at: u32,
    n_hits: AtomicU32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    /// End the process, with nothing cleaned up.
    Exit,
    /// Fail as a lost connection does.
    Error,
    /// Wait.
    Delay(Duration),
}

/// What is wrong with a request for faults.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not of the form PLACE=exit|error|delay:MS[@HIT] with a place of {places}", places = PLACES.join(", "))]
pub struct FailpointError(String);

impl FromStr for Failpoints {
    type Err = FailpointError;

    fn from_str(text: &str) -> Result<Self, FailpointError> {
        let pieces = text.split(',').map(str::trim).filter(|piece| !piece.is_empty());
        Ok(Self { points: pieces.map(Failpoint::parse).collect::<Result<_, _>>()? })
    }
}

/// Two requests are the same when they ask for the same, however much of it has happened.
impl PartialEq for Failpoints {
    fn eq(&self, other: &Self) -> bool {
        let asked = |points: &Self| points.points.iter().map(|point| (point.place, point.action, point.at)).collect::<Vec<_>>();
        asked(self) == asked(other)
    }
}

impl Eq for Failpoints {}

impl Failpoint {
    fn parse(piece: &str) -> Result<Self, FailpointError> {
        let wrong = || FailpointError(piece.to_owned());
        let (place, action) = piece.split_once('=').ok_or_else(wrong)?;
        let place = PLACES.into_iter().find(|known| *known == place).ok_or_else(wrong)?;
        let (action, at) = match action.split_once('@') {
            Some((action, at)) => (action, at.parse().map_err(|_| wrong())?),
            None => (action, 0),
        };
        let action = match action.split_once(':') {
            None if action == "exit" => Action::Exit,
            None if action == "error" => Action::Error,
            Some(("delay", ms)) => Action::Delay(Duration::from_millis(ms.parse::<u32>().map_err(|_| wrong())?.into())),
            _ => return Err(wrong()),
        };
        Ok(Self { place, action, at, n_hits: AtomicU32::new(0) })
    }
}

impl Failpoints {
    /// Passes a place, unless something was asked for there.
    ///
    /// # Errors
    /// When a failure was asked for.
    pub(crate) async fn pass(&self, place: &str) -> Result<(), sqlx::Error> {
        for point in self.points.iter().filter(|point| point.place == place) {
            let hit = point.n_hits.fetch_add(1, Ordering::Relaxed) + 1;
            if point.at != 0 && point.at != hit {
                continue;
            }
            tracing::warn!(place, hit, action = ?point.action, "failpoint");
            match point.action {
                Action::Exit => std::process::exit(EXIT_CODE),
                Action::Error => return Err(sqlx::Error::Io(std::io::Error::other(format!("failpoint {place}")))),
                Action::Delay(time) => tokio::time::sleep(time).await,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failpoint_acts_on_its_hit_alone() {
        let points: Failpoints = "apply.before-commit=error@2, submit.after-commit=delay:0".parse().unwrap();
        for (hit, fails) in [(1, false), (2, true), (3, false)] {
            assert_eq!(points.pass("apply.before-commit").await.is_err(), fails, "hit {hit}");
        }
        points.pass("submit.after-commit").await.unwrap();
        points.pass("control.after-commit").await.unwrap();
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in ["apply=exit", "nowhere.before-commit=exit", "apply.before-commit=explode", "apply.before-commit=exit@x"] {
            assert_eq!(text.parse::<Failpoints>(), Err(FailpointError(text.to_owned())));
        }
        assert_eq!("".parse::<Failpoints>(), Ok(Failpoints::default()));
    }
}

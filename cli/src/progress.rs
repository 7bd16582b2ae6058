//! How a running sweep is shown on stderr: bars on a terminal, lines elsewhere. [`download`] shows downloads.

use std::sync::LazyLock;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use offramp_proto::v1::{JobRow, RunningJob, SweepRow, SweepStatus};

use crate::text;

mod download;

pub(crate) use download::Download;

/// All bars of this process, so that everything else on stderr can be put above them.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Runs `write`, which writes to stderr, while the bars step aside.
pub(crate) fn aside<R>(write: impl FnOnce() -> R) -> R {
    BARS.suspend(write)
}

/// How often lines sum up what is running.
const SUMMARY_INTERVAL: Duration = Duration::from_secs(5);

/// How often bars are drawn again: drawing skips changes that follow each other closely.
const REDRAW_INTERVAL: Duration = Duration::from_millis(250);

/// A sweep being shown.
#[derive(Debug)]
pub(crate) struct Progress {
    display: Display,
    /// Work done when we began to look, in jobs.
    done_at_start: Option<f64>,
}

#[derive(Debug)]
enum Display {
    Bars { jobs: ProgressBar, lines: Vec<Line> },
    Lines { last_summary: Duration },
}

/// A bar's line that shows one running job after the other.
#[derive(Debug)]
struct Line {
    /// The job it shows, if any.
    job: Option<String>,
    bar: ProgressBar,
}

impl Progress {
    /// Begins to show a sweep, on a terminal with bars.
    pub(crate) fn new(interactive: bool) -> Self {
        let display = if interactive {
            let style = ProgressStyle::with_template("{bar:30} {pos}/{len} jobs  {wide_msg}").expect("a valid template");
            let jobs = BARS.add(ProgressBar::new(0).with_style(style.progress_chars("=> ")));
            Display::Bars { jobs, lines: Vec::new() }
        } else {
            Display::Lines { last_summary: Duration::ZERO }
        };
        Self { display, done_at_start: None }
    }

    /// Shows the newest status, `elapsed` after the beginning.
    pub(crate) fn update(&mut self, status: &SweepStatus, elapsed: Duration) {
        let Some(sweep) = &status.sweep else { return };
        let done = work_done(sweep, &status.running);
        let done_at_start = *self.done_at_start.get_or_insert(done);
        let eta = remaining(elapsed, done - done_at_start, sweep.n_jobs as f64 - done);
        match &mut self.display {
            Display::Bars { jobs, lines } => {
                if jobs.length() == Some(0) {
                    // Not before: a bar without a length is drawn full.
                    jobs.enable_steady_tick(REDRAW_INTERVAL);
                }
                jobs.set_length(sweep.n_jobs.cast_unsigned());
                jobs.set_position(n_final(sweep).cast_unsigned());
                jobs.set_message(counts(sweep, eta));
                show_running(lines, &status.running);
            }
            Display::Lines { last_summary } => {
                if elapsed.saturating_sub(*last_summary) >= SUMMARY_INTERVAL {
                    *last_summary = elapsed;
                    crate::output::say(&summary_line(status, sweep, eta));
                }
            }
        }
    }

    /// Tells of a job that has reached a final state; `n_final` of `n_jobs` have. Bars show successes by themselves.
    pub(crate) fn job_ended(&mut self, job: &JobRow, n_final: i64, n_jobs: i64) {
        if matches!(self.display, Display::Lines { .. }) || job.state != "succeeded" {
            crate::output::say(&ended_line(job, n_final, n_jobs));
        }
    }

    /// Takes the bars away.
    pub(crate) fn clear(&mut self) {
        if let Display::Bars { jobs, lines } = &self.display {
            for line in lines {
                line.bar.finish_and_clear();
            }
            jobs.finish_and_clear();
        }
    }
}

/// Gives every running job a line of its own, which it keeps.
fn show_running(lines: &mut Vec<Line>, running: &[RunningJob]) {
    let shown: Vec<Option<String>> = lines.iter().map(|line| line.job.clone()).collect();
    for (index, job) in assign(&shown, running).into_iter().enumerate() {
        if index == lines.len() {
            let style = ProgressStyle::with_template("  {wide_msg}").expect("a valid template");
            let bar = BARS.add(ProgressBar::new(0).with_style(style));
            bar.enable_steady_tick(REDRAW_INTERVAL);
            lines.push(Line { job: None, bar });
        }
        lines[index].bar.set_message(job.map_or_else(String::new, slot_line));
        lines[index].job = job.map(|job| job.job.clone());
    }
}

/// Which job each line shows: the one it has shown, while that runs; otherwise one that has none, in a new line if need be.
fn assign<'a>(shown: &[Option<String>], running: &'a [RunningJob]) -> Vec<Option<&'a RunningJob>> {
    let is_shown = |job: &RunningJob| shown.iter().any(|line| line.as_ref() == Some(&job.job));
    let mut new = running.iter().filter(|job| !is_shown(job));
    let kept = |line: &Option<String>| running.iter().find(|job| line.as_ref() == Some(&job.job));
    let mut lines: Vec<_> = shown.iter().map(|line| kept(line).or_else(|| new.next())).collect();
    lines.extend(new.map(Some));
    lines
}

/// Jobs in a final state.
pub(crate) fn n_final(sweep: &SweepRow) -> i64 {
    sweep.n_succeeded + n_without_result(sweep)
}

/// Jobs that ended without a result.
pub(crate) fn n_without_result(sweep: &SweepRow) -> i64 {
    sweep.n_failed + sweep.n_diverged + sweep.n_quarantined + sweep.n_cancelled
}

/// Work done so far in jobs, a running one by its share of epochs.
fn work_done(sweep: &SweepRow, running: &[RunningJob]) -> f64 {
    let shares = running.iter().filter_map(|job| job.progress.as_ref()).filter(|progress| progress.n_epochs > 0);
    let partial: f64 = shares.map(|progress| f64::from(progress.epoch) / f64::from(progress.n_epochs)).sum();
    n_final(sweep) as f64 + partial
}

/// Time to go, if work goes on as it went; `None` until enough of it is done to tell.
fn remaining(elapsed: Duration, done: f64, to_do: f64) -> Option<Duration> {
    // A fiftieth of a job: less says nothing yet.
    (done >= 0.02).then(|| Duration::from_secs_f64((elapsed.as_secs_f64() * to_do.max(0.0) / done).min(1e9)))
}

fn counts(sweep: &SweepRow, eta: Option<Duration>) -> String {
    let (running, failed) = (sweep.n_leased, n_without_result(sweep));
    if sweep.state == "paused" {
        return format!("{running} running, {failed} failed, paused");
    }
    let eta = match eta.map(|eta| eta.as_secs_f64().ceil()) {
        None => "-".to_owned(),
        // A guess is not worth tenths.
        Some(seconds) if seconds < 60.0 => format!("{seconds:.0} s"),
        Some(seconds) => text::seconds(seconds),
    };
    format!("{running} running, {failed} failed, ETA {eta}")
}

fn job_text(backbone: &str, pattern: &str, seed: u64) -> String {
    text::escape_control(&format!("{backbone} {pattern} seed {seed}"))
}

/// What one slot is doing: job, backbone, pattern, seed, epoch, accuracy of the final exit, images a second.
fn slot_line(job: &RunningJob) -> String {
    let label = job_text(&job.backbone, &job.pattern, job.seed);
    // The slot is known from the first progress on.
    let slot = job.progress.as_ref().map_or_else(|| "-".to_owned(), |_| job.slot.to_string());
    // With common names this fits 80 columns.
    format!("{slot}: {} {label:<29}  {}", text::escape_control(&job.job), epoch_text(job))
}

fn epoch_text(job: &RunningJob) -> String {
    let Some(progress) = job.progress.as_ref().filter(|progress| progress.epoch > 0) else { return "starting".to_owned() };
    let accuracy = progress.exit_accuracy.last().map_or_else(|| "-".to_owned(), |accuracy| text::percent(*accuracy));
    format!("epoch {}/{}  {accuracy}  {:.0} images/s", progress.epoch, progress.n_epochs, progress.images_per_second)
}

fn summary_line(status: &SweepStatus, sweep: &SweepRow, eta: Option<Duration>) -> String {
    // More would not fit a line.
    const MOST_SLOTS: usize = 4;
    let slots = status.running.iter().take(MOST_SLOTS).map(|job| {
        let label = job_text(&job.backbone, &job.pattern, job.seed);
        format!("; {label}  {}", epoch_text(job))
    });
    let more = status.running.len().saturating_sub(MOST_SLOTS);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{}/{} jobs done, {}{}{more}", n_final(sweep), sweep.n_jobs, counts(sweep, eta), slots.collect::<String>())
}

fn ended_line(job: &JobRow, n_final: i64, n_jobs: i64) -> String {
    let width = n_jobs.to_string().len();
    let what = match (job.final_accuracy, job.train_seconds) {
        (Some(accuracy), Some(seconds)) => format!("final exit {} in {}", text::percent(accuracy), text::seconds(seconds)),
        _ => text::escape_control(&job.error),
    };
    let label = job_text(&job.backbone, &job.pattern, job.seed);
    format!("[{n_final:>width$}/{n_jobs}] {}  {}  {label}: {what}", text::escape_control(&job.job), job.state)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use offramp_proto::v1;

    use super::*;

    fn status() -> SweepStatus {
        let progress = v1::Progress { epoch: 5, n_epochs: 20, loss: 1.5, exit_accuracy: vec![0.81, 0.9243], images_per_second: 1234.4 };
        let running = |slot, progress| RunningJob {
            job: format!("00000000000{slot}"),
            attempt: 1,
            worker: "w".into(),
            slot,
            backbone: "resnet8".into(),
            dataset: "digits".into(),
            pattern: "decreasing 0.6".into(),
            seed: 1,
            progress,
        };
        SweepStatus {
            sweep: Some(SweepRow { n_jobs: 16, n_queued: 10, n_leased: 2, n_succeeded: 3, n_failed: 1, ..SweepRow::default() }),
            running: vec![running(0, Some(progress)), running(1, None)],
        }
    }

    #[test]
    fn time_to_go_follows_from_work_done() {
        // 4 of 16 jobs are final and a quarter of one is done: 4.25 done in 34 s leaves 11.75 jobs, 8 s each.
        let status = status();
        let done = work_done(status.sweep.as_ref().unwrap(), &status.running);
        assert_eq!(done, 4.25);
        assert_eq!(remaining(Duration::from_secs(34), done, 16.0 - done), Some(Duration::from_secs(94)));
        assert_eq!(remaining(Duration::from_secs(34), 0.0, 16.0), None);
        assert_eq!(remaining(Duration::from_secs(34), 16.0, 0.0), Some(Duration::ZERO));
    }

    #[test]
    fn a_job_keeps_its_line() {
        let job = |id: &str| RunningJob { job: id.into(), ..RunningJob::default() };
        let lines = |shown: &[&str], running: &[&str]| {
            let shown: Vec<_> = shown.iter().map(|id| (!id.is_empty()).then(|| (*id).to_owned())).collect();
            let running: Vec<_> = running.iter().map(|id| job(id)).collect();
            assign(&shown, &running).into_iter().map(|line| line.map_or_else(String::new, |job| job.job.clone())).collect::<Vec<_>>()
        };
        assert_eq!(lines(&[], &["a", "b"]), ["a", "b"]);
        assert_eq!(lines(&["a", "b"], &["b", "c"]), ["c", "b"]);
        assert_eq!(lines(&["a", "b"], &["b"]), ["", "b"]);
        assert_eq!(lines(&["", "b"], &["c", "b", "d"]), ["c", "b", "d"]);
    }

    #[test]
    fn lines_say_what_is_going_on() {
        let status = status();
        let sweep = status.sweep.as_ref().unwrap();
        expect!["4/16 jobs done, 2 running, 1 failed, ETA 1m 34s; resnet8 decreasing 0.6 seed 1  epoch 5/20  92.43 %  1234 images/s; resnet8 decreasing 0.6 seed 1  starting"]
            .assert_eq(&summary_line(&status, sweep, Some(Duration::from_secs(94))));
        expect!["0: 000000000000 resnet8 decreasing 0.6 seed 1  epoch 5/20  92.43 %  1234 images/s"]
            .assert_eq(&slot_line(&status.running[0]));
    }

    #[test]
    fn a_paused_sweep_has_no_time_to_go() {
        let sweep = SweepRow { state: "paused".into(), n_leased: 1, n_failed: 2, n_quarantined: 1, n_cancelled: 1, ..SweepRow::default() };
        expect!["1 running, 4 failed, paused"].assert_eq(&counts(&sweep, Some(Duration::from_secs(94))));
    }

    #[test]
    fn ended_jobs_show_their_accuracy_or_their_error() {
        let mut job = JobRow {
            job: "0123456789ab".into(),
            state: "succeeded".into(),
            backbone: "resnet8".into(),
            pattern: "none".into(),
            final_accuracy: Some(0.9722),
            train_seconds: Some(11.24),
            ..JobRow::default()
        };
        expect!["[ 4/16] 0123456789ab  succeeded  resnet8 none seed 0: final exit 97.22 % in 11.2 s"].assert_eq(&ended_line(&job, 4, 16));
        job.state = "failed".into();
        job.final_accuracy = None;
        job.error = "trainer ended with signal 9\u{7}".into();
        expect!["[ 5/16] 0123456789ab  failed  resnet8 none seed 0: trainer ended with signal 9\\u{7}"].assert_eq(&ended_line(&job, 5, 16));
    }
}

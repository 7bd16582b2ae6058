//! `offramp sweep show --watch`.

use offramp_proto::v1;

use crate::args::ShowSweepArguments;
use crate::client::{Client, LONG_PATIENCE};
use crate::commands::sweep;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::follow::{Stand, Updates, state_text};
use crate::output::{self, Format, screen::Screen};
use crate::progress::n_final;
use crate::signals::Signals;
use crate::{environment, source, text};

/// Follows a sweep until it is over.
pub(crate) async fn run(arguments: &ShowSweepArguments, format: Format) -> Result<Exit, Failure> {
    let signals = Signals::listen()?;
    let client = Client::new(&source::watched_coordinator(&arguments.source)?, LONG_PATIENCE)?;
    let mut screen = (format == Format::Table).then(Screen::open).flatten();
    let ended = tokio::select! {
        ended = watch(&client, &arguments.sweep, format, screen.as_ref()) => ended,
        () = signals.first.cancelled() => Ok(None),
    };
    if let Some(screen) = screen.take() {
        screen.close();
    }
    match ended? {
        Some(last) => output::write(&last).map(|()| Exit::Ok),
        None => Ok(Exit::Interrupted),
    }
}

/// Shows every change, and returns what is left to be written at the end.
async fn watch(client: &Client, sweep: &str, format: Format, screen: Option<&Screen>) -> Result<Option<String>, Failure> {
    // `last` may be another sweep by the time it is asked for again.
    let sweep = client.sweep(sweep).await?.sweep.map_or_else(|| sweep.to_owned(), |row| row.sweep.to_string());
    let mut updates = Updates::new(client, &sweep, LONG_PATIENCE);
    let mut changes = Changes::new(format);
    let mut patterns = Vec::new();
    let mut n_compared = None;
    loop {
        let status = updates.next().await?;
        let Some(row) = &status.sweep else { continue };
        // They are read anew when there is something new to compare.
        if (screen.is_some() || matches!(format, Format::Json | Format::Jsonl)) && n_compared != Some(row.n_succeeded) {
            n_compared = Some(row.n_succeeded);
            patterns = client.patterns(&sweep).await?.patterns;
        }
        let is_over = Stand::of(row) == Stand::Over;
        match screen {
            Some(_) if is_over => return Ok(Some(sweep::render(&status, &patterns, Format::Table, output::table_width()))),
            Some(screen) => screen.show(&sweep::render(&status, &patterns, Format::Table, output::table_width())),
            None => {
                if let Some(line) = changes.line(&status, &patterns, environment::now_us()) {
                    output::write(&line)?;
                }
                if is_over {
                    return Ok(Some(String::new()));
                }
            }
        }
    }
}

/// What a pipe gets: a line a change.
#[derive(Debug)]
struct Changes {
    format: Format,
    last: Option<v1::SweepStatus>,
}

impl Changes {
    const fn new(format: Format) -> Self {
        Self { format, last: None }
    }

    /// The line for a status; `None` where it says nothing new. Text and CSV tell of the sweep, JSON of what is running as well.
    fn line(&mut self, status: &v1::SweepStatus, patterns: &[v1::PatternRow], now_us: i64) -> Option<String> {
        let before = self.last.replace(status.clone());
        let is_new = match self.format {
            Format::Json | Format::Jsonl => before.as_ref() != Some(status),
            Format::Table | Format::Csv => before.as_ref().map(|before| &before.sweep) != Some(&status.sweep),
        };
        if !is_new {
            return None;
        }
        match self.format {
            Format::Json | Format::Jsonl => Some(sweep::render(status, patterns, Format::Json, None)),
            Format::Csv => {
                let text = sweep::render(status, patterns, Format::Csv, None);
                // The header stands before the first row alone; names of columns have no line breaks.
                Some(if before.is_none() { text } else { text.split_once('\n').map_or_else(String::new, |(_, row)| row.to_owned()) })
            }
            Format::Table => status.sweep.as_ref().map(|row| format!("{}  {}\n", text::time(now_us), counts(row))),
        }
    }
}

/// Where a sweep stands, in one line: what is zero is left out.
fn counts(sweep: &v1::SweepRow) -> String {
    let counts = [
        ("blocked", sweep.n_blocked),
        ("queued", sweep.n_queued),
        ("running", sweep.n_leased),
        ("failed", sweep.n_failed),
        ("diverged", sweep.n_diverged),
        ("quarantined", sweep.n_quarantined),
        ("cancelled", sweep.n_cancelled),
    ];
    let counts = counts.into_iter().filter(|(_, n)| *n > 0).map(|(state, n)| format!(", {n} {state}"));
    let (state, counts) = (state_text(sweep), counts.collect::<String>());
    format!("{state}: {}/{} jobs done{counts}", n_final(sweep), sweep.n_jobs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: &str, n_succeeded: i64, epoch: u32) -> v1::SweepStatus {
        let sweep = v1::SweepRow {
            sweep: 3,
            name: "digits".into(),
            state: state.into(),
            n_jobs: 16,
            n_leased: 1,
            n_succeeded,
            n_failed: 1,
            ..v1::SweepRow::default()
        };
        let progress = v1::Progress { epoch, n_epochs: 20, ..v1::Progress::default() };
        v1::SweepStatus { sweep: Some(sweep), running: vec![v1::RunningJob { progress: Some(progress), ..v1::RunningJob::default() }] }
    }

    fn lines(format: Format) -> Vec<Option<String>> {
        let mut changes = Changes::new(format);
        // 2023-11-14T22:13:20Z.
        let now_us = 1_700_000_000_000_000;
        [("running", 3, 1), ("running", 3, 2), ("running", 4, 2), ("paused", 4, 2), ("paused", 4, 2)]
            .map(|(state, n_succeeded, epoch)| changes.line(&status(state, n_succeeded, epoch), &[], now_us))
            .into()
    }

    #[test]
    fn text_has_a_line_a_change_of_the_sweep() {
        let line = |text: &str| Some(format!("2023-11-14T22:13:20Z  {text}\n"));
        let expected = [
            line("running: 4/16 jobs done, 1 running, 1 failed"),
            None,
            line("running: 5/16 jobs done, 1 running, 1 failed"),
            line("paused: 5/16 jobs done, 1 running, 1 failed"),
            None,
        ];
        assert_eq!(lines(Format::Table), expected);
    }

    #[test]
    fn csv_has_one_header() {
        let lines = lines(Format::Csv);
        let first = lines[0].as_ref().unwrap();
        assert!(first.starts_with("sweep,name,state,") && first.lines().count() == 2, "{first}");
        assert_eq!(lines[1], None);
        assert!(lines[2].as_ref().unwrap().starts_with("3,digits,running,") && lines[3].as_ref().unwrap().starts_with("3,digits,paused,"));
        assert_eq!(lines[4], None);
    }

    #[test]
    fn json_tells_of_progress_too() {
        let lines = lines(Format::Json);
        let epochs: Vec<_> = lines
            .iter()
            .map(|line| line.as_ref().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["running"][0]["epoch"].as_i64()))
            .collect();
        assert_eq!(epochs, [Some(Some(1)), Some(Some(2)), Some(Some(2)), Some(Some(2)), None]);
        assert!(lines.iter().flatten().all(|line| line.lines().count() == 1 && line.ends_with('\n')));
    }

    #[test]
    fn a_note_is_shown_and_zeros_are_not() {
        let sweep =
            v1::SweepRow { state: "paused".into(), note: "paused by ada@lab".into(), n_jobs: 2, n_blocked: 2, ..v1::SweepRow::default() };
        assert_eq!(counts(&sweep), "paused by ada@lab: 0/2 jobs done, 2 blocked");
    }
}

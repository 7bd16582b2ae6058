//! `offramp compare`, `offramp patterns` and `offramp sweep diff`.

use offramp_proto::v1;

use crate::args::{CompareArguments, DiffSweepsArguments, PatternsArguments};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::view::{self, View};
use crate::output::{self, Format, Rows, csv, json, say, table};
use crate::source::Source;
use crate::text::{self, count, escape_control};

/// Compares what differs in one factor alone.
pub(crate) async fn compare(arguments: &CompareArguments, format: Format) -> Result<Exit, Failure> {
    let answer = Source::open(&arguments.source).await?.compare(arguments.request()).await?;
    say_notes(&answer.notes);
    let has_pairs = answer.pairs.iter().any(|pair| pair.n_pairs > 0);
    if !has_pairs {
        say(&nothing_to_compare(&answer, &arguments.request()));
    }
    if format != Format::Table || !answer.levels.is_empty() {
        output::write(&render(&answer, format, output::table_width()))?;
    }
    Ok(if has_pairs { Exit::Ok } else { Exit::NothingMatched })
}

/// Shows cells over their seeds.
pub(crate) async fn patterns(arguments: &PatternsArguments, format: Format) -> Result<Exit, Failure> {
    let request = arguments.request();
    let answer = Source::open(&arguments.source).await?.cells(request.clone()).await?;
    let n_without: u32 = answer.cells.iter().map(|cell| cell.n_without_result).sum();
    if n_without > 0 {
        say(&format!("{} without a result", count(u64::from(n_without), "job")));
    }
    let has_results = answer.cells.iter().any(|cell| cell.n_seeds > 0);
    if !has_results {
        say(&format!("no job has a result among {}", looked_for(&request.sweeps, &request.r#where)));
    }
    output::write(&render_cells(&answer, format, output::table_width()))?;
    Ok(if has_results { Exit::Ok } else { Exit::NothingMatched })
}

/// Renders cells.
pub(crate) fn render_cells(answer: &v1::ListCellsResponse, format: Format, width: Option<u16>) -> String {
    let rows = Rows::new(by_metric(&answer.metric, &view::CELLS, &view::CELLS_BY_ACCURACY), &answer.cells);
    match format {
        Format::Table if answer.cells.is_empty() => String::new(),
        Format::Table => {
            let interval = text::percent_whole(answer.confidence);
            let title = format!("Cells: {}; mean and deviation over seeds, {interval} interval of the mean", answer.metric_label);
            format!("{title}\n{}", table::render(&rows, width))
        }
        Format::Csv => csv::render(&rows),
        Format::Jsonl => json::lines(&rows),
        Format::Json => json::detail(
            "cells",
            &[
                ("metric", json::Part::Value(answer.metric.as_str().into())),
                ("metric_label", json::Part::Value(answer.metric_label.as_str().into())),
                ("confidence", json::Part::Value(answer.confidence.into())),
                ("resamples", json::Part::Value(answer.resamples.into())),
                ("rows", json::Part::List(&rows)),
            ],
        ),
    }
}

/// Tells two sweeps apart.
pub(crate) async fn diff_sweeps(arguments: &DiffSweepsArguments, format: Format) -> Result<Exit, Failure> {
    let answer = Source::open(&arguments.source).await?.diff_sweeps(arguments.request()).await?;
    say_notes(&answer.comparison.as_ref().map_or_else(Vec::new, |comparison| comparison.notes.clone()));
    if answer.more {
        say("there are more cells of jobs that only one of the two has");
    }
    output::write(&render_diff(&answer, format, output::table_width()))?;
    Ok(Exit::Ok)
}

fn say_notes(notes: &[String]) {
    for note in notes {
        say(&escape_control(note));
    }
}

/// What there was to compare, where nothing could be paired.
fn nothing_to_compare(answer: &v1::CompareResponse, request: &v1::CompareRequest) -> String {
    let among = looked_for(&request.sweeps, &request.r#where);
    let by = &answer.by;
    match answer.levels.as_slice() {
        [] => format!("nothing to compare by {by}: there is no job among {among}"),
        [one] => format!("nothing to compare by {by}: `{}` is the only one among {among}", escape_control(&one.level)),
        _ => format!("nothing to compare by {by}: no two jobs with results differ in it alone among {among}"),
    }
}

fn looked_for(sweeps: &[String], filter: &str) -> String {
    let names: Vec<String> = sweeps.iter().map(|name| format!("`{}`", escape_control(name))).collect();
    let sweeps = match names.as_slice() {
        [] => "the jobs of every sweep".to_owned(),
        [one] => format!("the jobs of sweep {one}"),
        several => format!("the jobs of sweeps {}", several.join(", ")),
    };
    if filter.is_empty() { sweeps } else { format!("{sweeps} where {}", escape_control(filter)) }
}

/// The view of areas or the one of accuracies.
fn by_metric<'v>(metric: &str, area: &'v View, accuracy: &'v View) -> &'v View {
    if metric == "area" { area } else { accuracy }
}

/// Renders a comparison.
pub(crate) fn render(answer: &v1::CompareResponse, format: Format, width: Option<u16>) -> String {
    let pairs = Rows::new(by_metric(&answer.metric, &view::PAIRS, &view::PAIRS_BY_ACCURACY), &answer.pairs);
    match format {
        Format::Csv => csv::render(&pairs),
        Format::Json | Format::Jsonl => {
            let levels = Rows::new(by_metric(&answer.metric, &view::LEVELS, &view::LEVELS_BY_ACCURACY), &answer.levels);
            let friedman = Rows::new(&view::FRIEDMAN, answer.friedman.as_slice());
            json::detail("compare", &parts(answer, &levels, &pairs, &friedman))
        }
        Format::Table => render_table(answer, &pairs, width),
    }
}

fn parts<'r>(answer: &v1::CompareResponse, levels: &'r Rows, pairs: &'r Rows, friedman: &'r Rows) -> [(&'static str, json::Part<'r>); 11] {
    let text = |text: &str| json::Part::Value(text.into());
    [
        ("by", text(&answer.by)),
        ("metric", text(&answer.metric)),
        ("metric_label", text(&answer.metric_label)),
        ("unit", text(&answer.unit)),
        ("confidence", json::Part::Value(answer.confidence.into())),
        ("resamples", json::Part::Value(answer.resamples.into())),
        ("levels", json::Part::List(levels)),
        ("pairs", json::Part::List(pairs)),
        ("friedman", json::Part::Row(friedman)),
        ("friedman_missing", text(&answer.friedman_missing)),
        ("notes", json::Part::Value(answer.notes.as_slice().into())),
    ]
}

fn render_table(answer: &v1::CompareResponse, pairs: &Rows, width: Option<u16>) -> String {
    let levels = Rows::new(by_metric(&answer.metric, &view::LEVELS, &view::LEVELS_BY_ACCURACY), &answer.levels);
    let mut text = format!("By {}: {}\n{}", answer.by, answer.metric_label, table::render(&levels, width));
    if !answer.pairs.is_empty() {
        let interval = text::percent_whole(answer.confidence);
        let title = format!("Differences over pairs ({}s that differ in {} alone), with {interval} intervals", answer.unit, answer.by);
        text.extend(["\n", &title, "\n", &table::render(pairs, width)]);
    }
    if answer.levels.len() >= 3 {
        text.extend(["\n", &all_at_once(answer), "\n"]);
    }
    text
}

/// Friedman's and Nemenyi's tests in a sentence each.
fn all_at_once(answer: &v1::CompareResponse) -> String {
    let Some(test) = &answer.friedman else {
        return format!("All levels at once (Friedman): {}", escape_control(&answer.friedman_missing));
    };
    let freedom = test.n_levels - 1;
    let f = match (test.iman_davenport, test.iman_davenport_p) {
        (Some(f), Some(p)) => {
            let second = freedom * (test.n_blocks - 1);
            format!("Iman and Davenport's F = {} with {freedom} and {second} degrees of freedom, {}", text::number(f), text::p_is(p))
        }
        _ => "Iman and Davenport's F is infinite: all blocks agree".to_owned(),
    };
    format!(
        "All levels at once (Friedman, {}): chi-squared = {} with {freedom} degrees of freedom, {}.\n\
         {f}.\n\
         Mean ranks that are {} apart differ (Nemenyi, at {}).",
        count(u64::from(test.n_blocks), "block"),
        text::number(test.chi_squared),
        text::p_is(test.p_value),
        text::number(test.critical_difference),
        text::number(1.0 - answer.confidence),
    )
}

/// Renders what differs between two sweeps.
pub(crate) fn render_diff(answer: &v1::DiffSweepsResponse, format: Format, width: Option<u16>) -> String {
    let differences = Rows::new(&view::SWEEP_DIFFERENCES, &answer.differences);
    let cells = Rows::new(&view::SWEEP_CELL_DIFFERENCES, &answer.cells);
    let (a, b) = (Rows::new(&view::SWEEPS, answer.a.as_slice()), Rows::new(&view::SWEEPS, answer.b.as_slice()));
    let comparison = answer.comparison.clone().unwrap_or_default();
    let pairs = Rows::new(by_metric(&comparison.metric, &view::PAIRS, &view::PAIRS_BY_ACCURACY), &comparison.pairs);
    match format {
        Format::Csv => csv::render(&differences),
        Format::Json | Format::Jsonl => {
            let levels = Rows::new(by_metric(&comparison.metric, &view::LEVELS, &view::LEVELS_BY_ACCURACY), &comparison.levels);
            let friedman = Rows::new(&view::FRIEDMAN, comparison.friedman.as_slice());
            let whole = [
                ("a", json::Part::Row(&a)),
                ("b", json::Part::Row(&b)),
                ("differences", json::Part::List(&differences)),
                ("n_both", json::Part::Value(answer.n_both.into())),
                ("n_only_a", json::Part::Value(answer.n_only_a.into())),
                ("n_only_b", json::Part::Value(answer.n_only_b.into())),
                ("cells", json::Part::List(&cells)),
            ];
            let parts: Vec<_> = whole.into_iter().chain(parts(&comparison, &levels, &pairs, &friedman)).collect();
            json::detail("sweep_diff", &parts)
        }
        Format::Table => {
            let name = |sweep: &Option<v1::SweepRow>| {
                sweep.as_ref().map_or_else(String::new, |sweep| format!("{} ({})", escape_control(&sweep.name), sweep.sweep))
            };
            let mut text = format!("A is {}, B is {}\n", name(&answer.a), name(&answer.b));
            if differences.rows.is_empty() {
                text.push_str("\nThe files say the same.\n");
            } else {
                text.extend(["\nWhat the files say differently\n", &table::render(&differences, width)]);
            }
            let jobs_of = |n: u32| count(u64::from(n), "job");
            let (both, only_a, only_b) = (jobs_of(answer.n_both), answer.n_only_a, answer.n_only_b);
            text.extend(["\n", &format!("{both} in both, {only_a} in A alone, {only_b} in B alone"), "\n"]);
            if !cells.rows.is_empty() {
                text += &table::render(&cells, width);
            }
            if comparison.pairs.iter().any(|pair| pair.n_pairs > 0) {
                text.extend(["\n", &render_table(&comparison, &pairs, width)]);
            } else {
                text.push_str("\nNo two jobs with results differ in the sweep alone.\n");
            }
            text
        }
    }
}

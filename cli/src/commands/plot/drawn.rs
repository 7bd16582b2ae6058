//! Figures from rows.

use std::collections::BTreeMap;

use offramp_domain::frontier::{Point, attainment, indicators, non_dominated};
use offramp_domain::statistics::bootstrap::{Bootstrap, Method};
use offramp_figures::curves::{Curve, Curves, Estimate};
use offramp_figures::frontier::{Band, Frontier, Series};
use offramp_figures::history::History;
use offramp_figures::learning::{Learning, Scale};
use offramp_figures::leaving::Leaving;
use offramp_figures::ranks::Ranks;
use offramp_figures::{Figure, comparison, curves, frontier, history, learning, leaving};
use offramp_proto::v1;

use super::groups::{Group, Job, Pattern, groups, jobs};
use crate::args::{CostAxis, CostChoice, GroupingChoice, plot_axis};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::text;

/// Panels that one picture has at most: more are too many to look at.
const MOST_PANELS: usize = 48;
/// Seeds from which on a band says more than the points themselves.
const BAND_SEEDS: usize = 3;
/// Places at which a curve is read off its seeds.
const PLACES: usize = 49;
/// What intervals are; enough resamples for the thickness of a line.
const INTERVALS: Bootstrap = Bootstrap { method: Method::Bca, confidence: 0.95, n_resamples: 2_000, seed: 0 };
const INTERVAL_LABEL: &str = "95 % interval over seeds";

/// What a point costs; `None` where that was not measured.
fn cost(choice: CostChoice, job: &v1::JobRow, point: &v1::OperatingPointRow) -> Option<f64> {
    match choice {
        CostChoice::Macs => Some(point.macs_cascade),
        CostChoice::MacsSelected => Some(point.macs_selected),
        CostChoice::Params => Some(job.params as f64),
        CostChoice::Latency => point.latency_us,
    }
}

fn panels(n_panels: usize) -> Result<(), Failure> {
    if n_panels <= MOST_PANELS {
        return Ok(());
    }
    let error = anyhow::anyhow!("a picture of {n_panels} panels is too large; {MOST_PANELS} are the most");
    Err(Failure::with_exit(Exit::Usage, error).hint("choose jobs with --where, such as `backbone = resnet56`"))
}

/// How a frontier is drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lines {
    /// What has a line of its own.
    pub(crate) by: GroupingChoice,
    /// The cost.
    pub(crate) axis: CostAxis,
    /// Whether to mark where lines bend most.
    pub(crate) knee: bool,
    /// Whether to draw what single seeds attain, where there are enough of them.
    pub(crate) bands: bool,
}

/// What each seed reached.
type Seeds = BTreeMap<u64, Vec<Point>>;

/// The frontier, a panel for each dataset.
pub(crate) fn frontier(details: &[v1::JobDetail], asked: Lines) -> Result<Option<Figure>, Failure> {
    let choice = asked.axis.cost;
    // Panel, line, seed: what was reached.
    let mut found: BTreeMap<String, BTreeMap<(usize, String), Seeds>> = BTreeMap::new();
    let mut order: Vec<String> = Vec::new();
    for job in jobs(details) {
        let row = job.row;
        let panel = match (choice, &row.trainer) {
            // What a GPU took is not held against a CPU.
            (CostChoice::Latency, Some(trainer)) => format!("{}, {trainer}", row.dataset),
            _ => row.dataset.clone(),
        };
        let line = match asked.by {
            GroupingChoice::Dataset => "frontier".to_owned(),
            GroupingChoice::Backbone => row.backbone.clone(),
            GroupingChoice::Pattern => row.pattern.clone(),
        };
        let points = job.detail.operating_points.iter().filter_map(|point| {
            let cost = cost(choice, row, point)?;
            Some(Point { cost, accuracy: point.accuracy })
        });
        let points: Vec<Point> = points.collect();
        if points.is_empty() {
            continue;
        }
        if !order.contains(&line) {
            order.push(line.clone());
        }
        let place = order.iter().position(|known| *known == line).unwrap_or(0);
        found.entry(panel).or_default().entry((place, line)).or_default().entry(row.seed).or_default().extend(points);
    }
    panels(found.len())?;
    let series = |((_, name), seeds): ((usize, String), Seeds)| {
        let all: Vec<Point> = seeds.values().flatten().copied().collect();
        let best = non_dominated(&all);
        let is_best: std::collections::BTreeSet<usize> = best.iter().copied().collect();
        let dominated = all.iter().enumerate().filter(|(index, _)| !is_best.contains(index)).map(|(_, point)| *point);
        let sets: Vec<Vec<Point>> = seeds.values().cloned().collect();
        let band = (sets.len() >= BAND_SEEDS && asked.bands).then(|| Band {
            best: pairs(&attainment::best(&sets)),
            median: pairs(&attainment::median(&sets)),
            worst: pairs(&attainment::worst(&sets)),
            n_seeds: sets.len(),
        });
        // The knee is marked on what is drawn as a line.
        let line = if band.is_some() { attainment::median(&sets) } else { all.clone() };
        let knee = indicators::knee(&line).filter(|_| asked.knee).map(|index| (line[index].cost, line[index].accuracy));
        let frontier = best.into_iter().map(|index| all[index]).collect::<Vec<_>>();
        Series { name, frontier: pairs(&frontier), dominated: dominated.map(pair).collect(), band, knee }
    };
    let groups: Vec<frontier::Group> =
        found.into_iter().map(|(name, lines)| frontier::Group { name, series: lines.into_iter().map(series).collect() }).collect();
    Ok((!groups.is_empty()).then(|| {
        let title = "Accuracy-cost frontier".to_owned();
        Figure::Frontier(Frontier { title, cost: plot_axis(choice), log_cost: asked.axis.log, groups })
    }))
}

fn pair(point: Point) -> (f64, f64) {
    (point.cost, point.accuracy)
}

fn pairs(points: &[Point]) -> Vec<(f64, f64)> {
    points.iter().copied().map(pair).collect()
}

/// A mean with its interval.
fn estimate(at: f64, values: &[f64]) -> Estimate {
    let interval = INTERVALS.interval(values).ok().map(|interval| (interval.low, interval.high));
    Estimate { at, mean: offramp_domain::statistics::mean(values), interval }
}

/// Accuracy against cost, a panel for each group.
pub(crate) fn curves(details: &[v1::JobDetail], policy: &str, axis: CostAxis) -> Result<Option<Figure>, Failure> {
    check_policy(details, policy)?;
    let choice = axis.cost;
    let groups = groups(details);
    panels(groups.len())?;
    let group = |group: &Group<'_>| {
        let curves = group.patterns.iter().map(|pattern| Curve {
            name: pattern.name.clone(),
            exits: exits(pattern, choice),
            policy: if policy == "fixed" { Vec::new() } else { thresholds(pattern, policy, choice, axis.log) },
        });
        let curves: Vec<Curve> = curves.filter(|curve| !curve.exits.is_empty() || !curve.policy.is_empty()).collect();
        curves::Group { name: group.name.clone(), conditions: group.conditions.clone(), curves }
    };
    let groups: Vec<curves::Group> = groups.iter().map(group).filter(|group| !group.curves.is_empty()).collect();
    Ok((!groups.is_empty()).then(|| {
        Figure::Curves(Curves {
            title: "Accuracy against cost".to_owned(),
            cost: plot_axis(choice),
            log_cost: axis.log,
            policy: format!("{policy} policy"),
            interval: INTERVAL_LABEL.to_owned(),
            groups,
        })
    }))
}

fn check_policy(details: &[v1::JobDetail], policy: &str) -> Result<(), Failure> {
    let mut known: Vec<&str> = details.iter().flat_map(|detail| &detail.operating_points).map(|point| point.policy.as_str()).collect();
    known.sort_unstable();
    known.dedup();
    if known.is_empty() || known.contains(&policy) {
        return Ok(());
    }
    let named: Vec<String> = known.iter().map(|name| format!("`{}`", text::escape_control(name))).collect();
    let error = anyhow::anyhow!("no result has policy `{}`", text::escape_control(policy));
    Err(Failure::with_exit(Exit::NothingMatched, error).hint(format!("results have {}", named.join(", "))))
}

fn points<'a>(job: &'a Job<'_>, policy: &'a str, choice: CostChoice) -> impl Iterator<Item = (&'a v1::OperatingPointRow, f64)> {
    let of_policy = job.detail.operating_points.iter().filter(move |point| point.policy == policy);
    of_policy.filter_map(move |point| cost(choice, job.row, point).map(|cost| (point, cost)))
}

/// What every image gets that leaves at one exit, over seeds.
fn exits(pattern: &Pattern<'_>, choice: CostChoice) -> Vec<Estimate> {
    // By exit: costs and accuracies. A setting of `fixed` is the exit's index.
    let mut found: BTreeMap<u64, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
    for job in &pattern.jobs {
        for (point, cost) in points(job, "fixed", choice) {
            let (costs, accuracies) = found.entry(point.setting as u64).or_default();
            costs.push(cost);
            accuracies.push(point.accuracy);
        }
    }
    let exit = |(costs, accuracies): (Vec<f64>, Vec<f64>)| estimate(offramp_domain::statistics::mean(&costs), &accuracies);
    found.into_values().map(exit).collect()
}

/// A policy's curve over seeds: each seed's own between its points, and the mean where all of them have one.
fn thresholds(pattern: &Pattern<'_>, policy: &str, choice: CostChoice, log: bool) -> Vec<Estimate> {
    let curve = |job: &Job<'_>| {
        let mut curve: Vec<(f64, f64)> = points(job, policy, choice).map(|(point, cost)| (cost, point.accuracy)).collect();
        curve.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        // Of equal costs the most accurate.
        curve.reverse();
        curve.dedup_by(|later, kept| later.0 == kept.0);
        curve.reverse();
        curve
    };
    let curves: Vec<Vec<(f64, f64)>> = pattern.jobs.iter().map(curve).filter(|curve| !curve.is_empty()).collect();
    if let [only] = curves.as_slice() {
        return only.iter().map(|(cost, accuracy)| Estimate { at: *cost, mean: *accuracy, interval: None }).collect();
    }
    let ends = |curve: &Vec<(f64, f64)>| (curve[0].0, curve[curve.len() - 1].0);
    let begin = curves.iter().map(|curve| ends(curve).0).fold(f64::NEG_INFINITY, f64::max);
    let end = curves.iter().map(|curve| ends(curve).1).fold(f64::INFINITY, f64::min);
    if !(begin < end && begin > 0.0) {
        return Vec::new();
    }
    let at = |place: usize| {
        let part = place as f64 / (PLACES - 1) as f64;
        if log { (begin.ln() + (end.ln() - begin.ln()) * part).exp().clamp(begin, end) } else { (begin + (end - begin) * part).min(end) }
    };
    (0..PLACES)
        .map(|place| {
            let values: Vec<f64> = curves.iter().map(|curve| between(curve, at(place))).collect();
            estimate(at(place), &values)
        })
        .collect()
}

/// The accuracy at a cost between two points of a curve.
fn between(curve: &[(f64, f64)], at: f64) -> f64 {
    let next = curve.partition_point(|point| point.0 < at).min(curve.len() - 1);
    let (high, low) = (curve[next], curve[next.saturating_sub(1)]);
    if high.0 <= low.0 { high.1 } else { low.1 + (high.1 - low.1) * ((at - low.0) / (high.0 - low.0)).clamp(0.0, 1.0) }
}

/// Which part leaves at each exit, a panel for each group and pattern.
pub(crate) fn leaving(details: &[v1::JobDetail], policy: &str, axis: CostAxis) -> Result<Option<Figure>, Failure> {
    check_policy(details, policy)?;
    let mut drawn: Vec<leaving::Group> = Vec::new();
    for group in groups(details) {
        for pattern in &group.patterns {
            let Some(job) = pattern.jobs.iter().min_by_key(|job| job.row.seed) else { continue };
            let points: Vec<(f64, Vec<f64>)> =
                points(job, policy, axis.cost).map(|(point, cost)| (cost, point.exit_shares.clone())).collect();
            // One point has no extent, as of networks with one exit.
            if points.len() > 1 {
                let of = [group.name.as_str(), group.conditions.as_str()];
                let of: Vec<&str> = of.into_iter().filter(|part| !part.is_empty()).collect();
                let conditions = format!("{}, seed {}", of.join(", "), job.row.seed);
                drawn.push(leaving::Group { name: pattern.name.clone(), conditions, points });
            }
        }
    }
    panels(drawn.len())?;
    let title = format!("Where images leave under {policy}");
    Ok((!drawn.is_empty()).then(|| Figure::Leaving(Leaving { title, cost: plot_axis(axis.cost), groups: drawn })))
}

/// Loss and accuracy over epochs: for each group a panel of the loss and one of each exit.
pub(crate) fn learning(details: &[v1::JobDetail]) -> Result<Option<Figure>, Failure> {
    let groups = groups(details);
    let mut drawn: Vec<learning::Quantity> = Vec::new();
    for group in &groups {
        let of = if groups.len() == 1 {
            String::new()
        } else {
            format!("{}: ", [group.name.as_str(), group.conditions.as_str()].join(" ").trim())
        };
        let epochs: Vec<(&str, Vec<Vec<&v1::EpochRow>>)> = group
            .patterns
            .iter()
            .map(|pattern| (pattern.name.as_str(), pattern.jobs.iter().map(|job| epochs(job.detail)).collect()))
            .collect();
        let mut quantity = |name: String, scale: Scale, value: &dyn Fn(&v1::EpochRow) -> Option<f64>| {
            let line = |(pattern, seeds): &(&str, Vec<Vec<&v1::EpochRow>>)| learning::Line {
                name: (*pattern).to_owned(),
                points: over_seeds(seeds, value),
            };
            let lines: Vec<learning::Line> = epochs.iter().map(line).filter(|line| !line.points.is_empty()).collect();
            if !lines.is_empty() {
                drawn.push(learning::Quantity { name, scale, lines });
            }
        };
        quantity(format!("{of}loss"), Scale::Loss, &|epoch| Some(epoch.loss));
        let n_exits = epochs.iter().flat_map(|(_, seeds)| seeds).flatten().map(|epoch| epoch.exit_accuracy.len()).max().unwrap_or(0);
        for exit in 0..n_exits.saturating_sub(1) {
            // The last one is the backbone's own, wherever it stands.
            let value = move |epoch: &v1::EpochRow| epoch.exit_accuracy.get(exit).copied().filter(|_| exit + 1 < epoch.exit_accuracy.len());
            quantity(format!("{of}exit {exit}"), Scale::Accuracy, &value);
        }
        quantity(format!("{of}final exit"), Scale::Accuracy, &|epoch| epoch.exit_accuracy.last().copied());
    }
    panels(drawn.len())?;
    let title = "Loss and calibration accuracy over epochs".to_owned();
    Ok((!drawn.is_empty()).then(|| Figure::Learning(Learning { title, interval: INTERVAL_LABEL.to_owned(), panels: drawn })))
}

/// Epochs of the attempts that led to the result: of an epoch that was trained again, the last.
fn epochs(detail: &v1::JobDetail) -> Vec<&v1::EpochRow> {
    let mut found: BTreeMap<u32, &v1::EpochRow> = BTreeMap::new();
    for epoch in &detail.epochs {
        let newer = found.get(&epoch.epoch).is_none_or(|known| epoch.attempt >= known.attempt);
        if newer {
            found.insert(epoch.epoch, epoch);
        }
    }
    found.into_values().collect()
}

fn over_seeds(seeds: &[Vec<&v1::EpochRow>], value: &dyn Fn(&v1::EpochRow) -> Option<f64>) -> Vec<Estimate> {
    let mut found: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    for epoch in seeds.iter().flatten() {
        if let Some(value) = value(epoch).filter(|value| value.is_finite()) {
            found.entry(epoch.epoch).or_default().push(value);
        }
    }
    found.into_iter().map(|(epoch, values)| estimate(f64::from(epoch), &values)).collect()
}

/// How frontiers grew.
pub(crate) fn history(rows: &[v1::FrontierHistoryRow]) -> Option<Figure> {
    let mut lines: Vec<history::Line> = Vec::new();
    for row in rows {
        let parts = [Some(row.dataset.as_str()), row.backbone.as_deref(), row.pattern.as_deref(), row.trainer.as_deref()];
        let name = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let whole = row.reference_cost * (1.0 - row.reference_accuracy);
        let point = (row.entered_us, row.hypervolume / whole);
        match lines.iter_mut().find(|line| line.name == name) {
            Some(line) => line.points.push(point),
            None => lines.push(history::Line { name, points: vec![point] }),
        }
    }
    (!lines.is_empty()).then(|| Figure::History(History { title: "Hypervolume of the frontier over time".to_owned(), lines }))
}

/// Differences with their intervals.
pub(crate) fn comparison(answer: &v1::CompareResponse) -> Option<Figure> {
    let difference = |pair: &v1::ComparePairRow| {
        let p = pair.p_holm.or(pair.p_value).map_or_else(String::new, |p| format!(", {}", text::p_is(p)));
        Some(comparison::Difference {
            name: format!("{} \u{2212} {}", pair.level, pair.other),
            mean: pair.mean_difference?,
            interval: pair.low.zip(pair.high),
            note: format!("n = {}{p}", pair.n_pairs),
        })
    };
    let differences: Vec<comparison::Difference> = answer.pairs.iter().filter_map(difference).collect();
    let of_shares = answer.metric != "area";
    let interval = text::percent_whole(answer.confidence);
    (!differences.is_empty()).then(|| {
        Figure::Comparison(comparison::Comparison {
            title: format!("Differences by {}, with {interval} intervals: {}", answer.by, answer.metric_label),
            quantity: format!("difference in {}", metric(&answer.metric)),
            interval: format!("mean and {interval} interval"),
            of_shares,
            groups: vec![comparison::Group { name: String::new(), differences }],
        })
    })
}

fn metric(name: &str) -> String {
    name.replace(['-', '_'], " ")
}

/// Mean ranks with their critical difference.
pub(crate) fn ranks(answer: &v1::CompareResponse) -> Option<Figure> {
    let test = answer.friedman.as_ref()?;
    let levels: Vec<(String, f64)> = answer.levels.iter().filter_map(|level| Some((level.level.clone(), level.mean_rank?))).collect();
    let note = format!("mean rank by {}; {} blocks, Friedman {}", metric(&answer.metric), test.n_blocks, text::p_is(test.p_value));
    let title = format!("Mean ranks by {}", answer.by);
    (!levels.is_empty()).then_some(Figure::Ranks(Ranks { title, note, levels, critical_difference: test.critical_difference }))
}

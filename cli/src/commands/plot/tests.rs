use std::path::PathBuf;

use offramp_figures::curves::Estimate;
use offramp_figures::learning::Scale;

use super::*;
use crate::args::{Arguments, Command};

/// A finished job whose exits have one accuracy each, for 1, 2, ... MACs, and whose thresholds reach from the first to the last.
fn job(backbone: &str, pattern: &str, seed: u64, accuracies: &[f64]) -> v1::JobDetail {
    let has_exits = pattern != "none";
    let row = v1::JobRow {
        job: format!("{backbone}-{pattern}-{seed}"),
        state: "succeeded".to_owned(),
        backbone: backbone.to_owned(),
        dataset: "digits".to_owned(),
        pattern: pattern.to_owned(),
        exits: if has_exits { "stage-ends" } else { "-" }.to_owned(),
        budget: if has_exits { "25 %" } else { "-" }.to_owned(),
        recipe: "15 epochs".to_owned(),
        seed,
        params: 1_000,
        ..v1::JobRow::default()
    };
    let point = |policy: &str, exit: usize, accuracy: f64| v1::OperatingPointRow {
        policy: policy.to_owned(),
        setting: exit as f64,
        macs_cascade: (exit + 1) as f64,
        macs_selected: exit as f64 + 0.5,
        accuracy,
        exit_shares: vec![0.5; accuracies.len()],
        ..v1::OperatingPointRow::default()
    };
    let fixed = accuracies.iter().enumerate().map(|(exit, accuracy)| point("fixed", exit, *accuracy));
    let thresholds = accuracies.iter().enumerate().filter(|_| has_exits).map(|(exit, accuracy)| point("max-softmax", exit, *accuracy));
    let epoch = |attempt, epoch, loss| v1::EpochRow { attempt, epoch, loss, exit_accuracy: accuracies.to_vec(), ..v1::EpochRow::default() };
    v1::JobDetail {
        job: Some(row),
        operating_points: fixed.chain(thresholds).collect(),
        // The first attempt died after its second epoch, before the checkpoint of it was there.
        epochs: vec![epoch(1, 1, 3.0), epoch(1, 2, 2.5), epoch(2, 2, 2.0)],
        ..v1::JobDetail::default()
    }
}

fn sweep() -> Vec<v1::JobDetail> {
    vec![
        job("resnet8", "none", 0, &[0.7]),
        job("resnet8", "constant", 0, &[0.4, 0.6]),
        job("resnet8", "constant", 1, &[0.6, 0.8]),
        job("resnet14", "constant", 0, &[0.5, 0.9]),
    ]
}

fn command(words: &str) -> PlotCommand {
    use clap::Parser;
    let words = format!("offramp plot {words}");
    match Arguments::try_parse_from(words.split(' ')).unwrap_or_else(|error| panic!("{error}")).command {
        Command::Plot(command) => command,
        other => panic!("{other:?}"),
    }
}

fn frontier(details: &[v1::JobDetail], words: &str) -> offramp_figures::frontier::Frontier {
    let PlotCommand::Frontier(arguments) = command(&format!("frontier --out a.svg {words}")) else { panic!("another command") };
    let lines = drawn::Lines { by: arguments.by, axis: arguments.axis, knee: arguments.knee, bands: !arguments.no_bands };
    match drawn::frontier(details, lines).unwrap() {
        Some(Figure::Frontier(frontier)) => frontier,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_frontier_has_what_nothing_dominates_and_the_rest_apart() {
    let drawn = frontier(&sweep(), "--no-bands");
    assert_eq!(drawn.groups.len(), 1);
    let [series] = &drawn.groups[0].series[..] else { panic!("{drawn:?}") };
    // For one MAC 70 % at best, without exits; for two 90 %, from the final exit and from a threshold: equal points are all kept.
    assert_eq!(series.frontier, [(1.0, 0.7), (2.0, 0.9), (2.0, 0.9)]);
    assert_eq!(series.dominated.len(), 13 - 3);
    let by_pattern = frontier(&sweep(), "--no-bands --by pattern --cost macs-selected");
    let names: Vec<_> = by_pattern.groups[0].series.iter().map(|series| (series.name.as_str(), series.frontier.len())).collect();
    assert_eq!(names, [("none", 1), ("constant", 4)]);
}

#[test]
fn bands_need_three_seeds() {
    let seeds: Vec<_> = (0..3).map(|seed| job("resnet8", "constant", seed, &[0.5 + 0.1 * seed as f64])).collect();
    let drawn = frontier(&seeds, "");
    let band = drawn.groups[0].series[0].band.as_ref().unwrap();
    assert_eq!(
        (band.n_seeds, &band.best[..], &band.median[..], &band.worst[..]),
        (3, &[(1.0, 0.7)][..], &[(1.0, 0.6)][..], &[(1.0, 0.5)][..])
    );
    assert!(frontier(&seeds, "--no-bands").groups[0].series[0].band.is_none());
    assert!(frontier(&seeds[..2], "").groups[0].series[0].band.is_none());
}

#[test]
fn nothing_measured_is_nothing_drawn() {
    let PlotCommand::Frontier(arguments) = command("frontier --out a.svg --cost latency") else { panic!("another command") };
    let lines = drawn::Lines { by: arguments.by, axis: arguments.axis, knee: false, bands: true };
    assert_eq!(drawn::frontier(&sweep(), lines).unwrap(), None);
    assert_eq!(drawn::learning(&[]).unwrap(), None);
    assert_eq!(drawn::history(&[]), None);
    assert_eq!(drawn::comparison(&v1::CompareResponse::default()), None);
    assert_eq!(drawn::ranks(&v1::CompareResponse::default()), None);
}

#[test]
fn curves_are_means_over_seeds_beside_the_backbone_alone() {
    let PlotCommand::Curves(arguments) = command("curves --out a.svg") else { panic!("another command") };
    let Some(Figure::Curves(curves)) = drawn::curves(&sweep(), &arguments.policy, arguments.axis).unwrap() else { panic!("no curves") };
    let names: Vec<_> = curves.groups.iter().map(|group| (group.name.as_str(), group.conditions.as_str(), group.curves.len())).collect();
    assert_eq!(names, [("resnet8 on digits", "", 2), ("resnet14 on digits", "", 1)]);
    let constant = &curves.groups[0].curves[1];
    let means: Vec<_> = constant.exits.iter().map(|point| (point.at, point.mean)).collect();
    assert_eq!(means, [(1.0, 0.5), (2.0, 0.7)]);
    // Between 40 % and 60 %, and between 60 % and 80 %: half way 60 %.
    let middle: &Estimate = &constant.policy[24];
    assert!((middle.at - 1.5).abs() < 1e-12 && (middle.mean - 0.6).abs() < 1e-12, "{middle:?}");
    let (low, high) = middle.interval.unwrap();
    assert!(0.5 <= low && low < high && high <= 0.7, "{middle:?}");
    // One seed is its own curve, without an interval.
    assert_eq!(curves.groups[1].curves[0].policy[1], Estimate { at: 2.0, mean: 0.9, interval: None });
    assert!(curves.groups[0].curves[0].policy.is_empty(), "one exit has no thresholds");
}

#[test]
fn groups_say_what_tells_them_apart() {
    let mut other = job("resnet8", "constant", 0, &[0.5, 0.6]);
    other.job.as_mut().unwrap().budget = "50 %".to_owned();
    let details = [job("resnet8", "none", 0, &[0.7]), job("resnet8", "constant", 0, &[0.5, 0.6]), other];
    let groups = groups::groups(&details);
    let told: Vec<_> = groups.iter().map(|group| (group.conditions.as_str(), group.patterns.len())).collect();
    assert_eq!(told, [("budget 25 %", 2), ("budget 50 %", 2)]);
}

#[test]
fn an_unknown_policy_is_answered_with_the_known_ones() {
    let PlotCommand::Curves(arguments) = command("curves --out a.svg --policy max-sofmax") else { panic!("another command") };
    let failure = drawn::curves(&sweep(), &arguments.policy, arguments.axis).unwrap_err();
    assert_eq!(failure.exit(), Exit::NothingMatched);
    assert_eq!(failure.render(), "error: no result has policy `max-sofmax`\nhint: results have `fixed`, `max-softmax`\n");
}

#[test]
fn images_leave_by_pattern_of_the_first_seed() {
    let PlotCommand::Shares(arguments) = command("shares --out a.svg") else { panic!("another command") };
    let Some(Figure::Leaving(leaving)) = drawn::leaving(&sweep(), &arguments.policy, arguments.axis).unwrap() else { panic!("nothing") };
    let panels: Vec<_> = leaving.groups.iter().map(|group| (group.name.as_str(), group.conditions.as_str(), group.points.len())).collect();
    assert_eq!(panels, [("constant", "resnet8 on digits, seed 0", 2), ("constant", "resnet14 on digits, seed 0", 2)]);
}

#[test]
fn learning_takes_the_last_try_of_an_epoch_and_the_final_exit_apart() {
    let Some(Figure::Learning(learning)) = drawn::learning(&sweep()[..3]).unwrap() else { panic!("nothing") };
    let panels: Vec<_> = learning.panels.iter().map(|panel| (panel.name.as_str(), panel.scale, panel.lines.len())).collect();
    assert_eq!(panels, [("loss", Scale::Loss, 2), ("exit 0", Scale::Accuracy, 1), ("final exit", Scale::Accuracy, 2)]);
    let losses: Vec<_> = learning.panels[0].lines[0].points.iter().map(|point| (point.at, point.mean)).collect();
    assert_eq!(losses, [(1.0, 3.0), (2.0, 2.0)]);
    assert_eq!(learning.panels[2].lines[1].points[0].mean, 0.7);
}

#[test]
fn hypervolumes_are_shares_of_the_box() {
    let row = |entered_us, hypervolume| v1::FrontierHistoryRow {
        dataset: "digits".to_owned(),
        backbone: Some("resnet8".to_owned()),
        entered_us,
        hypervolume,
        reference_cost: 8.0,
        reference_accuracy: 0.5,
        ..v1::FrontierHistoryRow::default()
    };
    let Some(Figure::History(history)) = drawn::history(&[row(1, 1.0), row(2, 3.0)]) else { panic!("nothing") };
    assert_eq!((history.lines[0].name.as_str(), &history.lines[0].points[..]), ("digits, resnet8", &[(1, 0.25), (2, 0.75)][..]));
}

#[test]
fn filters_choose_jobs_by_the_columns_of_v_jobs() {
    let wanted = |text: &str| {
        let filter = filter(text).unwrap().unwrap();
        sweep().iter().filter(|detail| matches(&filter, detail.job.as_ref().unwrap())).count()
    };
    assert_eq!(wanted("backbone = resnet8"), 3);
    assert_eq!(wanted("pattern = constant and seed >= 1"), 1);
    assert_eq!(wanted("final_accuracy > 0.5"), 0, "what is not there is not compared");
    let wrong = filter("bakbone = resnet8").unwrap_err();
    assert_eq!(wrong.exit(), Exit::Usage);
    assert!(wrong.render().contains("hint: ") && wrong.render().contains("backbone"), "{}", wrong.render());
}

fn picture(folder: &tempfile::TempDir, file: &str, words: &str) -> PictureArguments {
    let PlotCommand::Learning(arguments) = command(&format!("learning --out a.svg{words}")) else { panic!("another command") };
    PictureArguments { out: folder.path().join(file), ..arguments.picture }
}

#[test]
fn pictures_are_written_once_unless_forced() {
    let folder = tempfile::tempdir().unwrap();
    let figure = || drawn::learning(&sweep()).unwrap();
    let svg = picture(&folder, "a.svg", "");
    assert_eq!(Picture::check(&svg).unwrap().write(figure(), "").unwrap(), Exit::Ok);
    let first = std::fs::read(&svg.out).unwrap();
    assert!(first.starts_with(b"<svg "));
    let refused = Picture::check(&svg).map(|_| ()).unwrap_err();
    assert_eq!(refused.exit(), Exit::Error);
    assert!(refused.render().contains("--force"), "{}", refused.render());
    let forced = picture(&folder, "a.svg", " --force --theme dark --size column");
    assert_eq!(Picture::check(&forced).unwrap().write(figure(), "").unwrap(), Exit::Ok);
    assert_ne!(std::fs::read(&svg.out).unwrap(), first);
    let png = picture(&folder, "a.PNG", " --width 300");
    assert_eq!(Picture::check(&png).unwrap().write(figure(), "").unwrap(), Exit::Ok);
    let pixels = std::fs::read(&png.out).unwrap();
    // The signature, and the width in the header.
    assert_eq!((&pixels[1..4], &pixels[16..20]), (&b"PNG"[..], &[0, 0, 1, 44][..]));
    let nothing = picture(&folder, "b.svg", "");
    assert_eq!(Picture::check(&nothing).unwrap().write(None, "nothing").unwrap(), Exit::NothingMatched);
    assert!(!nothing.out.exists());
}

#[test]
fn files_say_what_they_are_by_their_names() {
    let kinds = ["-", "a.svg", "a.PNG", "b/c.d.png"].map(|name| kind(&PathBuf::from(name)).unwrap());
    assert_eq!(kinds, [Kind::Stdout, Kind::Svg, Kind::Png, Kind::Png]);
    for wrong in ["a.pdf", "a", "svg", ".png"] {
        assert_eq!(kind(&PathBuf::from(wrong)).unwrap_err().exit(), Exit::Usage, "{wrong}");
    }
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Picture::check(&picture(&folder, "a.svg", " --width 300")).map(|_| ()).unwrap_err().exit(), Exit::Usage);
}

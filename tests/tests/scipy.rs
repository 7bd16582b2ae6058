//! Statistics equal those of SciPy, on hundreds of samples: small and large, tied, skewed, with zeros.
//!
//! So does a whole comparison of a database, from the rows of its views on: the pairs, too, are found anew.
//!
//! The samples and what `offramp_domain::statistics` says of them go to `tests/python/scipy_oracle.py`, which works everything out anew.

use std::io::Write;
use std::process::{Command, Stdio};

use offramp_domain::statistics::bootstrap::{Bootstrap, Method};
use offramp_domain::statistics::friedman::friedman;
use offramp_domain::statistics::wilcoxon::signed_rank;
use offramp_domain::statistics::{effect, holm, mean, nemenyi, ranks, sample_deviation};
use offramp_tests::chance::Chance;
use offramp_tests::{Home, python, script};
use serde_json::{Value, json};

/// Has SciPy check every case, and panics with what it disagrees with. Says how many of each kind there were.
fn hold_against_scipy(cases: &[Value]) -> String {
    let mut child = Command::new(python())
        .arg(script("scipy_oracle.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python can be started");
    let text = serde_json::to_string(cases).expect("cases are plain values");
    child.stdin.take().expect("the input is piped").write_all(text.as_bytes()).expect("the oracle reads its input to the end");
    let output = child.wait_with_output().expect("the oracle ends");
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned());
    assert!(output.status.success(), "{said}{wrong}");
    said
}

/// Samples of `n` values: even, lumpy (many ties and zeros) or skewed. All are multiples of 2^-20, so that their sums are exact in any order.
fn sample(chance: &mut Chance, n: usize) -> Vec<f64> {
    let shape = chance.within(0..3);
    let value = |chance: &mut Chance| match shape {
        0 => chance.within(0..1 << 20) as f64 - f64::from(1 << 19),
        1 => (chance.within(0..9) as f64 - 4.0) * 65_536.0,
        _ => {
            let unit = chance.within(0..1 << 10) as f64 / 1_024.0;
            (unit.powi(6) * 1_048_576.0).floor()
        }
    };
    let shift = chance.within(0..1 << 18) as f64 * f64::from(u8::from(shape != 1));
    (0..n).map(|_| (value(chance) + shift) / 1_048_576.0).collect()
}

/// Sizes that are mostly those of experiments: a few seeds, a few dozen blocks.
fn size(chance: &mut Chance, index: u64) -> usize {
    let (least, most): (usize, usize) = [(2, 8), (5, 20), (12, 16), (40, 60), (60, 200)][index as usize % 5];
    least + chance.within(0..(most - least + 1) as u64) as usize
}

#[test]
fn means_deviations_ranks_and_effects() {
    let mut chance = Chance::new(1);
    let cases: Vec<Value> = (0..300)
        .map(|index| {
            let n = size(&mut chance, index);
            let values = sample(&mut chance, n);
            json!({
                "kind": "summary", "values": values, "mean": mean(&values), "deviation": sample_deviation(&values).ok(),
                "ranks": ranks(&values), "cohens_dz": effect::cohens_dz(&values).ok(),
            })
        })
        .collect();
    hold_against_scipy(&cases);
}

#[test]
fn wilcoxon() {
    let mut chance = Chance::new(2);
    let cases: Vec<Value> = (0..600)
        .map(|index| {
            let n = size(&mut chance, index);
            let differences = sample(&mut chance, n);
            let test = signed_rank(&differences).ok();
            json!({
                "kind": "wilcoxon", "differences": differences, "plus": test.map(|test| test.plus), "minus": test.map(|test| test.minus),
                "p": test.map(|test| test.p), "method": test.map(|test| test.method.as_str()),
                "rank_biserial": test.map(|test| effect::rank_biserial(&test)),
            })
        })
        .collect();
    let said = hold_against_scipy(&cases);
    // All branches of the rules were taken.
    for branch in ["exact", "exact with ties or zeros", "normal", "normal with ties or zeros"] {
        assert!(said.lines().any(|line| line.starts_with(&format!("{branch}: "))), "{branch}: {said}");
    }
}

#[test]
fn friedman_and_nemenyi() {
    let mut chance = Chance::new(3);
    let cases: Vec<Value> = (0..300)
        .map(|_| {
            let (n, k) = (2 + chance.within(0..30) as usize, 3 + chance.within(0..10) as usize);
            let blocks: Vec<Vec<f64>> = (0..n).map(|_| sample(&mut chance, k)).collect();
            let Ok(test) = friedman(&blocks) else { return json!({ "kind": "nothing" }) };
            let pairs: Vec<f64> = test.mean_ranks.iter().map(|rank| nemenyi::p_value(rank - test.mean_ranks[0], k, n)).collect();
            json!({
                "kind": "friedman", "blocks": blocks, "mean_ranks": test.mean_ranks, "chi_squared": test.chi_squared, "p": test.p,
                "f": test.iman_davenport.map(|test| test.f), "f_p": test.iman_davenport.map(|test| test.p),
                "nemenyi": pairs, "critical_difference": nemenyi::critical_difference(k, n, 0.05),
            })
        })
        .collect();
    assert!(cases.iter().filter(|case| case["kind"] == "friedman").count() > 250);
    hold_against_scipy(&cases);
}

#[test]
fn the_studentized_range() {
    let mut chance = Chance::new(4);
    let mut cases = Vec::new();
    for k in [2, 3, 4, 5, 7, 10, 20, 50, 64] {
        for _ in 0..20 {
            let q = chance.within(0..1 << 16) as f64 / f64::from(1 << 13);
            cases.push(json!({ "kind": "range", "q": q, "k": k, "tail": nemenyi::range_tail(q, k) }));
        }
        for alpha in [0.5, 0.1, 0.05, 0.01, 0.001] {
            cases.push(json!({ "kind": "range quantile", "alpha": alpha, "k": k, "q": nemenyi::range_quantile(alpha, k) }));
        }
    }
    hold_against_scipy(&cases);
}

#[test]
fn holms_adjustment() {
    let mut chance = Chance::new(5);
    let cases: Vec<Value> = (0..100)
        .map(|_| {
            let n = 1 + chance.within(0..40) as usize;
            let p_values: Vec<f64> = (0..n).map(|_| (chance.within(0..1 << 10) as f64 / 1_024.0).powi(3)).collect();
            json!({ "kind": "holm", "adjusted": holm(&p_values), "p_values": p_values })
        })
        .collect();
    hold_against_scipy(&cases);
}

#[test]
fn bootstrap_intervals_of_the_same_resamples() {
    let mut chance = Chance::new(6);
    let cases: Vec<Value> = (0..200)
        .map(|index| {
            let n = size(&mut chance, index);
            let values = sample(&mut chance, n);
            let confidence = [0.8, 0.9, 0.95, 0.99][chance.within(0..4) as usize];
            let method = if index % 2 == 0 { Method::Bca } else { Method::Percentile };
            let bootstrap = Bootstrap { method, confidence, n_resamples: 999, seed: index };
            let Ok(interval) = bootstrap.interval(&values) else { return json!({ "kind": "nothing" }) };
            json!({
                "kind": "bootstrap", "values": values, "means": bootstrap.resampled_means(&values), "confidence": confidence,
                "method": if method == Method::Bca { "BCa" } else { "percentile" }, "low": interval.low, "high": interval.high,
            })
        })
        .collect();
    assert!(cases.iter().filter(|case| case["kind"] == "bootstrap").count() > 180);
    hold_against_scipy(&cases);
}

/// SciPy's own resamples are others; what they come to is the same but for the error of both draws.
#[test]
fn bootstrap_intervals_of_other_resamples() {
    let mut chance = Chance::new(7);
    let cases: Vec<Value> = [3, 5, 8, 20, 50, 120]
        .into_iter()
        .map(|n| {
            let values = sample(&mut chance, n);
            let bootstrap = Bootstrap { n_resamples: 100_000, ..Bootstrap::default() };
            let interval = bootstrap.interval(&values).expect("samples of this seed vary");
            json!({ "kind": "bootstrap anew", "values": values, "low": interval.low, "high": interval.high })
        })
        .collect();
    hold_against_scipy(&cases);
}

offramp_tests::on_both_engines! {
    a_comparison_is_what_scipy_makes_of_the_views,
}

/// Three patterns and none on two backbones and two budgets; some of the jobs fail.
const SWEEP: &str = r#"
name = "compared"
[axes]
backbone = ["resnet8", "resnet14"]
dataset = "digits"
budget = [{ levels = 3 }, { levels = 6 }]
pattern = ["none", "constant", { increasing = 0.5 }, { decreasing = 0.5 }]
seed = { from = 0, to = 4 }
[recipe]
epochs = 2
batch_size = 64
optimizer = { sgd = { lr = 0.1 } }
"#;

fn a_comparison_is_what_scipy_makes_of_the_views(home: &Home) {
    let file = home.write("compared.toml", SWEEP);
    let up = home.run(&["up", &file, "--trainer", "simulated", "--slots", "2", "--simulate", "epoch-ms=0,error=0.3"]);
    assert!(matches!(up.code, Some(0 | 5)), "{}", up.stderr);
    let rows = home.query("select backbone, dataset, exits, budget, recipe, pattern, seed, area from v_jobs");
    assert_eq!(rows.len(), 70);
    let answer = home.json(&["compare", "last"]);
    let cells = home.rows(&["patterns", "last"]);
    hold_against_scipy(&[json!({ "kind": "comparison", "rows": rows, "answer": answer, "cells": cells })]);
}

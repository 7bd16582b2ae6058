//! Cells over their seeds.

use expect_test::expect;
use offramp_proto::v1;

use super::check_table;
use crate::output::view;

#[test]
fn patterns_in_a_terminal() {
    let pattern = |pattern: &str, deviation| v1::PatternRow {
        backbone: "resnet14".into(),
        pattern: pattern.into(),
        n_seeds: 2,
        area_mean: 0.8125,
        area_deviation: deviation,
        final_accuracy_mean: 0.975,
        final_accuracy_deviation: deviation,
        branch_macs: 1_179_648,
        ..v1::PatternRow::default()
    };
    let rows = [pattern("none", None), pattern("decreasing 1", Some(0.0125))];
    check_table(
        &view::PATTERNS,
        &rows,
        Some(80),
        &expect![[r"
            backbone  pattern       seeds    area      +-  final exit      +-  budget error
            resnet14  none              2  0.8125       -     97.50 %       -        0.00 %
            resnet14  decreasing 1      2  0.8125  0.0125     97.50 %  1.25 %        0.00 %
        "]],
    );
    check_table(
        &view::PATTERNS,
        &rows,
        Some(60),
        &expect![[r"
            backbone  pattern       seeds    area      +-  final exit
            resnet14  none              2  0.8125       -     97.50 %
            resnet14  decreasing 1      2  0.8125  0.0125     97.50 %
        "]],
    );
}

//! Comparisons on the laboratory's database: what people read, and the same answer from a database and from its coordinator.

use std::fmt::Debug;

use clap::Parser;
use expect_test::{Expect, expect};
use offramp_proto::v1;

use super::laboratory::Laboratory;
use super::{Coordinator, SourceArguments};
use crate::args::{Arguments, Command, CompareArguments, DiffSweepsArguments, PatternsArguments, SweepCommand};
use crate::commands::compare::{render, render_cells, render_diff};
use crate::commands::{band, indicators};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Format;
use crate::source::Source;

fn parsed(words: &str) -> Command {
    let words: Vec<&str> = words.split(' ').collect();
    Arguments::try_parse_from([&["offramp"], &words[..]].concat()).unwrap().command
}

fn compare_arguments(words: &str) -> CompareArguments {
    match parsed(&format!("compare {words}")) {
        Command::Compare(arguments) => arguments,
        other => panic!("{other:?}"),
    }
}

fn patterns_arguments(words: &str) -> PatternsArguments {
    match parsed(&format!("patterns {words}")) {
        Command::Patterns(arguments) => arguments,
        other => panic!("{other:?}"),
    }
}

fn diff_arguments(words: &str) -> DiffSweepsArguments {
    match parsed(&format!("sweep diff {words}")) {
        Command::Sweep(SweepCommand::Diff(arguments)) => arguments,
        other => panic!("{other:?}"),
    }
}

async fn compared(words: &str) -> v1::CompareResponse {
    Laboratory::new().await.source().await.compare(compare_arguments(words).request()).await.unwrap()
}

fn shows(answer: &v1::CompareResponse, format: Format, width: Option<u16>, expected: &Expect) {
    expected.assert_eq(&render(answer, format, width));
}

#[tokio::test]
async fn a_comparison_as_a_table() {
    let answer = compared("study").await;
    assert_eq!(
        answer.notes,
        [
            "2 jobs have no result, which leaves 6 pairs incomplete",
            "pairs are seeds of up to 4 blocks, and tell of these blocks; the unit `block` asks about others"
        ]
    );
    shows(
        &answer,
        Format::Table,
        None,
        &expect![[r"
            By pattern: area under accuracy-vs-MACs
            level           cells  jobs  without result    mean      +-  mean rank
            none                4    12               0  0.5317  0.0031     3.7500
            constant            4    12               0  0.6716  0.0023     2.0000
            increasing 0.6      4    11               1  0.7297  0.0060     1.0000
            decreasing 0.6      4    11               1  0.6080  0.0025     3.2500

            Differences over pairs (seeds that differ in pattern alone), with 95 % intervals
            level           less            blocks  pairs  incomplete  difference     from       to  wins  ties  losses        p  p (Holm)  p (Nemenyi)   rank r        d
            constant        none                 4     12           0     +0.1398  +0.1113  +0.1684    12     0       0  0.00049    0.0029        0.221  +1.0000  +2.4676
            increasing 0.6  none                 4     11           1     +0.1954  +0.1782  +0.2134    11     0       0  0.00098    0.0049        0.014  +1.0000  +6.2167
            decreasing 0.6  none                 4     11           1     +0.0688  +0.0259  +0.1124     7     0       4    0.123     0.123        0.947  +0.5455  +0.8480
            increasing 0.6  constant             4     11           1     +0.0603  +0.0453  +0.0751    11     0       0  0.00098    0.0049        0.692  +1.0000  +2.2698
            decreasing 0.6  constant             4     11           1     -0.0658  -0.0800  -0.0508     0     0      11  0.00098    0.0049        0.519  -1.0000  -2.5459
            decreasing 0.6  increasing 0.6       4     10           2     -0.1323  -0.1596  -0.1015     0     0      10   0.0020    0.0049        0.066  -1.0000  -2.6630

            All levels at once (Friedman, 4 blocks): chi-squared = 11.1000 with 3 degrees of freedom, p = 0.011.
            Iman and Davenport's F = 37.0000 with 3 and 9 degrees of freedom, p = 0.000022.
            Mean ranks that are 2.3452 apart differ (Nemenyi, at 0.0500).
        "]],
    );
    // A terminal.
    shows(
        &answer,
        Format::Table,
        Some(80),
        &expect![[r"
            By pattern: area under accuracy-vs-MACs
            level           cells  jobs  without result    mean      +-  mean rank
            none                4    12               0  0.5317  0.0031     3.7500
            constant            4    12               0  0.6716  0.0023     2.0000
            increasing 0.6      4    11               1  0.7297  0.0060     1.0000
            decreasing 0.6      4    11               1  0.6080  0.0025     3.2500

            Differences over pairs (seeds that differ in pattern alone), with 95 % intervals
            level           less            pairs  difference     from       to  p (Holm)
            constant        none               12     +0.1398  +0.1113  +0.1684    0.0029
            increasing 0.6  none               11     +0.1954  +0.1782  +0.2134    0.0049
            decreasing 0.6  none               11     +0.0688  +0.0259  +0.1124     0.123
            increasing 0.6  constant           11     +0.0603  +0.0453  +0.0751    0.0049
            decreasing 0.6  constant           11     -0.0658  -0.0800  -0.0508    0.0049
            decreasing 0.6  increasing 0.6     10     -0.1323  -0.1596  -0.1015    0.0049

            All levels at once (Friedman, 4 blocks): chi-squared = 11.1000 with 3 degrees of freedom, p = 0.011.
            Iman and Davenport's F = 37.0000 with 3 and 9 degrees of freedom, p = 0.000022.
            Mean ranks that are 2.3452 apart differ (Nemenyi, at 0.0500).
        "]],
    );
}

#[tokio::test]
async fn a_comparison_of_accuracies_with_a_baseline() {
    let answer = compared("study --baseline none --at 50% --unit block --confidence 90%").await;
    shows(
        &answer,
        Format::Table,
        None,
        &expect![[r"
            By pattern: accuracy at 50 % of the backbone's MACs
            level           cells  jobs  without result     mean      +-  mean rank
            none                4    12               0  10.00 %  0.00 %     2.7500
            constant            4    12               0  10.00 %  0.00 %     2.7500
            increasing 0.6      4    11               1  46.48 %  1.08 %     1.7500
            decreasing 0.6      4    11               1  10.00 %  0.00 %     2.7500

            Differences over pairs (blocks that differ in pattern alone), with 90 % intervals
            level           less  blocks  pairs  incomplete  difference     from         to  wins  ties  losses      p  p (Holm)  p (Nemenyi)   rank r        d  missing
            constant        none       4      4           0     0.00 pp        -          -     0     4       0      -         -        1.000        -        -  interval, effect: all differences are equal; test: needs 1 or more differences other than zero, there are 0
            increasing 0.6  none       4      4           1   +36.48 pp  0.00 pp  +72.85 pp     2     2       0  0.500     0.500        0.692  +1.0000  +0.8660
            decreasing 0.6  none       4      4           1     0.00 pp        -          -     0     4       0      -         -        1.000        -        -  interval, effect: all differences are equal; test: needs 1 or more differences other than zero, there are 0

            All levels at once (Friedman, 4 blocks): chi-squared = 6.0000 with 3 degrees of freedom, p = 0.112.
            Iman and Davenport's F = 3.0000 with 3 and 9 degrees of freedom, p = 0.088.
            Mean ranks that are 2.0917 apart differ (Nemenyi, at 0.1000).
        "]],
    );
}

#[tokio::test]
async fn a_comparison_as_json_and_csv() {
    let answer = compared("last --where seed<2 --resamples 500 --metric final-accuracy --baseline constant").await;
    shows(
        &answer,
        Format::Json,
        None,
        &expect![[r#"
            {"version":1,"kind":"compare","by":"pattern","metric":"final_accuracy","metric_label":"accuracy of the final exit","unit":"seed","confidence":0.95,"resamples":500,"levels":[{"level":"none","n_cells":1,"n_jobs":2,"n_without_result":0,"mean":0.952,"deviation":0.0014142135623730963,"mean_rank":null},{"level":"constant","n_cells":1,"n_jobs":2,"n_without_result":0,"mean":0.9584999999999999,"deviation":0.006363961030678934,"mean_rank":null},{"level":"increasing 0.6","n_cells":1,"n_jobs":2,"n_without_result":0,"mean":0.959,"deviation":0.014142135623730963,"mean_rank":null},{"level":"decreasing 0.6","n_cells":1,"n_jobs":2,"n_without_result":0,"mean":0.935,"deviation":0.0028284271247461927,"mean_rank":null}],"pairs":[{"level":"none","other":"constant","n_blocks":1,"n_pairs":2,"n_incomplete":0,"mean_difference":-0.006500000000000001,"low":-0.012,"high":-0.001,"n_wins":0,"n_ties":0,"n_losses":2,"wilcoxon_statistic":0.0,"p_value":0.5,"p_method":"exact","p_holm":1.0,"p_nemenyi":null,"rank_biserial":-1.0,"cohens_dz":-0.8356716504931926,"missing":""},{"level":"increasing 0.6","other":"constant","n_blocks":1,"n_pairs":2,"n_incomplete":0,"mean_difference":0.0004999999999999996,"low":-0.014,"high":0.015,"n_wins":1,"n_ties":0,"n_losses":1,"wilcoxon_statistic":1.0,"p_value":1.0,"p_method":"exact","p_holm":1.0,"p_nemenyi":null,"rank_biserial":0.3333333333333333,"cohens_dz":0.02438299245470852,"missing":""},{"level":"decreasing 0.6","other":"constant","n_blocks":1,"n_pairs":2,"n_incomplete":0,"mean_difference":-0.0235,"low":-0.026,"high":-0.021,"n_wins":0,"n_ties":0,"n_losses":2,"wilcoxon_statistic":0.0,"p_value":0.5,"p_method":"exact","p_holm":1.0,"p_nemenyi":null,"rank_biserial":-1.0,"cohens_dz":-6.64680374315355,"missing":""}],"friedman":null,"friedman_missing":"needs 2 or more blocks that every level is in, there is 1","notes":["with 2 pairs that differ no p-value is below 0.5; 6 can reach 0.05: add seeds or blocks"]}
        "#]],
    );
    shows(
        &answer,
        Format::Csv,
        None,
        &expect![[r"
            level,other,n_blocks,n_pairs,n_incomplete,mean_difference,low,high,n_wins,n_ties,n_losses,wilcoxon_statistic,p_value,p_method,p_holm,p_nemenyi,rank_biserial,cohens_dz,missing
            none,constant,1,2,0,-0.006500000000000001,-0.012,-0.001,0,0,2,0.0,0.5,exact,1.0,,-1.0,-0.8356716504931926,
            increasing 0.6,constant,1,2,0,0.0004999999999999996,-0.014,0.015,1,0,1,1.0,1.0,exact,1.0,,0.3333333333333333,0.02438299245470852,
            decreasing 0.6,constant,1,2,0,-0.0235,-0.026,-0.021,0,0,2,0.0,0.5,exact,1.0,,-1.0,-6.64680374315355,
        "]],
    );
}

#[tokio::test]
async fn one_seed_says_what_it_lacks() {
    let answer = compared("2 --baseline none").await;
    shows(
        &answer,
        Format::Table,
        Some(160),
        &expect![[r"
            By pattern: area under accuracy-vs-MACs
            level             cells  jobs  without result    mean  +-
            none                  1     1               0  0.5340   -
            constant              1     1               0  0.7550   -
            increasing 0.6        1     1               0  0.7691   -
            decreasing 0.6        1     1               0  0.7322   -
            geometric -1.5        1     1               0  0.7139   -
            remaining-work 1      1     1               0  0.7210   -
            hump 0.5              1     1               0  0.7520   -
            single 1              0     0               1       -   -
            random 7              0     0               1       -   -
            list 0.5/0.3/0.2      0     0               1       -   -
            final-only            0     0               1       -   -

            Differences over pairs (seeds that differ in pattern alone), with 95 % intervals
            level             less  blocks  pairs  incomplete  difference  from  to  wins  ties  losses  p  p (Holm)  rank r  d
            constant          none       1      1           0     +0.2210     -   -     1     0       0  -         -       -  -
            increasing 0.6    none       1      1           0     +0.2351     -   -     1     0       0  -         -       -  -
            decreasing 0.6    none       1      1           0     +0.1982     -   -     1     0       0  -         -       -  -
            geometric -1.5    none       1      1           0     +0.1799     -   -     1     0       0  -         -       -  -
            remaining-work 1  none       1      1           0     +0.1870     -   -     1     0       0  -         -       -  -
            hump 0.5          none       1      1           0     +0.2180     -   -     1     0       0  -         -       -  -
            single 1          none       0      0           1           -     -   -     0     0       0  -         -       -  -
            random 7          none       0      0           1           -     -   -     0     0       0  -         -       -  -
            list 0.5/0.3/0.2  none       0      0           1           -     -   -     0     0       0  -         -       -  -
            final-only        none       0      0           1           -     -   -     0     0       0  -         -       -  -

            All levels at once (Friedman): needs 2 or more blocks that every level is in, there are 0
        "]],
    );
}

#[tokio::test]
async fn cells_over_their_seeds() {
    let arguments = patterns_arguments("study");
    let answer = Laboratory::new().await.source().await.cells(arguments.request()).await.unwrap();
    expect![[r"
        Cells: area under accuracy-vs-MACs; mean and deviation over seeds, 95 % interval of the mean
        backbone  dataset  pattern         seeds  without result    mean      +-    from      to  branch MACs
        resnet8   digits   none                3               0  0.5252  0.0015  0.5235  0.5262            0
        resnet8   digits   constant            3               0  0.6145  0.0021  0.6123  0.6159      885.9 k
        resnet8   digits   increasing 0.6      3               0  0.6972  0.0053  0.6915  0.7007      885.9 k
        resnet8   digits   decreasing 0.6      3               0  0.5207  0.0008  0.5202  0.5216      885.9 k
        resnet8   cifar10  none                3               0  0.5332  0.0020  0.5320  0.5355            0
        resnet8   cifar10  constant            3               0  0.6154  0.0016  0.6138  0.6170      14.16 M
        resnet8   cifar10  increasing 0.6      3               0  0.6984  0.0078  0.6936  0.7074      14.16 M
        resnet8   cifar10  decreasing 0.6      3               0  0.5341  0.0030  0.5322  0.5374      14.16 M
        resnet14  digits   none                3               0  0.5317  0.0049  0.5260  0.5347            0
        resnet14  digits   constant            3               0  0.7277  0.0023  0.7262  0.7302      885.9 k
        resnet14  digits   increasing 0.6      3               0  0.7607  0.0059  0.7545  0.7663      885.9 k
        resnet14  digits   decreasing 0.6      3               0  0.6847  0.0032  0.6809  0.6866      885.9 k
        resnet14  cifar10  none                3               0  0.5368  0.0028  0.5350  0.5400            0
        resnet14  cifar10  constant            3               0  0.7286  0.0028  0.7267  0.7316      14.16 M
        resnet14  cifar10  increasing 0.6      2               1  0.7623  0.0022  0.7608  0.7638      14.16 M
        resnet14  cifar10  decreasing 0.6      2               1  0.6924  0.0015  0.6913  0.6935      14.16 M
    "]]
    .assert_eq(&render_cells(&answer, Format::Table, None));
    let arguments = patterns_arguments("last --where pattern=constant --metric best-accuracy");
    let answer = Laboratory::new().await.source().await.cells(arguments.request()).await.unwrap();
    expect![[r#"
        {"version":1,"kind":"cells","metric":"best_accuracy","metric_label":"accuracy of the best exit","confidence":0.95,"resamples":10000,"rows":[{"backbone":"resnet8","dataset":"digits","exits":"stage-ends","budget":"6 levels","pattern":"constant","recipe":"3 epochs, batch 64, sgd 0.1 m 0.9 nesterov wd 0.0005, cosine, no augmentation","branch_rule":"levels","n_seeds":4,"n_without_result":0,"mean":0.9594999999999999,"deviation":0.007234178138070242,"low":0.9535,"high":0.9655,"missing":"","branch_macs":885856,"backbone_macs":747136}]}
    "#]].assert_eq(&render_cells(&answer, Format::Json, None));
    expect![[r#"
        backbone,dataset,exits,budget,pattern,recipe,branch_rule,n_seeds,n_without_result,mean,deviation,low,high,missing,branch_macs,backbone_macs
        resnet8,digits,stage-ends,6 levels,constant,"3 epochs, batch 64, sgd 0.1 m 0.9 nesterov wd 0.0005, cosine, no augmentation",levels,4,0,0.9594999999999999,0.007234178138070242,0.9535,0.9655,,885856,747136
    "#]].assert_eq(&render_cells(&answer, Format::Csv, None));
}

#[tokio::test]
async fn two_sweeps_in_every_format() {
    let arguments = diff_arguments("study 4");
    let answer = Laboratory::new().await.source().await.diff_sweeps(arguments.request()).await.unwrap();
    expect![[r#"
        A is study (1), B is tables & "quotes" (4)

        What the files say differently
        place          A                        B
        axes.backbone  ["resnet8", "resnet14"]  ["resnet8"]
        axes.dataset   ["digits", "cifar10"]    ["digits"]
        axes.seed      { from = 0, to = 2 }     { from = 0, to = 3 }
        name           "study"                  'tables & "quotes"'

        12 jobs in both, 36 in A alone, 4 in B alone
        only in  backbone  dataset  pattern         jobs  with a result  seeds
        a        resnet8   cifar10  none               3              3  0 1 2
        a        resnet8   cifar10  constant           3              3  0 1 2
        a        resnet8   cifar10  increasing 0.6     3              3  0 1 2
        a        resnet8   cifar10  decreasing 0.6     3              3  0 1 2
        a        resnet14  digits   none               3              3  0 1 2
        a        resnet14  digits   constant           3              3  0 1 2
        a        resnet14  digits   increasing 0.6     3              3  0 1 2
        a        resnet14  digits   decreasing 0.6     3              3  0 1 2
        a        resnet14  cifar10  none               3              3  0 1 2
        a        resnet14  cifar10  constant           3              3  0 1 2
        a        resnet14  cifar10  increasing 0.6     3              2  0 1 2
        a        resnet14  cifar10  decreasing 0.6     3              2  0 1 2
        b        resnet8   digits   none               1              1  3
        b        resnet8   digits   constant           1              1  3
        b        resnet8   digits   increasing 0.6     1              1  3
        b        resnet8   digits   decreasing 0.6     1              1  3

        No two jobs with results differ in the sweep alone.
    "#]]
    .assert_eq(&render_diff(&answer, Format::Table, None));
    expect![[r#"
        place,a,b
        axes.backbone,"[""resnet8"", ""resnet14""]","[""resnet8""]"
        axes.dataset,"[""digits"", ""cifar10""]","[""digits""]"
        axes.seed,"{ from = 0, to = 2 }","{ from = 0, to = 3 }"
        name,"""study""","'tables & ""quotes""'"
    "#]]
    .assert_eq(&render_diff(&answer, Format::Csv, None));
    let answer = Laboratory::new().await.source().await.diff_sweeps(diff_arguments("2 4").request()).await.unwrap();
    expect![[r#"
        {"version":1,"kind":"sweep_diff","a":{"sweep":2,"name":"<script>alert(1)</script>","state":"running","created_us":1700011177000000,"n_jobs":11,"n_queued":4,"n_leased":0,"n_succeeded":7,"n_failed":0,"n_diverged":0,"n_blocked":0,"n_quarantined":0,"n_cancelled":0,"n_reused":0,"priority":0,"note":""},"b":{"sweep":4,"name":"tables & \"quotes\"","state":"finished","created_us":1700011333000000,"n_jobs":16,"n_queued":0,"n_leased":0,"n_succeeded":16,"n_failed":0,"n_diverged":0,"n_blocked":0,"n_quarantined":0,"n_cancelled":0,"n_reused":12,"priority":0,"note":""},"differences":[{"place":"axes.budget","a":"[0.2491]","b":"[{ levels = 6 }]"},{"place":"axes.pattern","a":"[\"none\", \"constant\", { increasing = 0.6 }, { decreasing = 0.6 }, { geometric = -1.5 }, { remaining-work = 1 }, { hump = 0.5 }, { single = 1 }, { random = 7 }, { list = [0.5, 0.3, 0.2] }, \"final-only\"]","b":"[\"none\", \"constant\", { increasing = 0.6 }, { decreasing = 0.6 }]"},{"place":"axes.seed","a":"0","b":"{ from = 0, to = 3 }"},{"place":"branch.rule","a":"\"joint\"","b":null},{"place":"evaluation.policies","a":null,"b":"[\"max-softmax\", \"patience\"]"},{"place":"name","a":"\"<script>alert(1)</script>\"","b":"'tables & \"quotes\"'"},{"place":"recipe.optimizer","a":"{ sgd = { lr = 0.1 } }","b":"{ sgd = { lr = 0.1, momentum = 0.9, nesterov = true, weight_decay = 0.0005 } }"}],"n_both":0,"n_only_a":11,"n_only_b":16,"cells":[{"only_in":"a","backbone":"resnet8","dataset":"digits","exits":"-","budget":"-","pattern":"none","recipe":"3 epochs, batch 64, sgd 0.1 m 0.9 nesterov wd 0.0005, cosine, no augmentation","n_jobs":1,"n_succeeded":1,"seeds":[0],"jobs":["739adbe35e90"]},{"only_in":"a","backbone":"resnet8","dataset":"digits","exits":"stage-ends","budget":"24.91 %","pattern":"constant","recipe":"3 epochs, batch 64, sgd 0.1 m 0.9 nesterov wd 0.0005, cosine, no augmentation","n_jobs":1,"n_succeeded":1,"seeds":[0],"jobs":["97559968f5ba"]},{"only_in":"a","backbone":"resnet8","dataset":"digits","exits":"stage-ends","budget":"24.91 %","pattern":"increasing 0.6","recipe":"3 epochs, batch 64, sgd 0.1 m 0.9 nesterov wd 0.0005, cosine, no augmentation","n_jobs":1,"n_succeeded":1,"seeds":[0],"jobs":["4579605bd6a7"]},{"only_in":"a","backbone":"resnet8","dataset":"digits","exits":"stage-ends","budget":"24.91 %","pattern":"decreasing 0.6","recipe":"3 epochs, batch 64, sgd 0.1 m 0.9 nesterov wd 0.0005, cosine, no augmentation","n_jobs":1,"n_succeeded":1,"seeds":[0],"jobs":["a2e6353fab40"]},{"only_in":"a","backbone":"resnet8","dataset":"digits","exits":"stage-ends","budget":"24.91 %","pattern":"geometric -1.5","recipe":"3 epochs, batch 64, sgd 0.1 m 0.9 nesterov wd 0.0005, cosine, no augmentation","n_jobs":1,"n_succeeded":1,"seeds":[0],"jobs":["267f7dffbaeb"]},{"only_in":"a","backbone":"resnet8","dataset":"digits","exits":"stage-ends","budget":"24.91 %","pattern":"remaining-work 1","recipe":"3 epochs, batch 64, sgd 0.1 m 0.9 nesterov wd 0.0005, cosine, no augmentation","n_jobs":1,"n_succeeded":1,"seeds":[0],"jobs":["bb4fcf429fc4"]},{"only_in":"a","backbone":"resnet8","dataset":"digits","exits":"stage-ends","budget":"24.91 %","pattern":"hump 0.5","recipe":"3 epochs, batch 64, sgd 0.1 m 0.9 nesterov wd 0.0005, cosine, no augmentation","n_jobs":1,"n_succeeded":1,"seeds":[0],"jobs":["e5e347388189"]},{"only_in":"a","backbone":"resnet8","dataset":"digits","exits":"stage-ends","budget":"24.91 %","pattern":"single 1","recipe":"3 epochs, batch 64, sgd 0.1 m 0.9 nesterov wd 0.0005, cosine, no augmentation","n_jobs":1,"n_succeeded":0,"seeds":[0],"jobs":["5356ab55afb3"]},{"only_in":"a","backbone":"resnet8","dataset":"digits","exits":"stage-ends","budget":"24.91 %","pattern":"random 7","recipe":"3 epochs, batch 64, sgd 0.1 m 0.9 nesterov wd 0.0005, cosine, no augmentation","n_jobs":1,"n_succeeded":0,"seeds":[0],"jobs":["215b57a47cf5"]},{"only_in":"a","backbone":"resnet8","dataset":"digits","exits":"stage-ends","budget":"24.91 %","pattern":"list 0.5/0.3/0.2","recipe":"3 epochs, batch 64, sgd 0.1 m 0.9 nesterov wd 0.0005, cosine, no augmentation","n_jobs":1,"n_succeeded":0,"seeds":[0],"jobs":["b71d361ab2bd"]},{"only_in":"a","backbone":"resnet8","dataset":"digits","exits":"-","budget":"24.91 %","pattern":"final-only","recipe":"3 epochs, batch 64, sgd 0.1 m 0.9 nesterov wd 0.0005, cosine, no augmentation","n_jobs":1,"n_succeeded":0,"seeds":[0],"jobs":["b203afde1edd"]},{"only_in":"b","backbone":"resnet8","dataset":"digits","exits":"-","budget":"-","pattern":"none","recipe":"3 epochs, batch 64, sgd 0.1 m 0.9 nesterov wd 0.0005, cosine, no augmentation","n_jobs":4,"n_succeeded":4,"seeds":[0,1,2,3],"jobs":["62b3e362ffc3","d7862a542f6c","f7c1a45fbded","bd5a5429ee02"]},{"only_in":"b","backbone":"resnet8","dataset":"digits","exits":"stage-ends","budget":"6 levels","pattern":"constant","recipe":"3 epochs, batch 64, sgd 0.1 m 0.9 nesterov wd 0.0005, cosine, no augmentation","n_jobs":4,"n_succeeded":4,"seeds":[0,1,2,3],"jobs":["5869b4f10434","e7ac31ad64ae","505762799874","6d8deb8d2c80"]},{"only_in":"b","backbone":"resnet8","dataset":"digits","exits":"stage-ends","budget":"6 levels","pattern":"increasing 0.6","recipe":"3 epochs, batch 64, sgd 0.1 m 0.9 nesterov wd 0.0005, cosine, no augmentation","n_jobs":4,"n_succeeded":4,"seeds":[0,1,2,3],"jobs":["ed6d648fcdcf","e956edebe4f0","38fd36fd67de","58c8d440427c"]},{"only_in":"b","backbone":"resnet8","dataset":"digits","exits":"stage-ends","budget":"6 levels","pattern":"decreasing 0.6","recipe":"3 epochs, batch 64, sgd 0.1 m 0.9 nesterov wd 0.0005, cosine, no augmentation","n_jobs":4,"n_succeeded":4,"seeds":[0,1,2,3],"jobs":["3909e9b68e7f","8eb5908d931a","b5afe7b475aa","aaf843beb34e"]}],"by":"sweep","metric":"area","metric_label":"area under accuracy-vs-MACs","unit":"seed","confidence":0.95,"resamples":10000,"levels":[{"level":"<script>alert(1)</script>","n_cells":7,"n_jobs":7,"n_without_result":4,"mean":0.7110227790430963,"deviation":null,"mean_rank":null},{"level":"tables & \"quotes\"","n_cells":4,"n_jobs":16,"n_without_result":0,"mean":0.589692380273471,"deviation":0.002669602690946423,"mean_rank":null}],"pairs":[{"level":"tables & \"quotes\"","other":"<script>alert(1)</script>","n_blocks":4,"n_pairs":4,"n_incomplete":0,"mean_difference":-0.10917950745300001,"low":-0.17732234879025,"high":-0.04138314396375,"n_wins":0,"n_ties":0,"n_losses":4,"wilcoxon_statistic":0.0,"p_value":0.125,"p_method":"exact","p_holm":0.125,"p_nemenyi":null,"rank_biserial":-1.0,"cohens_dz":-1.2646424974733375,"missing":""}],"friedman":null,"friedman_missing":"needs 3 or more levels, there are 2","notes":["4 jobs have no result","3 cells are in no pair: nothing with a result differs in sweep alone","the sweeps differ as a whole in branches.budget, branches.rule, evaluation","pairs are seeds of up to 4 blocks, and tell of these blocks; the unit `block` asks about others","with 4 pairs that differ no p-value is below 0.125; 6 can reach 0.05: add seeds or blocks"]}
    "#]].assert_eq(&render_diff(&answer, Format::Json, None));
}

#[tokio::test]
async fn hostile_names_are_inert() {
    let answer = Laboratory::new().await.source().await.diff_sweeps(diff_arguments("2 3").request()).await.unwrap();
    let text = render_diff(&answer, Format::Table, Some(100));
    assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{text}");
    let csv = render_diff(&answer, Format::Csv, None);
    assert!(csv.contains("alert(1)") && !csv.lines().any(|line| line.split(',').any(|cell| cell.starts_with(['=', '+', '@']))), "{csv}");
}

/// What two ways to ask say: the answer, or the exit code and the message.
fn said<T: Debug>(answer: Result<T, Failure>) -> Result<T, (Exit, String, Option<String>)> {
    answer.map_err(|failure| {
        let (message, hint) = failure.parts();
        (failure.exit(), message, hint)
    })
}

#[tokio::test]
async fn a_database_and_its_coordinator_answer_alike() {
    let coordinator = Coordinator::start_in(Laboratory::new().await.into_folder(), ([127, 0, 0, 1], 0).into()).await;
    let [database, remote]: [Source; 2] = coordinator.sources().await;
    let comparisons = [
        "study",
        "--all-sweeps --at 1M --unit block",
        "study last --by sweep",
        "study --by dataset",
        "study --by recipe",
        "2 --by rule",
        "study --where backbone=resnet14 --metric final-accuracy --baseline none",
        "3",
        // Refused alike.
        "study --baseline nothing",
        "no-such-sweep",
        "study --where bakbone=resnet8",
        "study --by backbone --metric area",
    ];
    for words in comparisons {
        let request = compare_arguments(words).request();
        let (here, there) = (said(database.compare(request.clone()).await), said(remote.compare(request).await));
        assert_eq!(here, there, "{words}");
    }
    for words in ["study", "--all-sweeps --metric best-accuracy", "2 --at 50%", "no-such-sweep"] {
        let request = patterns_arguments(words).request();
        let (here, there) = (said(database.cells(request.clone()).await), said(remote.cells(request).await));
        assert_eq!(here, there, "{words}");
    }
    for words in ["study last", "2 3", "study study", "study no-such-sweep"] {
        let request = diff_arguments(words).request();
        let (here, there) = (said(database.diff_sweeps(request.clone()).await), said(remote.diff_sweeps(request).await));
        assert_eq!(here, there, "{words}");
    }
    coordinator.stop().await;
}

#[tokio::test]
async fn an_empty_comparison_exits_as_nothing_matched() {
    let laboratory = Laboratory::new().await;
    let source = || SourceArguments { ..laboratory.arguments() };
    for words in ["study --where pattern=own", "3", "study --by recipe"] {
        let arguments = CompareArguments { source: source(), ..compare_arguments(words) };
        assert_eq!(crate::commands::compare::compare(&arguments, Format::Csv).await.unwrap(), Exit::NothingMatched, "{words}");
    }
    let arguments = PatternsArguments { source: source(), ..patterns_arguments("3") };
    assert_eq!(crate::commands::compare::patterns(&arguments, Format::Csv).await.unwrap(), Exit::NothingMatched);
}

#[tokio::test]
async fn bands_and_indicators_are_the_same_from_a_database_and_its_coordinator() {
    let coordinator = Coordinator::start_in(Laboratory::new().await.into_folder(), ([127, 0, 0, 1], 0).into()).await;
    let [database, asked] = coordinator.sources().await;
    for cost in ["macs", "macs-selected", "params", "latency"] {
        for by in ["dataset", "backbone", "pattern"] {
            let Command::Frontier(arguments) = parsed(&format!("frontier study --band --cost {cost} --by {by}")) else { panic!("{cost}") };
            for (here, there) in [
                (band::rows(&database, &arguments).await.unwrap(), band::rows(&asked, &arguments).await.unwrap()),
                (indicators::rows(&database, &arguments).await.unwrap(), indicators::rows(&asked, &arguments).await.unwrap()),
            ] {
                // Nothing measured latencies there.
                assert_eq!(here.rows.is_empty(), cost == "latency", "{cost}, {by}");
                assert_eq!(here.rows, there.rows, "{cost}, {by}");
            }
        }
    }
    drop((database, asked));
    coordinator.stop().await;
}

use expect_test::expect;

use super::*;

fn sweep(axes: &str) -> Sweep {
    let text = format!(
        "name = 'a'\n[axes]\nbackbone = 'resnet8'\ndataset = 'digits'\n{axes}\nepochs = [2, 3]\nseed = [0, 1]\n\
         [recipe]\nbatch_size = 32\noptimizer = {{ sgd = {{ lr = 0.05 }} }}\n"
    );
    offramp_domain::sweep::parse(&text).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// Six levels of 147,456 MACs over three exits on a backbone of 747,136, all counted by hand in the domain's tests.
const DECREASING: &str = "pattern = ['none', { decreasing = 0.5 }]\nbudget = { levels = 6 }";

#[test]
fn a_network_is_described_once_for_all_its_jobs() {
    let sweep = sweep(DECREASING);
    let text = render(&sweep, &networks(&sweep), Format::Table, None);
    expect![[r"
        1: resnet8 on digits, pattern none (4 jobs)
           backbone: 747.1 k MACs, 75.00 k parameters
        exit  unit  reads   branch           share  branch MACs  parameters  backbone MACs     MACs  own branch alone
           0     3  64x2x2  mean, linear 10      -            0           0        747.1 k  747.1 k           747.1 k

        2: resnet8 on digits, pattern decreasing 0.5, exits stage-ends, budget 6 levels (4 jobs)
           backbone: 747.1 k MACs, 75.00 k parameters
           branches: 885.9 k MACs, 63.71 k parameters; rule levels, 0.00 % off the budget
           expected where 25.00 % / 25.00 % / 25.00 % / 25.00 % leave: 1.319 M MACs, 738.0 k of them of branches;
           with the answering branch alone: 802.2 k MACs
        exit  unit  reads   branch                            share  branch MACs  parameters  backbone MACs     MACs  own branch alone
           0     1  16x8x8  3 x conv 3 16, mean, linear 10  49.95 %      442.5 k     7.178 k        304.1 k  746.7 k           746.7 k
           1     2  32x4x4  2 x conv 3 32, mean, linear 10  33.33 %      295.2 k     18.89 k        525.3 k  1.263 M           820.5 k
           2     3  64x2x2  conv 3 64, mean, linear 10      16.72 %      148.1 k     37.64 k        746.5 k  1.632 M           894.6 k
           3     3  64x2x2  mean, linear 10                       -            0           0        747.1 k  1.633 M           747.1 k
    "]]
    .assert_eq(&text);
}

#[test]
fn networks_and_exits_as_json() {
    let sweep = sweep(DECREASING);
    let text = render(&sweep, &networks(&sweep), Format::Json, None);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&value["version"], &value["kind"], &value["n_jobs"]), (&1.into(), &"networks".into(), &8.into()));
    let decreasing = &value["networks"][1];
    assert_eq!(decreasing["branch_macs"], 6 * 147_456 + 1_120);
    assert_eq!(decreasing["n_jobs"], 4);
    // Where a quarter leaves at each exit: trunks of 304,128, 525,312, 746,496 and 747,136 MACs, and branches of 442,528, 295,232 and 148,096
    // that all, three quarters and half of the inputs come by.
    let (trunk, branches) = ((304_128 + 525_312 + 746_496 + 747_136) / 4, 442_528.0 + 0.75 * 295_232.0 + 0.5 * 148_096.0);
    assert_eq!(decreasing["expected_macs_cascade"], f64::from(trunk) + branches);
    assert_eq!(decreasing["expected_branch_macs"], branches);
    assert_eq!(decreasing["expected_macs_selected"], f64::from(trunk) + (442_528.0 + 295_232.0 + 148_096.0) / 4.0);
    let exits: Vec<_> = value["exits"].as_array().unwrap().iter().map(|exit| (&exit["network"], &exit["input"])).collect();
    let (one, two) = (&1.into(), &2.into());
    let [first, second, third] = [&"16x8x8".into(), &"32x4x4".into(), &"64x2x2".into()];
    assert_eq!(exits, [(one, third), (two, first), (two, second), (two, third), (two, third)]);
}

#[test]
fn exits_as_csv_have_every_column() {
    let sweep = sweep(DECREASING);
    let text = render(&sweep, &networks(&sweep), Format::Csv, None);
    expect![[r#"
        network,backbone,dataset,pattern,exits,budget,branch_rule,budget_error,exit,is_final,unit,input,branch,branch_depth,branch_width,branch_share,branch_macs,branch_params,backbone_macs,macs_cascade,macs_selected
        1,resnet8,digits,none,-,-,none,0.0,0,true,3,64x2x2,"mean, linear 10",0,0,,0,0,747136,747136,747136
        2,resnet8,digits,decreasing 0.5,stage-ends,6 levels,levels,0.0,0,false,1,16x8x8,"3 x conv 3 16, mean, linear 10",3,16,0.4995484593432793,442528,7178,304128,746656,746656
        2,resnet8,digits,decreasing 0.5,stage-ends,6 levels,levels,0.0,1,false,2,32x4x4,"2 x conv 3 32, mean, linear 10",2,32,0.33327312791243724,295232,18890,525312,1263072,820544
        2,resnet8,digits,decreasing 0.5,stage-ends,6 levels,levels,0.0,2,false,3,64x2x2,"conv 3 64, mean, linear 10",1,64,0.1671784127442835,148096,37642,746496,1632352,894592
        2,resnet8,digits,decreasing 0.5,stage-ends,6 levels,levels,0.0,3,true,3,64x2x2,"mean, linear 10",0,0,,0,0,747136,1632992,747136
    "#]]
    .assert_eq(&text);
}

#[test]
fn the_whole_budget_at_the_final_classifier_is_one_network_whatever_the_exits() {
    let sweep = sweep(
        "pattern = ['final-only', 'constant']\nbudget = { levels = 6 }\nexits = [{ at = 'stage-ends' }, { at = { units = [1, 2] } }]",
    );
    let planned = networks(&sweep);
    let labels: Vec<_> = planned.iter().map(|planned| (planned.network.pattern.as_str(), planned.network.exits.as_str())).collect();
    assert_eq!(labels, [("final-only", "-"), ("constant", "stage-ends"), ("constant", "units 1/2")]);
    // The six levels and nothing else: the classifier on top is as large as the backbone's own.
    assert_eq!(planned[0].network.branch_macs, 6 * 147_456);
    assert_eq!(planned[0].exits.len(), 1);
    assert_eq!(planned[0].exits[0].branch, "6 x conv 3 64, mean, linear 10");
    assert_eq!(planned[0].exits[0].macs_cascade, 747_136 + 6 * 147_456);
}

#[test]
fn panels_compare_patterns_under_the_same_conditions() {
    let planned =
        networks(&sweep("pattern = ['none', 'final-only', 'constant', { single = 1 }]\nbudget = [{ levels = 6 }, { levels = 3 }]"));
    let Figure::Shares(Shares { groups, .. }) = shares(&planned) else { panic!("other than shares") };
    let drawn: Vec<_> = groups.iter().map(|group| (group.conditions.as_str(), group.patterns.len())).collect();
    assert_eq!(drawn, [("exits stage-ends, budget 6 levels", 2), ("exits stage-ends, budget 3 levels", 2)]);
}

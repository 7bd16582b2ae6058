//! Reports of the laboratory's sweeps.

use std::collections::BTreeSet;

use crate::exit::Exit;
use crate::report::{Material, render};
use crate::tests::laboratory::{HOSTILE_MESSAGE, HOSTILE_WORKER, Laboratory, SWEEPS};

async fn page(sweep: &str) -> String {
    let laboratory = Laboratory::new().await;
    render(&Material::gather(&laboratory.source().await, sweep).await.unwrap())
}

/// Names of the elements that a page opens, in order; every one that is not void must be closed in its place.
fn elements(page: &str) -> Vec<String> {
    let mut rest = page;
    let (mut open, mut all) = (Vec::new(), Vec::new());
    while let Some(start) = rest.find('<') {
        let end = start + rest[start..].find('>').expect("every tag ends");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if tag.starts_with('!') {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "</{name}> closes something else; open: {open:?}");
            continue;
        }
        let name = tag.split([' ', '/']).next().unwrap_or_default().to_owned();
        if !tag.ends_with('/') && name != "meta" {
            open.push(name.clone());
        }
        all.push(name);
    }
    assert!(open.is_empty(), "{open:?} stay open");
    all
}

#[tokio::test]
async fn pages_are_well_formed_and_hold_nothing_that_runs_or_loads() {
    let laboratory = Laboratory::new().await;
    let source = laboratory.source().await;
    let known = [
        "a",
        "body",
        "caption",
        "circle",
        "clipPath",
        "code",
        "defs",
        "desc",
        "div",
        "figcaption",
        "figure",
        "footer",
        "g",
        "h1",
        "h2",
        "h3",
        "head",
        "header",
        "html",
        "li",
        "line",
        "main",
        "meta",
        "nav",
        "p",
        "path",
        "polygon",
        "polyline",
        "pre",
        "rect",
        "section",
        "strong",
        "style",
        "svg",
        "table",
        "tbody",
        "td",
        "text",
        "th",
        "thead",
        "title",
        "tr",
        "tspan",
        "ul",
    ];
    for sweep in SWEEPS {
        let page = render(&Material::gather(&source, sweep).await.unwrap());
        let found: BTreeSet<String> = elements(&page).into_iter().collect();
        let foreign: Vec<&String> = found.iter().filter(|name| !known.contains(&name.as_str())).collect();
        assert!(foreign.is_empty(), "{sweep}: {foreign:?}");
        for forbidden in ["<script", "<img", "onerror=\"", "javascript:", "@import", "url(", "src=\"", "style=\"", "href=\"http"] {
            assert!(!page.contains(forbidden), "{sweep}: {forbidden}");
        }
        // Links lead to headings of the page.
        for link in page.split("href=\"#").skip(1) {
            let id = link.split('"').next().unwrap();
            assert!(page.contains(&format!("id=\"{id}\"")), "{sweep}: {id}");
        }
        assert!(!page.chars().any(|c| c.is_control() && c != '\n' && c != '\t'), "{sweep}: a control character");
        assert!(!page.contains('\u{202e}'), "{sweep}: text turned around");
    }
}

#[tokio::test]
async fn the_policy_names_the_style_and_allows_nothing_else() {
    use base64::Engine as _;
    use sha2::Digest as _;
    let page = page("study").await;
    assert_eq!(page.matches("<style").count(), 1);
    let style = page.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    let digest = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(style.as_bytes()));
    let policy = format!("content=\"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'\"");
    assert!(page.contains(&policy), "{}", page.split('\n').next().unwrap());
}

#[tokio::test]
async fn text_from_elsewhere_is_shown_and_does_nothing() {
    let study = page("study").await;
    assert!(study.contains("&lt;/pre&gt;&lt;script&gt;alert(3)&lt;/script&gt;"), "the comment in the sweep file");
    assert!(HOSTILE_WORKER.contains('\u{1b}') && study.contains("&lt;b&gt;gpu&lt;/b&gt;\\u{1b}]52;c;aGk=\\u{7}"));
    assert!(HOSTILE_MESSAGE.contains("<img") && study.contains("&lt;img src=x onerror=alert(1)&gt; \\u{202e}txt.exe \\u{1b}[2J"));
    let named = page(SWEEPS[1]).await;
    assert!(named.contains("<title>Sweep &lt;script&gt;alert(1)&lt;/script&gt; - Offramp</title>"));
    let paused = page(SWEEPS[2]).await;
    assert!(paused.contains("&lt;i&gt;eve&lt;/i&gt;@lab") && paused.contains("&lt;/title&gt;&lt;script&gt;alert(2)&lt;/script&gt;"));
}

#[tokio::test]
async fn the_same_results_give_the_same_bytes_from_both_sources() {
    let first = page("study").await;
    assert!(first == page("study").await, "two pages of the same results differ");
    let folder = Laboratory::new().await.into_folder();
    let coordinator = crate::tests::Coordinator::start_in(folder, ([127, 0, 0, 1], 0).into()).await;
    for source in coordinator.sources().await {
        assert!(first == render(&Material::gather(&source, "study").await.unwrap()), "a coordinator and its database differ");
    }
    coordinator.stop().await;
}

#[tokio::test]
async fn a_page_says_what_came_of_the_sweep() {
    let study = page("study").await;
    let holds = |text: &str| assert!(study.contains(text), "{text} is missing");
    holds("48 jobs in 16 cells");
    holds("decreasing 0.6");
    holds("the loss became NaN in epoch 2");
    // 46 jobs of three epochs of a second and a half.
    holds("Training took 3m 27s in all, 4.5 s a job.");
    holds("These results are simulated.");
    assert!(!study.contains("This sweep is not finished"));
    assert!(study.matches("<figure>").count() >= 4, "{}", study.matches("<figure>").count());
    for id in ["asked", "ran", "costs", "frontier", "accuracy", "comparison", "exits", "learning", "configuration", "seeds", "reproduce"] {
        holds(&format!("<h2 id=\"{id}\">"));
    }
    // Twelve jobs a pattern; two pairs lack a failed or diverged job.
    holds("constant");
    assert_eq!(study.matches("<caption>").count(), study.matches("<table>").count());
}

#[tokio::test]
async fn what_is_missing_is_said() {
    let unfinished = page(SWEEPS[1]).await;
    assert!(unfinished.contains("This sweep is not finished. </strong>4 of its jobs are still to come"));
    let nothing = page(SWEEPS[2]).await;
    for text in [
        "no frontier",
        "no accuracy to show",
        "no exits to show",
        "No epoch of a finished job",
        "No job was tried yet",
        "No worker has had a job",
    ] {
        assert!(nothing.contains(text), "{text}");
    }
}

#[tokio::test]
async fn a_sweep_without_results_has_a_report_and_an_exit_code_of_its_own() {
    let laboratory = Laboratory::new().await;
    let out = laboratory.path().with_file_name("report.html");
    let report = |sweep: &str, out: &std::path::Path| crate::args::ReportArguments {
        sweep: sweep.to_owned(),
        out: out.to_owned(),
        source: laboratory.arguments(),
    };
    assert_eq!(crate::commands::report::run(&report("study", &out)).await.unwrap(), Exit::Ok);
    let written = std::fs::read_to_string(&out).unwrap();
    assert!(written.starts_with("<!DOCTYPE html><html lang=\"en\">") && written.ends_with("</html>\n"));
    assert_eq!(crate::commands::report::run(&report("=1+1", &out)).await.unwrap(), Exit::NothingMatched);
    assert!(std::fs::read_to_string(&out).unwrap().contains("Sweep =1+1"));
    let refused = crate::commands::report::run(&report("nosuch", &out)).await.unwrap_err();
    assert_eq!(refused.exit(), Exit::NothingMatched);
    let refused = crate::commands::report::run(&report("study", &out.join("below"))).await.unwrap_err();
    assert!(refused.render().contains("hint: name another file with --out"), "{}", refused.render());
}

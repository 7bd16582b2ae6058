//! A sweep written down as one HTML file.
//!
//! - [`Material`]: what it is made of, read once.
//! - [`render`]: the page, a pure function of that. The same material gives the same bytes.
//!
//! One section a file: `asked`, `ran`, `costs`, `frontier`, `quality`, `comparison`, `learning`, `reproduce`; `cells` groups jobs, `figures` draws,
//! `parts` has what every section is put together from.
//!
//! **Invariant:** the page loads nothing and runs nothing. Its policy allows the styles in it by their digests and nothing else; all text is
//! escaped by the template, and what could drive a terminal or turn text around is written out before that.

mod asked;
mod cells;
mod comparison;
mod costs;
mod figures;
mod frontier;
mod learning;
mod material;
mod parts;
mod quality;
mod ran;
mod reproduce;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use crate::follow::Stand;
use crate::progress::n_final;
use crate::text::{count, escape_control, time};

pub(crate) use material::Material;

use figures::Figures;

const STYLE: &str = include_str!("report/style.css");

/// The sections after the summary, with the headings that lead to them.
const CONTENTS: [(&str, &str); 11] = [
    ("asked", "What was asked"),
    ("ran", "What ran"),
    ("costs", "Equal cost"),
    ("frontier", "Frontier"),
    ("accuracy", "Accuracy and cost"),
    ("comparison", "Patterns compared"),
    ("exits", "Exits"),
    ("learning", "Learning"),
    ("configuration", "Configuration"),
    ("seeds", "Seeds"),
    ("reproduce", "How to reproduce it"),
];

/// The page.
pub(crate) fn render(material: &Material) -> String {
    let figures = Figures::draw(material);
    let compared = comparison::Compared::of(material);
    let drawings = [&figures.frontier, &figures.curves, &figures.learning, compared.drawing()];
    let style = format!("{STYLE}{}", Figures::styles(&drawings));
    let sections = html! {
        (asked::asked(material))
        (ran::ran(material))
        (costs::costs(material))
        (frontier::frontier(material, &figures.frontier))
        (quality::accuracy(material, &figures.curves))
        (comparison::comparison(&compared))
        (quality::exits(material))
        (learning::learning(material, &figures.learning))
        (asked::configuration(material))
        (reproduce::seeds(material))
        (reproduce::reproduce(material))
    };
    let name = escape_control(&material.sweep.name);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy(&style));
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                meta name="color-scheme" content="light dark";
                title { "Sweep " (name) " - Offramp" }
                style { (PreEscaped(&style)) }
            }
            body {
                header {
                    h1 { "Sweep " (name) }
                    (summary(material))
                }
                nav aria-label="Contents" { ul { @for (id, heading) in CONTENTS { li { a href=(format!("#{id}")) { (heading) } } } } }
                main { (sections) }
                footer { p { "Generated from what was known at " (time(material.newest_us())) ", the newest event of the sweep. Times are UTC." } }
            }
        }
    };
    page.into_string() + "\n"
}

/// A policy under which nothing is loaded, nothing runs, and only this style is in force.
fn policy(style: &str) -> String {
    let digest = STANDARD.encode(Sha256::digest(style.as_bytes()));
    format!("default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'")
}

/// What stands over everything: how far the sweep is, and what its results are.
fn summary(material: &Material) -> Markup {
    let sweep = &material.sweep;
    let is_simulated = material.jobs.iter().any(|job| job.trainer.as_deref() == Some("simulated"));
    html! {
        p {
            "Sweep " (sweep.sweep) ", " (escape_control(&sweep.state)) ": " (n_final(sweep)) " of " (count(sweep.n_jobs as u64, "job")) " are over, "
            (sweep.n_succeeded) " of them with a result. Submitted " (time(sweep.created_us)) "; newest event " (time(material.newest_us())) "."
        }
        @if Stand::of(sweep) != Stand::Over {
            p.warning {
                strong { "This sweep is not finished. " }
                (sweep.n_jobs as u64 - n_final(sweep) as u64) " of its jobs are still to come, and everything below may change with them."
                @if !sweep.note.is_empty() { " It is " (escape_control(&sweep.state)) ": " (escape_control(&sweep.note)) "." }
            }
        }
        @if is_simulated {
            p.warning { strong { "These results are simulated. " } "They show how a report looks, and say nothing about networks." }
        }
    }
}

#[cfg(test)]
mod tests;

//! The result of a backtest as one page that needs nothing else: no script, no font, no
//! picture from elsewhere. Whatever others wrote is escaped.

use std::fmt::Write as _;

use quorate_core::backtest::Kind;

use super::picture;
use super::tally::{Flip, Run, requests};
use super::text::{TITLES, headline, more};
use crate::cli::words::{self, grouped};

const HEAD: &str = "<!doctype html>
<html lang=\"en\"><head><meta charset=\"utf-8\">
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<title>Backtest</title>
<style>
:root { color-scheme: light dark; --ink: #1c1e21; --paper: #fff; --soft: #666; --line: #ddd; --band: #9bb3cf; --grave: #d1495b; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --paper: #16181c; --soft: #a0a4aa; --line: #383c42; --band: #48617d; --grave: #e06c75; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
th { font-weight: 600; } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
td.same { color: var(--soft); } td.grave { color: var(--grave); font-weight: 600; }
svg { width: 100%; height: auto; } svg text { font: 13px system-ui, sans-serif; fill: var(--ink); }
svg rect { fill: var(--soft); } svg .band { fill: var(--band); opacity: .75; } svg .grave { fill: var(--grave); opacity: .75; }
.soft { color: var(--soft); } .wide { overflow-x: auto; }
</style></head><body>
";

/// The page.
pub(super) fn page(run: &Run) -> String {
    let mut html = HEAD.to_owned();
    let _ = writeln!(
        html,
        "<h1>Backtest of policy {}</h1>\n<p>{}</p>",
        escaped(&run.policy),
        escaped(&headline(run))
    );
    let _ = writeln!(
        html,
        "<p class=\"soft\">Candidate {} · made {}</p>",
        escaped(&run.candidate),
        words::time(run.until)
    );
    table(&mut html, run);
    match picture::svg(run) {
        Some(svg) => {
            let _ = writeln!(html, "<h2>What would change</h2>\n{svg}");
        }
        None => html.push_str("<p>No decision would be another.</p>\n"),
    }
    if run.without_facts > 0 {
        let _ = writeln!(
            html,
            "<p>{} decisions were recorded without a fact that the candidate asks for: to it, that one was not known.</p>",
            grouped(run.without_facts)
        );
    }
    if run.other_answers > 0 {
        let _ = writeln!(
            html,
            "<p>{} decisions have the same outcome and another answer.</p>",
            grouped(run.other_answers)
        );
    }
    if run.gap_count > 0 {
        let _ = writeln!(
            html,
            "<p><strong>{} decisions have no record that can be read, and were left out.</strong></p>",
            grouped(run.gap_count)
        );
    }
    for (change, title) in TITLES {
        let flips = run.of(change);
        if !flips.is_empty() {
            section(&mut html, title, &flips);
        }
    }
    if run.flips_left_out > 0 {
        let _ = writeln!(html, "<p>{} more flips are in the table only.</p>", grouped(run.flips_left_out));
    }
    html.push_str("</body></html>\n");
    html
}

fn table(html: &mut String, run: &Run) {
    let kinds = Kind::ALL.map(Kind::as_str);
    let columns: Vec<&str> =
        kinds.into_iter().filter(|kind| run.table.iter().any(|cell| cell.candidate == *kind)).collect();
    html.push_str("<div class=\"wide\"><table><tr><th>was \\ would be</th>");
    for column in &columns {
        let _ = write!(html, "<th class=\"n\">{column}</th>");
    }
    html.push_str("</tr>\n");
    for live in kinds.into_iter().filter(|kind| run.table.iter().any(|cell| cell.live == *kind)) {
        let _ = write!(html, "<tr><th>{live}</th>");
        for candidate in &columns {
            let grave = run.table.iter().any(|cell| {
                cell.live == live
                    && cell.candidate == *candidate
                    && matches!(&*cell.change, "lets-in" | "longer")
            });
            let class = match () {
                () if grave => " grave",
                () if live == *candidate => " same",
                () => "",
            };
            let _ = write!(html, "<td class=\"n{class}\">{}</td>", grouped(run.count(live, candidate)));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</table></div>\n");
}

fn section(html: &mut String, title: &str, flips: &[&Flip]) {
    let _ = writeln!(
        html,
        "<h2>{title}: {} of {}</h2>\n<div class=\"wide\"><table><tr><th>when</th><th>request</th><th>who</th><th>resource</th>\
         <th>was</th><th>would be</th><th>reason</th></tr>",
        words::count(flips.len(), "decision"),
        words::count(requests(flips), "request")
    );
    for flip in flips {
        let _ = writeln!(
            html,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}<br><span class=\"soft\">{}</span></td>\
             <td>{}<br><span class=\"soft\">{}<br>{}</span></td><td>{}</td></tr>",
            words::time(flip.at),
            escaped(&flip.request),
            escaped(&flip.requester),
            escaped(&flip.resource),
            escaped(&flip.live),
            escaped(&flip.live_said),
            escaped(&flip.candidate),
            escaped(&flip.candidate_said),
            escaped(&more(flip)),
            escaped(&words::short(&flip.reason, 400)),
        );
    }
    html.push_str("</table></div>\n");
}

/// `text` as it may stand between tags and in attributes: nothing in it is markup, and
/// nothing turns the direction of writing.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in words::clean(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::tally::tests::run;
    use super::*;

    #[test]
    fn p5_the_page_shows_the_picture_and_each_one_who_would_be_let_in() {
        let html = page(&run());
        assert!(html.contains("<svg") && html.contains("newly let in: 3 decisions of 3 requests"));
        assert!(html.contains("5m sooner, without sam"));
        assert!(html.contains("prefers-color-scheme: dark"));
    }

    #[test]
    fn what_others_wrote_is_no_markup_and_nothing_comes_from_elsewhere() {
        let mut run = run();
        run.flips[0].requester = "\"><img src=x onerror=alert(1)>\u{202e}".into();
        run.flips[0].candidate_said = "denies: </td><iframe>".into();
        run.table[0].live = "</svg><script>".into();
        run.policy = "<b>".into();
        let html = page(&run);
        for bad in ["<script", "<img", "<iframe", "</svg><", "<b>", "\u{202e}", "http://", "https://"] {
            assert!(!html.contains(bad), "{bad} in {html}");
        }
        assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    }
}

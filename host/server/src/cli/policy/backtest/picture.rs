//! The flips as a picture: what they were on the left, what they would be on the right,
//! and a band between as thick as there are many.

use std::fmt::Write as _;

use quorate_core::backtest::Kind;

use super::tally::{Cell, Run};
use crate::cli::words::grouped;

const WIDTH: f64 = 720.0;
/// The height of all bands together.
const HEIGHT: f64 = 260.0;
/// Between two of them.
const GAP: f64 = 26.0;
const BAR: f64 = 12.0;
/// Where the bars stand.
const LEFT: f64 = 170.0;
const RIGHT: f64 = WIDTH - 170.0;
/// A single flip among many thousands is still seen.
const THIN: f64 = 1.5;

/// One end of the bands.
struct Side {
    kind: &'static str,
    count: u64,
    top: f64,
    height: f64,
    /// How much of it bands have taken.
    taken: f64,
}

/// The picture; none where nothing flips. All that goes in are numbers and fixed words.
pub(super) fn svg(run: &Run) -> Option<String> {
    let cells: Vec<&Cell> = run.table.iter().filter(|cell| cell.change != "same" && cell.count > 0).collect();
    let total: u64 = cells.iter().map(|cell| cell.count).sum();
    if total == 0 {
        return None;
    }
    let thickness = |count: u64| (HEIGHT * ratio(count, total)).max(THIN);
    let mut left = sides(&cells, |cell| &cell.live, thickness);
    let mut right = sides(&cells, |cell| &cell.candidate, thickness);
    let height = [&left, &right].map(|sides| sides.last().map_or(0.0, |last| last.top + last.height));
    let height = height[0].max(height[1]) + 16.0;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{total} decisions that would be others\">\n"
    );
    let mut sorted = cells;
    let nth = |kind: &str| Kind::ALL.iter().position(|one| one.as_str() == kind);
    sorted.sort_by_key(|cell| (nth(&cell.live), nth(&cell.candidate), cell.change.clone()));
    for cell in sorted {
        let thick = thickness(cell.count);
        let (Some(from), Some(to)) =
            (take(&mut left, &cell.live, thick), take(&mut right, &cell.candidate, thick))
        else {
            continue;
        };
        let (x1, x2, middle) = (LEFT + BAR, RIGHT, f64::midpoint(LEFT + BAR, RIGHT));
        let (end1, end2) = (from + thick, to + thick);
        let class = if matches!(cell.change.as_str(), "lets-in" | "longer") { "grave" } else { "band" };
        let _ = writeln!(
            svg,
            "<path class=\"{class}\" d=\"M{x1} {from:.1} C{middle} {from:.1} {middle} {to:.1} {x2} {to:.1} \
             L{x2} {end2:.1} C{middle} {end2:.1} {middle} {end1:.1} {x1} {end1:.1} Z\">\
             <title>{} to {}: {}</title></path>",
            known(&cell.live),
            known(&cell.candidate),
            grouped(cell.count)
        );
    }
    for (sides, x, text, anchor) in
        [(&left, LEFT, LEFT - 8.0, "end"), (&right, RIGHT, RIGHT + BAR + 8.0, "start")]
    {
        for side in sides {
            let Side { kind, count, top, height, .. } = side;
            let middle = top + height / 2.0 + 5.0;
            let _ = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"{top:.1}\" width=\"{BAR}\" height=\"{height:.1}\"/>\
                 <text x=\"{text}\" y=\"{middle:.1}\" text-anchor=\"{anchor}\">{kind} {}</text>",
                grouped(*count)
            );
        }
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

fn sides(cells: &[&Cell], of: impl Fn(&Cell) -> &str, thickness: impl Fn(u64) -> f64) -> Vec<Side> {
    let mut top = 8.0;
    let mut sides = Vec::new();
    for kind in Kind::ALL.map(Kind::as_str) {
        let mine = || cells.iter().filter(|cell| of(cell) == kind).map(|cell| cell.count);
        let count = mine().sum();
        if count > 0 {
            let height = mine().map(&thickness).sum();
            sides.push(Side { kind, count, top, height, taken: 0.0 });
            top += height + GAP;
        }
    }
    sides
}

/// Where the next band of this kind begins.
fn take(sides: &mut [Side], kind: &str, thick: f64) -> Option<f64> {
    let side = sides.iter_mut().find(|side| side.kind == kind)?;
    let from = side.top + side.taken;
    side.taken += thick;
    Some(from)
}

/// The word itself where it is one of ours, and nothing where it is not.
fn known(kind: &str) -> &'static str {
    Kind::ALL.iter().map(|one| one.as_str()).find(|one| *one == kind).unwrap_or("")
}

#[expect(clippy::cast_precision_loss, reason = "nobody sees the fifteenth digit of a height")]
fn ratio(count: u64, total: u64) -> f64 {
    count as f64 / total as f64
}

#[cfg(test)]
mod tests {
    use super::super::tally::tests::run;
    use super::*;

    #[test]
    fn a_band_is_as_thick_as_there_are_flips() {
        let mut run = run();
        let kept_out = Cell {
            live: "approved".into(),
            candidate: "waiting".into(),
            change: "keeps-out".into(),
            count: 1,
        };
        run.table.push(kept_out);
        let svg = svg(&run).unwrap();
        assert_eq!(svg.matches("<path").count(), 2, "what stays is not drawn: {svg}");
        // Three of four, and one of four, of the whole height.
        assert!(svg.contains("height=\"195.0\"") && svg.contains("height=\"65.0\""), "{svg}");
        assert!(svg.contains("<title>waiting to approved: 3</title>"));
    }

    #[test]
    fn where_nothing_flips_there_is_no_picture() {
        assert!(svg(&Run::default()).is_none());
    }
}

//! Growth as a picture: both axes logarithmic, so that a straight diagonal is linear.

use crate::growth::Point;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 130.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;

/// The plot as SVG.
pub fn draw(points: &[Point]) -> String {
    let milliseconds =
        points.iter().flat_map(|p| [p.copied, p.first, p.second]).map(|cost| cost.milliseconds);
    let low = milliseconds.clone().fold(f64::INFINITY, f64::min).log10().floor();
    let high = milliseconds.fold(0.0, f64::max).log10().ceil();
    let x = |count: usize| {
        let at = f64::from(u32::try_from(count).unwrap_or(u32::MAX)).log10();
        LEFT + (at - 3.0) / 2.0 * (WIDTH - LEFT - RIGHT)
    };
    let y = |milliseconds: f64| {
        HEIGHT - BOTTOM - (milliseconds.log10() - low) / (high - low) * (HEIGHT - TOP - BOTTOM)
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"22\" font-size=\"14\">Snapshot of N files: time, both axes logarithmic</text>\n"
    );
    let mut line = |x1: f64, y1: f64, x2: f64, y2: f64| {
        svg.push_str(&format!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#ddd\"/>\n"
        ));
    };
    let powers: Vec<f64> =
        std::iter::successors(Some(low), |at| (at + 1.0 <= high).then_some(at + 1.0)).collect();
    for power in &powers {
        line(LEFT, y(10_f64.powf(*power)), WIDTH - RIGHT, y(10_f64.powf(*power)));
    }
    for point in points {
        line(x(point.count), TOP, x(point.count), HEIGHT - BOTTOM);
    }
    for power in &powers {
        let (value, at) = (10_f64.powf(*power), y(10_f64.powf(*power)) + 4.0);
        let label = if value >= 1000.0 { format!("{} s", value / 1000.0) } else { format!("{value} ms") };
        svg.push_str(&format!(
            "<text x=\"{}\" y=\"{at:.1}\" text-anchor=\"end\">{label}</text>\n",
            LEFT - 8.0
        ));
    }
    for point in points {
        let (at, below) = (x(point.count), HEIGHT - BOTTOM + 20.0);
        svg.push_str(&format!(
            "<text x=\"{at:.1}\" y=\"{below}\" text-anchor=\"middle\">{}</text>\n",
            point.count
        ));
    }
    let copied = points.iter().map(|point| (x(point.count), y(point.copied.milliseconds))).collect();
    let first = points.iter().map(|point| (x(point.count), y(point.first.milliseconds))).collect();
    let second = points.iter().map(|point| (x(point.count), y(point.second.milliseconds))).collect();
    svg.push_str(&curve(copied, "cp -a", "#888"));
    svg.push_str(&curve(first, "first, durable", "#c0392b"));
    svg.push_str(&curve(second, "second, unchanged", "#2471a3"));
    svg.push_str("</svg>\n");
    svg
}

fn curve(points: Vec<(f64, f64)>, name: &str, colour: &str) -> String {
    let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let mut svg = format!(
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n",
        path.join(" ")
    );
    for (x, y) in &points {
        svg.push_str(&format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>\n"));
    }
    if let Some((x, y)) = points.last() {
        svg.push_str(&format!(
            "<text x=\"{}\" y=\"{:.1}\" fill=\"{colour}\">{name}</text>\n",
            x + 8.0,
            y + 4.0
        ));
    }
    svg
}

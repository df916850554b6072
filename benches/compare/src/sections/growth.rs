//! Search time against the number of vectors, from 10,000 to a million, as a table, as the power it grows with, and as a
//! plot (`search.svg` beside the raw numbers).

use std::path::Path;

use plotters::prelude::*;
use tensoratom::SearchOptions;

use super::vectors::{Filled, K};
use crate::Settings;
use crate::report::Report;

const DIM: usize = 384;
const SIZES: [usize; 7] = [10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000];

/// Milliseconds of one query by number of vectors.
struct Line {
    who: &'static str,
    color: RGBColor,
    points: Vec<(f64, f64)>,
}

pub fn run(settings: &Settings, report: &mut Report) {
    let line = |who, color| Line { who, color, points: Vec::new() };
    let mut lines = [
        line("faiss IndexFlatL2", RGBColor(120, 120, 120)),
        line("TensorAtom, full scan", RGBColor(217, 119, 6)),
        line("TensorAtom, 8-bit companion", RGBColor(29, 99, 201)),
    ];
    let sizes = if settings.quick { &SIZES[..2] } else { &SIZES };
    for &count in sizes {
        let filled = Filled::new(settings, report, count, DIM);
        let options = SearchOptions::new().threads(1);
        let full = filled.ours(&options.clone().full_scan(true));
        let pruned = filled.ours(&options);
        let faiss = filled.faiss(settings, 1);
        if let Some(faiss) = &faiss {
            let share = pruned.agreement(faiss);
            report.row("queries with the same ids in the same order", "faiss IndexFlatL2", share, "%");
        }
        for (line, measured) in lines.iter_mut().zip([faiss, Some(full), Some(pruned)]) {
            let Some(measured) = measured else { continue };
            report.row("one query, 1 threads", line.who, measured.one_ms, "ms");
            line.points.push((count as f64, measured.one_ms));
        }
    }
    report.section(&format!("growth of the time of one query with the number of vectors N, {DIM} dimensions"));
    for line in &lines {
        for pair in line.points.windows(2) {
            let power = (pair[1].1 / pair[0].1).ln() / (pair[1].0 / pair[0].0).ln();
            report.row(&format!("N from {} to {}", pair[0].0, pair[1].0), line.who, power, "power of N");
        }
        if let [first, .., last] = line.points[..] {
            let power = (last.1 / first.1).ln() / (last.0 / first.0).ln();
            report.row(&format!("N from {} to {}", first.0, last.0), line.who, power, "power of N");
        }
    }
    if let Some(folder) = settings.out.as_deref().and_then(Path::parent) {
        let path = folder.join("search.svg");
        plot(&path, &lines, report.machine());
        println!("plot: {}", path.display());
    }
}

fn plot(path: &Path, lines: &[Line], machine: &str) {
    let area = SVGBackend::new(path, (760, 480)).into_drawing_area();
    area.fill(&WHITE).unwrap();
    let xs = lines.iter().flat_map(|line| &line.points).map(|point| point.0);
    let ys = lines.iter().flat_map(|line| &line.points).map(|point| point.1);
    let range = |values: Vec<f64>| {
        let (least, most) = values.iter().fold((f64::MAX, 0.0_f64), |(a, b), &x| (a.min(x), b.max(x)));
        (least / 1.3)..(most * 1.5)
    };
    let title = format!("Exact top {K}, one query, one thread, N x {DIM} f32");
    let mut chart = ChartBuilder::on(&area)
        .margin(14)
        .caption(title, ("sans-serif", 19))
        .x_label_area_size(52)
        .y_label_area_size(64)
        .build_cartesian_2d(range(xs.collect()).log_scale(), range(ys.collect()).log_scale())
        .unwrap();
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc(format!("number of vectors N ({machine})"))
        .y_desc("milliseconds")
        .axis_desc_style(("sans-serif", 12))
        .x_label_formatter(&|n| match *n as u64 {
            n if n >= 1_000_000 => format!("{} M", n as f64 / 1e6),
            n => format!("{} k", n as f64 / 1e3),
        })
        .draw()
        .unwrap();
    for line in lines.iter().filter(|line| !line.points.is_empty()) {
        let color = line.color;
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), color.stroke_width(2)))
            .unwrap()
            .label(line.who)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 22, y)], color.stroke_width(2)));
        chart.draw_series(line.points.iter().map(|&point| Circle::new(point, 3, color.filled()))).unwrap();
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .label_font(("sans-serif", 14))
        .border_style(BLACK.mix(0.3))
        .background_style(WHITE)
        .draw()
        .unwrap();
    area.present().unwrap();
}

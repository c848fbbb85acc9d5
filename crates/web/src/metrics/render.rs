//! The Prometheus text format 0.0.4.

use std::fmt::Write;

use metrics::Key;

use super::Kept;
use super::names::{Kind, NAMES};

pub(super) fn text(kept: &Kept) -> String {
    let mut text = String::new();
    for (name, series) in kept.counters.sorted() {
        head(&mut text, &name, Kind::Counter);
        for (key, value) in series {
            line(&mut text, &name, &labels(&key, None), value.now() as f64);
        }
    }
    let dropped = kept.dropped.now();
    head(&mut text, DROPPED, Kind::Counter);
    line(&mut text, DROPPED, "", dropped as f64);
    for (name, series) in kept.gauges.sorted() {
        head(&mut text, &name, Kind::Gauge);
        for (key, value) in series {
            line(&mut text, &name, &labels(&key, None), value.now());
        }
    }
    for (name, series) in kept.histograms.sorted() {
        head(&mut text, &name, Kind::Histogram);
        for (key, value) in series {
            let (bounds, sum, count) = value.now();
            for (bound, below) in bounds {
                line(&mut text, &format!("{name}_bucket"), &labels(&key, Some(&bound.to_string())), below as f64);
            }
            line(&mut text, &format!("{name}_bucket"), &labels(&key, Some("+Inf")), count as f64);
            line(&mut text, &format!("{name}_sum"), &labels(&key, None), sum);
            line(&mut text, &format!("{name}_count"), &labels(&key, None), count as f64);
        }
    }
    text
}

fn head(text: &mut String, name: &str, kind: Kind) {
    if let Some(known) = NAMES.iter().find(|known| known.name == name) {
        let _ = writeln!(text, "# HELP {name} {}", known.help.replace('\\', "\\\\").replace('\n', "\\n"));
    }
    let _ = writeln!(text, "# TYPE {name} {}", kind.word());
}

fn line(text: &mut String, name: &str, labels: &str, value: f64) {
    let _ = writeln!(text, "{name}{labels} {value}");
}

fn labels(key: &Key, bound: Option<&str>) -> String {
    let own = key.labels().map(|label| (label.key(), label.value()));
    let all: Vec<String> = own
        .chain(bound.map(|bound| ("le", bound)))
        .map(|(name, value)| format!("{name}=\"{}\"", escape(value)))
        .collect();
    if all.is_empty() { String::new() } else { format!("{{{}}}", all.join(",")) }
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

const DROPPED: &str = "postroad_metrics_dropped_total";

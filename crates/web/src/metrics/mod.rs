//! The recorder behind the `metrics` facade, and the Prometheus text that it becomes.
//!
//! 1. Memory is bounded: so many names, so many series of each; what is beyond is counted, not kept.
//! 2. Counting takes a read lock and an atomic add, so it may stand in the hottest path.

mod names;
mod render;
mod values;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, SharedString, Unit};

pub use names::{Kind, NAMES, Name};
use values::{Buckets, Float, Whole};

/// Keeps all metrics of the process. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    kept: Arc<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    counters: Table<Whole>,
    gauges: Table<Float>,
    histograms: Table<Buckets>,
    /// Series that found no room.
    dropped: Whole,
}

#[derive(Debug)]
struct Table<V> {
    series: RwLock<HashMap<Key, Arc<V>>>,
    /// Series by name, so that one name cannot take the room of the others.
    by_name: RwLock<BTreeMap<String, usize>>,
}

impl<V> Default for Table<V> {
    fn default() -> Table<V> {
        Table { series: RwLock::default(), by_name: RwLock::default() }
    }
}

impl<V> Table<V> {
    fn find(&self, key: &Key, new: impl FnOnce() -> V) -> Option<Arc<V>> {
        if let Some(known) = self.series.read().unwrap_or_else(PoisonError::into_inner).get(key) {
            return Some(Arc::clone(known));
        }
        if key.labels().any(|label| label.value().len() > LABEL_MAX) {
            return None;
        }
        let mut series = self.series.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = series.get(key) {
            return Some(Arc::clone(known));
        }
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        let count = by_name.get(key.name()).copied().unwrap_or(0);
        if count >= SERIES_MAX || (count == 0 && by_name.len() >= NAMES_MAX) {
            return None;
        }
        by_name.insert(key.name().to_owned(), count + 1);
        let value = Arc::new(new());
        series.insert(key.clone(), Arc::clone(&value));
        Some(value)
    }

    /// All series by name, in a fixed order.
    fn sorted(&self) -> BTreeMap<String, Vec<(Key, Arc<V>)>> {
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
        let mut sorted: BTreeMap<String, Vec<(Key, Arc<V>)>> = BTreeMap::new();
        for (key, value) in series.iter() {
            sorted.entry(key.name().to_owned()).or_default().push((key.clone(), Arc::clone(value)));
        }
        for series in sorted.values_mut() {
            series.sort_by(|(one, _), (other, _)| one.cmp(other));
        }
        sorted
    }
}

impl Recorder {
    /// Without metrics yet.
    pub fn new() -> Recorder {
        Recorder::default()
    }

    /// Makes this the recorder of the process; false when there is one already.
    pub fn install(&self) -> bool {
        metrics::set_global_recorder(self.clone()).is_ok()
    }

    /// All metrics in the Prometheus text format 0.0.4.
    pub fn render(&self) -> String {
        render::text(&self.kept)
    }
}

impl metrics::Recorder for Recorder {
    // What names mean stands in `NAMES`, once for all.
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        match self.kept.counters.find(key, Whole::default) {
            Some(counter) => Counter::from_arc(counter),
            None => {
                self.kept.dropped.add(1);
                Counter::noop()
            }
        }
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        match self.kept.gauges.find(key, Float::default) {
            Some(gauge) => Gauge::from_arc(gauge),
            None => {
                self.kept.dropped.add(1);
                Gauge::noop()
            }
        }
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        match self.kept.histograms.find(key, || Buckets::of(key.name())) {
            Some(histogram) => Histogram::from_arc(histogram),
            None => {
                self.kept.dropped.add(1);
                Histogram::noop()
            }
        }
    }
}

/// Names of each kind.
const NAMES_MAX: usize = 200;

/// Series of one name: listeners times stages, with room.
const SERIES_MAX: usize = 500;

/// The longest label value, in bytes.
const LABEL_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use metrics::{counter, gauge, histogram, with_local_recorder};

    use super::*;

    #[test]
    fn what_is_counted_is_shown() {
        let recorder = Recorder::new();
        with_local_recorder(&recorder, || {
            for _ in 0..3 {
                counter!("postroad_connections_total", "listener" => "imap").increment(2);
            }
            counter!("postroad_connections_total", "listener" => "a \"quoted\"\\\nname").increment(1);
            gauge!("postroad_connections_open", "listener" => "imap").increment(2.5);
            gauge!("postroad_connections_open", "listener" => "imap").decrement(1.0);
            for seconds in [0.0004, 0.0005, 0.02, 100.0] {
                histogram!("postroad_job_seconds", "listener" => "imap", "stage" => "fetch").record(seconds);
            }
        });
        let text = recorder.render();
        for line in [
            "# TYPE postroad_connections_total counter",
            "postroad_connections_total{listener=\"imap\"} 6",
            "postroad_connections_total{listener=\"a \\\"quoted\\\"\\\\\\nname\"} 1",
            "# TYPE postroad_connections_open gauge",
            "postroad_connections_open{listener=\"imap\"} 1.5",
            "# TYPE postroad_job_seconds histogram",
            "postroad_job_seconds_bucket{listener=\"imap\",stage=\"fetch\",le=\"0.0005\"} 2",
            "postroad_job_seconds_bucket{listener=\"imap\",stage=\"fetch\",le=\"0.01\"} 2",
            "postroad_job_seconds_bucket{listener=\"imap\",stage=\"fetch\",le=\"0.025\"} 3",
            "postroad_job_seconds_bucket{listener=\"imap\",stage=\"fetch\",le=\"60\"} 3",
            "postroad_job_seconds_bucket{listener=\"imap\",stage=\"fetch\",le=\"+Inf\"} 4",
            "postroad_job_seconds_count{listener=\"imap\",stage=\"fetch\"} 4",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} is not in\n{text}");
        }
        let sum = text
            .lines()
            .find_map(|line| line.strip_prefix("postroad_job_seconds_sum{listener=\"imap\",stage=\"fetch\"} "));
        assert!((sum.expect("a sum").parse::<f64>().expect("a number") - 100.0209).abs() < 1e-9);
        assert_eq!(text.matches("# TYPE postroad_connections_total").count(), 1);
        assert!(text.contains("# HELP postroad_job_seconds "));
    }

    #[test]
    fn labels_without_end_do_not_take_memory_without_end() {
        let recorder = Recorder::new();
        with_local_recorder(&recorder, || {
            for n in 0..SERIES_MAX + 20 {
                counter!("postroad_connections_total", "listener" => n.to_string()).increment(1);
            }
            counter!("postroad_received_bytes_total", "listener" => "x".repeat(LABEL_MAX + 1)).increment(1);
            counter!("postroad_received_bytes_total", "listener" => "imap").increment(1);
            for n in 0..NAMES_MAX + 5 {
                gauge!(format!("name_{n}")).set(1.0);
            }
        });
        let text = recorder.render();
        assert_eq!(text.matches("postroad_connections_total{").count(), SERIES_MAX);
        assert_eq!(text.matches("postroad_received_bytes_total{").count(), 1);
        assert_eq!(text.matches("\nname_").count(), NAMES_MAX);
        assert!(text.contains("postroad_metrics_dropped_total 26\n"), "20 series, a label and 5 names");
    }
}

//! Numbers that nobody counts as they change: looked up when somebody asks for the metrics.

use std::time::{Duration, SystemTime};

use postroad_queue::Depth;
use postroad_store::Store;

/// How full the queue is and how old its oldest message.
pub(crate) async fn queue(store: &Store) {
    let asked = store.read(postroad_queue::depth);
    let depth = match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(depth)) => depth,
        // The last known numbers stay, and the failure is a number of its own.
        Ok(Err(_)) | Err(_) => {
            metrics::counter!("postroad_metrics_failures_total", "what" => "queue").increment(1);
            return;
        }
    };
    let Depth { messages, recipients, oldest } = depth;
    metrics::gauge!("postroad_queue_messages").set(messages as f64);
    metrics::gauge!("postroad_queue_recipients").set(recipients as f64);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let age = oldest.map_or(0.0, |oldest| (now - oldest.0 as f64 / 1e6).max(0.0));
    metrics::gauge!("postroad_queue_oldest_seconds").set(age);
}

/// Memory, open files and time of this process, under the names that dashboards know. Linux only; elsewhere they
/// are missing.
pub(crate) fn process() {
    if let Some(pages) = field("/proc/self/statm", 1) {
        metrics::gauge!("process_resident_memory_bytes").set(pages * PAGE);
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        metrics::gauge!("process_open_fds").set(files.count() as f64);
    }
    if let Ok(threads) = std::fs::read_dir("/proc/self/task") {
        metrics::gauge!("process_threads").set(threads.count() as f64);
    }
}

fn field(path: &str, place: usize) -> Option<f64> {
    std::fs::read_to_string(path).ok()?.split(' ').nth(place)?.parse().ok()
}

const PATIENCE: Duration = Duration::from_secs(5);

/// What `statm` counts in. True on x86-64 and in common arm64 kernels.
const PAGE: f64 = 4096.0;

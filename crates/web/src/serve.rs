//! HTTP/1.1 over a listener of `net`.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use postroad_net::{Bound, Connection, Door, Stop, accept};

use crate::Site;
use crate::site::{Visitor, routes};

/// Serves the site on a listener until the door's stop; running requests are finished.
pub fn serve(bound: Bound, door: Door, site: Arc<Site>) -> impl Future<Output = ()> + Send {
    let routes = routes(site);
    let stop = door.stop.clone();
    accept(bound, door, move |connection| one(connection, routes.clone(), stop.clone()))
}

async fn one(connection: Connection, routes: axum::Router, stop: Stop) {
    let Connection { arrival, stream, place: _place } = connection;
    let visitor = Visitor { address: arrival.peer.remote.ip(), is_secure: arrival.tls.is_some(), stop: stop.clone() };
    let service = TowerToHyperService::new(routes.layer(Extension(visitor)));
    let mut http = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            // Also ends a connection that is kept open without a next request.
            .header_read_timeout(HEADERS_WITHIN)
            .max_headers(HEADERS_MAX)
            .max_buf_size(BUFFER_MAX)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::time::timeout(LONGEST, async {
        tokio::select! {
            ended = http.as_mut() => ended,
            () = stop.stopped() => {
                http.as_mut().graceful_shutdown();
                http.as_mut().await
            }
        }
    });
    match ended.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::debug!(id = %arrival.id, client = %arrival.peer.remote, %error, "HTTP connection ended");
        }
        Err(_) => tracing::debug!(id = %arrival.id, client = %arrival.peer.remote, "HTTP connection took too long"),
    }
}

const HEADERS_WITHIN: Duration = Duration::from_secs(15);
const HEADERS_MAX: usize = 64;
const BUFFER_MAX: usize = 16 * 1024;

/// The pages are small: whoever needs longer than this is not reading.
const LONGEST: Duration = Duration::from_secs(300);

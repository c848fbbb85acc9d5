//! Large blobs as objects in an S3-compatible store.
//!
//! A blob waits in a local file while it arrives and is sent whole at the end, in parts when it is large, so
//! that a slow object store never stands between a client and its connection's thread, and so that the memory for
//! parts is bounded by [`SENDS_MAX`] times [`PART`].
//!
//! The client needs a runtime: it is this file's own, with one thread, and nothing else runs on it.

use super::sweep::MARK;
use crate::{Error, Result, S3, Timestamp};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path as Key;
use object_store::{BackoffConfig, ClientOptions, ObjectStoreExt, RetryConfig};
use std::fs::File;
use std::future::Future;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

/// A bucket and the runtime of its client.
pub(crate) struct Bucket {
    client: Arc<AmazonS3>,
    prefix: String,
    place: String,
    sends: Arc<Semaphore>,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

/// Objects found, when they were written, and where the list goes on.
pub(super) type Listed = (Vec<(String, Timestamp)>, Option<String>);

impl Bucket {
    /// Opens and looks whether the bucket can be listed. Blocks.
    pub(crate) fn open(s3: &S3) -> Result<Bucket> {
        let retry = RetryConfig {
            backoff: BackoffConfig { max_backoff: Duration::from_secs(2), ..BackoffConfig::default() },
            max_retries: RETRIES_MAX,
            retry_timeout: RETRY_PATIENCE,
        };
        let options = ClientOptions::new()
            .with_timeout(REQUEST_PATIENCE)
            .with_connect_timeout(CONNECT_PATIENCE)
            .with_allow_http(s3.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://")));
        let mut builder = AmazonS3Builder::from_env()
            .with_client_options(options)
            .with_retry(retry)
            .with_region(&s3.region)
            .with_bucket_name(&s3.bucket);
        if let Some(endpoint) = &s3.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some((key, secret)) = &s3.credentials {
            builder = builder.with_access_key_id(key).with_secret_access_key(secret);
        }
        let client = builder.build().map_err(|error| Error::Settings(format!("the object store: {error}")))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("store-objects")
            .enable_all()
            .build()
            .map_err(|error| Error::Unavailable(format!("no thread for the object store: {error}")))?;
        let bucket = Bucket {
            client: Arc::new(client),
            prefix: s3.prefix.trim_start_matches('/').to_owned(),
            place: format!("{}/{}/{}", s3.endpoint.as_deref().unwrap_or("s3:/"), s3.bucket, s3.prefix),
            sends: Arc::new(Semaphore::new(SENDS_MAX)),
            runtime: Some(runtime),
        };
        bucket.list(None, 1)?;
        Ok(bucket)
    }

    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// The stored bytes in `range`, which must all be there.
    pub(crate) fn read(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>> {
        let (client, key, wanted) = (Arc::clone(&self.client), self.key(name), range.end - range.start);
        let bytes = self.run(async move { client.get_range(&key, range).await }).map_err(|error| match error {
            Error::Missing(_) => Error::Corrupt(format!("the object {name} is missing in {}", self.place)),
            other => other,
        })?;
        if bytes.len() as u64 != wanted {
            return Err(Error::Corrupt(format!("the object {name} in {} is cut short", self.place)));
        }
        Ok(bytes.into())
    }

    /// Removes an object; one that is gone is removed.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        let (client, key) = (Arc::clone(&self.client), self.key(name));
        match self.run(async move { client.delete(&key).await }) {
            Err(Error::Missing(_)) | Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sends a file of `size` bytes. Blocks on the network.
    pub(crate) fn send(&self, path: &Path, size: u64, name: &str) -> Result<()> {
        let (client, key, sends) = (Arc::clone(&self.client), self.key(name), Arc::clone(&self.sends));
        let path = PathBuf::from(path);
        let unreadable = |error: std::io::Error| object_store::Error::Generic { store: "spool", source: error.into() };
        self.run(async move {
            // It is never closed.
            let _turn = sends.acquire_owned().await;
            let file = File::open(&path).map_err(unreadable)?;
            let part = |start: u64| {
                let mut bytes = vec![0; (size - start).min(PART) as usize];
                file.read_exact_at(&mut bytes, start).map_err(unreadable).map(|()| bytes)
            };
            if size <= PART {
                return client.put(&key, part(0)?.into()).await.map(|_| ());
            }
            let mut upload = client.put_multipart(&key).await?;
            let mut start = 0;
            while start < size {
                let sent = match part(start) {
                    Ok(bytes) => upload.put_part(bytes.into()).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = sent {
                    // What cannot be broken off now, the bucket's own rule for incomplete uploads removes.
                    let _ = upload.abort().await;
                    return Err(error);
                }
                start += PART;
            }
            upload.complete().await.map(|_| ())
        })
    }

    /// Whose place this is; ours, if nobody's.
    pub(super) fn mark(&self, ours: &str) -> Result<String> {
        let (client, key, ours) = (Arc::clone(&self.client), self.key(MARK), ours.to_owned());
        self.run(async move {
            match client.get(&key).await {
                Ok(found) => Ok(String::from_utf8_lossy(&found.bytes().await?).into_owned()),
                Err(object_store::Error::NotFound { .. }) => {
                    client.put(&key, ours.clone().into()).await?;
                    Ok(ours)
                }
                Err(error) => Err(error),
            }
        })
    }

    /// A page of at most `limit` names.
    pub(super) fn list(&self, page_token: Option<String>, limit: usize) -> Result<Listed> {
        let (client, prefix) = (Arc::clone(&self.client), self.prefix.clone());
        let prefix_length = self.prefix.len();
        let page = self.run(async move {
            let options = PaginatedListOptions { max_keys: Some(limit), page_token, ..Default::default() };
            let prefix = (!prefix.is_empty()).then_some(prefix.as_str());
            client.list_paginated(prefix, options).await
        })?;
        let named = page.result.objects.into_iter().filter_map(|object| {
            let name = object.location.as_ref().get(prefix_length..)?.to_owned();
            Some((name, Timestamp(object.last_modified.timestamp_micros())))
        });
        Ok((named.collect(), page.page_token))
    }

    fn key(&self, name: &str) -> Key {
        Key::from(format!("{}{name}", self.prefix))
    }

    /// Runs on the runtime and waits on this thread, which may itself belong to another runtime.
    fn run<T: Send + 'static>(
        &self,
        request: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> Result<T> {
        let Some(runtime) = &self.runtime else { return Err(Error::Closed) };
        let (done, answer) = mpsc::channel();
        runtime.spawn(async move {
            // Who asked waits until it is answered.
            let _ = done.send(request.await);
        });
        let answered = answer.recv().map_err(|_| Error::Unavailable("the object store's thread ended".into()))?;
        answered.map_err(|error| fault(&error, &self.place))
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        // Waiting for the runtime is not allowed on another runtime's thread, and nothing is left to wait for.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What an error of the object store means.
fn fault(error: &object_store::Error, place: &str) -> Error {
    let mut text = format!("{place}: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(&format!(": {inner_text}"));
        }
        cause = inner.source();
    }
    match error {
        object_store::Error::NotFound { .. } if text.contains("NoSuchBucket") => {
            Error::Settings(format!("the bucket does not exist: {text}"))
        }
        object_store::Error::NotFound { .. } => Error::Missing(text),
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            Error::Settings(text)
        }
        // The answers to some requests come as they are, with the code in their text.
        _ if ["403 Forbidden", "401 Unauthorized", "NoSuchBucket"].iter().any(|code| text.contains(code)) => {
            Error::Settings(text)
        }
        // The enum is not ours and grows. A store that is full says so in the code of its answer.
        _ if ["StorageFull", "InsufficientStorage", "QuotaExceeded"].iter().any(|code| text.contains(code)) => {
            Error::Full(text)
        }
        _ => Error::Unavailable(text),
    }
}

/// Bytes in a part of a large object. The protocol wants at least 5 MiB.
const PART: u64 = 8 << 20;
/// Blobs that are sent at the same time; others wait.
const SENDS_MAX: usize = 8;
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
const REQUEST_PATIENCE: Duration = Duration::from_secs(60);
const RETRIES_MAX: usize = 3;
const RETRY_PATIENCE: Duration = Duration::from_secs(15);

//! Blobs in an S3-compatible store that runs in this process.

use crate::blobs::{files, orphans, prepare, put, read, references, round_trips};
use crate::bytes::noise;
use hyper_util::rt::TokioIo;
use postroad_store::{BlobPlace, Error, MIGRATIONS, S3, Settings, Store};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use std::path::{Path, PathBuf};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// The server, its folder, and a store that uses it.
struct World {
    store: Store,
    runtime: Option<Runtime>,
    folder: tempfile::TempDir,
}

impl World {
    fn start() -> World {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        std::fs::create_dir_all(folder.path().join("s3/mail")).expect("a bucket is a folder");
        let (runtime, endpoint) = serve(&folder.path().join("s3"));
        let store = Store::open(settings(folder.path(), &endpoint, "mail")).expect("it opens");
        store.migrate(MIGRATIONS).expect("tables are made");
        World { store, runtime: Some(runtime), folder }
    }

    fn objects(&self) -> Vec<PathBuf> {
        files(&self.folder.path().join("s3/mail/blobs"))
    }

    fn stop_server(&mut self) {
        self.runtime.take().expect("it runs").shutdown_background();
    }
}

fn settings(folder: &Path, endpoint: &str, bucket: &str) -> Settings {
    let mut settings = Settings::memory();
    settings.blobs = BlobPlace::S3(S3 {
        bucket: bucket.into(),
        prefix: "blobs/".into(),
        region: "nowhere".into(),
        endpoint: Some(endpoint.into()),
        credentials: Some(("key".into(), "secret".into())),
        spool: folder.join("spool"),
    });
    settings
}

fn serve(root: &Path) -> (Runtime, String) {
    let files = s3s_fs::FileSystem::new(root).expect("the folder is there");
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single("key", "secret"));
    let service = builder.build();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("loopback has a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
    runtime.spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let service = service.clone();
            let _ = socket.set_nodelay(true);
            tokio::spawn(async move {
                let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service);
                let _ = served.await;
            });
        }
    });
    (runtime, endpoint)
}

#[test]
fn what_is_written_is_read() {
    let world = World::start();
    round_trips(&world.store, &[1, 65_537, 600_000]);
    assert!(files(&world.folder.path().join("spool")).is_empty(), "nothing stays behind");
    assert!(!world.objects().is_empty());
}

#[test]
fn large_ones_go_in_parts() {
    let world = World::start();
    let body = noise(20 << 20);
    let blob = put(&world.store, &prepare(&world.store, b"head", &[&body]));
    assert_eq!(world.objects().len(), 1);
    assert_eq!(read(&world.store, blob, 0, 4).as_deref(), Ok(&b"head"[..]));
    let middle = 17 << 20;
    assert_eq!(read(&world.store, blob, middle + 4, middle + 104).as_deref(), Ok(&body[17 << 20..(17 << 20) + 100]));
    assert!(read(&world.store, blob, 4, u64::MAX).is_ok_and(|all| all == body));
}

#[test]
fn what_nobody_needs_is_swept() {
    let world = World::start();
    references(&world.store, || world.objects().len());
}

#[test]
fn what_has_no_row_is_swept_after_a_day() {
    let world = World::start();
    orphans(&world.store, || world.objects().len());
}

#[test]
fn damage_and_absence_are_said() {
    let mut world = World::start();
    let body = noise(300_000);
    let blob = put(&world.store, &prepare(&world.store, b"", &[&body]));
    let [object] = &world.objects()[..] else { panic!("one object") };
    let good = std::fs::read(object).expect("it can be read");
    let mut bad = good.clone();
    bad[7] ^= 1;
    std::fs::write(object, &bad).expect("it can be written");
    assert!(matches!(read(&world.store, blob, 0, 10), Err(Error::Corrupt(_))));
    std::fs::write(object, &good[..200_000]).expect("it can be written");
    assert!(matches!(read(&world.store, blob, 0, 10), Err(Error::Corrupt(_))));
    std::fs::remove_file(object).expect("it can be removed");
    assert!(matches!(read(&world.store, blob, 0, 10), Err(Error::Corrupt(_))));
    world.stop_server();
    let mut upload = world.store.upload();
    upload.write(&body).expect("it arrives in the local folder");
    let refused = upload.finish(Vec::new()).map(|_| ());
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    assert!(matches!(read(&world.store, blob, 0, 10), Err(Error::Unavailable(_))));
    assert!(files(&world.folder.path().join("spool")).is_empty(), "nothing stays behind");
}

#[test]
fn a_wrong_bucket_or_key_is_said_at_once() {
    let world = World::start();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (_runtime, endpoint) = serve(&world.folder.path().join("s3"));
    let mut wrong_key = settings(folder.path(), &endpoint, "mail");
    if let BlobPlace::S3(s3) = &mut wrong_key.blobs {
        s3.credentials = Some(("key".into(), "guess".into()));
        assert!(!format!("{s3:?}").contains("guess"), "secrets do not get into logs");
    }
    for settings in [wrong_key, settings(folder.path(), &endpoint, "nothing")] {
        let error = Store::open(settings).map(|_| ()).expect_err("it does not open");
        assert!(matches!(error, Error::Settings(_)), "{error:?}");
    }
}

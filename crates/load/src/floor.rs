//! What the machine itself can do: no server is faster than this.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::report::Latency;

/// Appends of this many octets are synced.
const APPEND: usize = 4096;
const APPENDS: usize = 300;
const ROUND_TRIPS: usize = 5000;

/// The floor under all other figures.
#[derive(Debug, Serialize)]
pub(crate) struct Floor {
    /// write of 4 KB at the end of a file, then fdatasync.
    pub(crate) append_and_fdatasync: Latency,
    /// One octet to another thread over loopback TCP and back.
    pub(crate) loopback_round_trip: Latency,
}

pub(crate) fn measure(folder: &Path) -> Result<Floor> {
    Ok(Floor { append_and_fdatasync: Latency::of(appends(folder)?), loopback_round_trip: Latency::of(round_trips()?) })
}

fn appends(folder: &Path) -> Result<Vec<Duration>> {
    let path = folder.join(format!("floor-{}", std::process::id()));
    let mut file = std::fs::File::create_new(&path).with_context(|| format!("{} cannot be written", path.display()))?;
    // A file without a name is gone with this process, however it ends.
    std::fs::remove_file(&path)?;
    let block = [0x61; APPEND];
    let mut times = Vec::with_capacity(APPENDS);
    for _ in 0..APPENDS {
        let began = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    Ok(times)
}

fn round_trips() -> Result<Vec<Duration>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut near = TcpStream::connect(listener.local_addr()?)?;
    let (mut far, _) = listener.accept()?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let echo = std::thread::spawn(move || -> std::io::Result<()> {
        let mut octet = [0];
        while far.read(&mut octet)? == 1 {
            far.write_all(&octet)?;
        }
        Ok(())
    });
    let mut times = Vec::with_capacity(ROUND_TRIPS);
    let mut octet = [b'x'];
    for _ in 0..ROUND_TRIPS {
        let began = Instant::now();
        near.write_all(&octet)?;
        near.read_exact(&mut octet)?;
        times.push(began.elapsed());
    }
    drop(near);
    echo.join().ok().context("the echo ended in a panic")??;
    Ok(times)
}

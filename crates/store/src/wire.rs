//! The wire to a PostgreSQL: requests are sent one behind the other, and answers waited for together.
//!
//! A look that asks one thing is `BEGIN`, the question and `ROLLBACK`: three journeys where one does. Here `BEGIN` goes with the
//! first statement, and nobody waits for the end of a transaction that changed nothing.
//!
//! Invariants:
//! 1. Opened, used and dropped on one and the same thread, which has no runtime of its own: this one has its own.
//! 2. Answers are in the order of requests; an answer that nobody waits for is read and forgotten.

use futures_core::Stream;
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Config, Error, NoTls, Row, RowStream, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

/// What moves requests and answers: the connection's own part.
type Mover = Box<dyn FnMut(&mut Context<'_>) -> Poll<Option<Result<AsyncMessage, Error>>> + Send>;

/// An open connection.
pub(crate) struct Wire {
    // Dropped first: without its client the line says goodbye.
    client: Client,
    line: Line,
    /// What opens the transaction, until it goes with the first statement.
    begin: Cell<Option<&'static str>>,
    journeys: Cell<u64>,
}

struct Line {
    runtime: Runtime,
    mover: RefCell<Mover>,
}

/// What a request came to. `None`: the connection was closed before it.
pub(crate) type Failure = Option<Error>;

impl Wire {
    /// Connects. Blocks.
    pub(crate) fn open(config: &Config, tls: Option<&MakeRustlsConnect>) -> Result<Wire, Opening> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(Opening::Runtime)?;
        let (client, mover): (Client, Mover) = match tls {
            Some(tls) => {
                let (client, mut connection) = runtime.block_on(config.connect(tls.clone()))?;
                (client, Box::new(move |context| connection.poll_message(context)))
            }
            None => {
                let (client, mut connection) = runtime.block_on(config.connect(NoTls))?;
                (client, Box::new(move |context| connection.poll_message(context)))
            }
        };
        let line = Line { runtime, mover: RefCell::new(mover) };
        Ok(Wire { client, line, begin: Cell::new(None), journeys: Cell::new(0) })
    }

    /// How often an answer was waited for.
    pub(crate) fn journeys(&self) -> u64 {
        self.journeys.get()
    }

    /// Opens a transaction with the first statement that follows. Says at once when the other side has hung up.
    pub(crate) fn begin_later(&self, begin: &'static str) -> Result<(), Lost> {
        self.begin.set(None);
        if self.line.has_ended() || self.client.is_closed() {
            return Err(Lost);
        }
        self.begin.set(Some(begin));
        Ok(())
    }

    /// Ends a transaction that changed nothing, and waits for nobody. What went wrong is seen when the next one begins.
    pub(crate) fn forget(&self) {
        if self.begin.take().is_none() {
            self.line.send(self.client.batch_execute("ROLLBACK"));
        }
    }

    pub(crate) fn prepare(&self, sql: &str) -> Result<Statement, Failure> {
        self.wait(None, |client| client.prepare(sql))
    }

    /// Statements without parameters.
    pub(crate) fn batch(&self, sql: &str) -> Result<(), Failure> {
        self.wait(self.begin.take(), |client| client.batch_execute(sql))
    }

    pub(crate) fn execute<P: ToSql + Sync>(&self, statement: &Statement, params: &[P]) -> Result<u64, Failure> {
        self.wait(self.begin.take(), |client| client.execute_raw(statement, params.iter()))
    }

    pub(crate) fn query<P: ToSql + Sync>(&self, statement: &Statement, params: &[P]) -> Result<RowStream, Failure> {
        self.wait(self.begin.take(), |client| client.query_raw(statement, params.iter()))
    }

    /// The next row of an answer.
    pub(crate) fn next(&self, mut rows: Pin<&mut RowStream>) -> Result<Option<Row>, Failure> {
        // Most of them have come in with the one before.
        if let Poll::Ready(row) = rows.as_mut().poll_next(&mut Context::from_waker(Waker::noop())) {
            return row.transpose().map_err(Some);
        }
        self.line.drive(poll_fn(|context| rows.as_mut().poll_next(context).map(Option::transpose)))
    }

    /// Sends what opens the transaction, if anything, and behind it a request; waits for both answers.
    fn wait<'a, T, F>(
        &'a self,
        begin: Option<&'static str>,
        request: impl FnOnce(&'a Client) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Error>> + 'a,
    {
        self.journeys.set(self.journeys.get() + 1);
        let request = request(&self.client);
        match begin {
            None => self.line.drive(request),
            Some(begin) => self.line.drive(async {
                let (begun, answered) = tokio::join!(biased; self.client.batch_execute(begin), request);
                begun.and(answered)
            }),
        }
    }
}

impl Line {
    /// Waits for a future that the mover feeds.
    fn drive<T>(&self, future: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
        let mut future = pin!(future);
        self.runtime.block_on(poll_fn(|context| {
            let moved = self.advance(context);
            match (future.as_mut().poll(context), moved) {
                (Poll::Ready(outcome), _) => Poll::Ready(outcome.map_err(Some)),
                (Poll::Pending, Err(failure)) => Poll::Ready(Err(failure)),
                (Poll::Pending, Ok(())) => Poll::Pending,
            }
        }))
    }

    /// Sends a request whose answer nobody waits for.
    fn send<T>(&self, request: impl Future<Output = T>) {
        let _inside = self.runtime.enter();
        let mut context = Context::from_waker(Waker::noop());
        // The first poll puts the request into the line, and the mover's next turn onto the wire. What went wrong is seen by
        // whoever comes next.
        if pin!(request).poll(&mut context).is_pending() {
            drop(self.advance(&mut context));
        }
    }

    /// Whether the other side has hung up, as far as is known here. Waits for nothing.
    fn has_ended(&self) -> bool {
        self.runtime.block_on(async {
            let before = poll_fn(|context| Poll::Ready(self.advance(context))).await;
            // What came in meanwhile is known once the runtime has looked.
            tokio::task::yield_now().await;
            before.is_err() || poll_fn(|context| Poll::Ready(self.advance(context))).await.is_err()
        })
    }

    /// Moves what can be moved. `Err`: the connection has ended.
    fn advance(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        let mut mover = self.mover.borrow_mut();
        loop {
            match mover(context) {
                // Notices; what is told to all sessions comes to a connection of its own.
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(error))) => return Err(Some(error)),
                Poll::Ready(None) => return Err(None),
                Poll::Pending => return Ok(()),
            }
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let goodbye = poll_fn(|context| match self.advance(context) {
            Ok(()) => Poll::Pending,
            Err(_) => Poll::Ready(()),
        });
        drop(self.runtime.block_on(async { tokio::time::timeout(GOODBYE_MAX, goodbye).await }));
    }
}

/// The other side has hung up.
#[derive(Debug)]
pub(crate) struct Lost;

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum Opening {
    Runtime(io::Error),
    Refused(Error),
}

impl From<Error> for Opening {
    fn from(error: Error) -> Opening {
        Opening::Refused(error)
    }
}

/// A goodbye that nobody hears is not waited for.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

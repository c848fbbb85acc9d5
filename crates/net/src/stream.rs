//! A connection's bytes, in clear or through TLS, and reading them without holding a buffer while idle.

use std::any::Any;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use postroad_protocol::TlsFacts;
#[cfg(target_os = "linux")]
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::Tls;
use crate::certificates::shown_during;
use crate::tls::facts;

/// A socket, in clear or in TLS. Tests put a pipe in the socket's place.
#[derive(Debug)]
pub enum Stream<S = TcpStream> {
    /// In clear.
    Plain(S),
    /// In TLS; the state of rustls is large and lives apart.
    Tls(Box<TlsStream<S>>),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream<S> {
    /// Shakes hands. Nothing that was read before is known here, so nothing of it can slip into the secure part
    /// (RFC 3207 §6). A stream in TLS already is refused.
    pub async fn secure(self, tls: &Tls, alpn: &[Vec<u8>]) -> io::Result<(Stream<S>, TlsFacts)> {
        let Stream::Plain(socket) = self else {
            return Err(io::Error::other("TLS within TLS"));
        };
        // Boxed: the handshake's own state is large and short-lived.
        let (secure, shown) = shown_during(Box::pin(async { tls.acceptor(alpn).accept(socket).await })).await;
        let secure = secure?;
        let facts = facts(secure.get_ref().1, shown.as_deref(), tls);
        Ok((Stream::Tls(Box::new(secure)), facts))
    }

    /// Hands what comes next to `take`; 0 at the end of the input. The space is on the stack of the moment: an idle
    /// connection holds no buffer. Nothing is lost when the future is dropped.
    pub(crate) async fn read_into(&mut self, mut take: impl FnMut(&[u8])) -> io::Result<usize> {
        poll_fn(|cx| {
            let mut space = [const { MaybeUninit::uninit() }; READ_SIZE];
            let mut buffer = ReadBuf::uninit(&mut space);
            match ready!(Pin::new(&mut *self).poll_read(cx, &mut buffer)) {
                Ok(()) => {}
                // Many peers cut TLS without close_notify. Framing is the protocols' own, so this is an end like
                // any other: an unfinished command or message is never acted on.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Poll::Ready(Ok(0)),
                Err(error) => return Poll::Ready(Err(error)),
            }
            take(buffer.filled());
            Poll::Ready(Ok(buffer.filled().len()))
        })
        .await
    }
}

impl<S: 'static> Stream<S> {
    /// Has the kernel acknowledge at once what was read. Where no answer carries the acknowledgement along, it waits
    /// 40 ms, and a client that sends a message and its last line apart (Nagle; Python's imaplib) waits for it.
    pub(crate) fn acknowledge(&self) {
        let socket: &dyn Any = match self {
            Stream::Plain(socket) => socket,
            Stream::Tls(tls) => tls.get_ref().0,
        };
        #[cfg(target_os = "linux")]
        if let Some(socket) = socket.downcast_ref::<TcpStream>() {
            // It only makes things faster; a socket that fails here fails at the next read.
            let _ = SockRef::from(socket).set_tcp_quickack(true);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = socket;
    }
}

/// How much is read at once: one full TLS record.
pub(crate) const READ_SIZE: usize = 16 * 1024;

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Stream::Plain(socket) => Pin::new(socket).poll_read(cx, buffer),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_read(cx, buffer),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Stream::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Stream::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Stream::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(cx),
        }
    }
}

//! `/skiff/v1/snapshot`: the whole store as a file, from a member that runs. For administrators only: it holds everything.

use std::io::{self, BufWriter, Write};

use bytes::Bytes;
use http::Response;
use tokio::sync::mpsc;

use crate::{
    server::{App, body::Body, respond},
    status::Status,
};

pub(crate) const PATH: &str = "/skiff/v1/snapshot";

/// Bytes of a piece; a few are in memory at once, however large the store is.
const PIECE: usize = 256 << 10;

/// Everything acknowledged before the request, and one revision: writes go on beside it.
pub(crate) async fn answer(app: &App, headers: &http::HeaderMap) -> Result<Response<Body>, Status> {
    let store = app.registry.store();
    store.read_barrier().await?;
    let snapshot = store.snapshot();
    let (pieces, body) = mpsc::channel::<Bytes>(4);
    tokio::task::spawn_blocking(move || {
        let mut out = BufWriter::with_capacity(PIECE, Pieces(pieces));
        // It fails when the client is gone. A file that is cut short says so itself: it has no end.
        if let Err(error) = snapshot.write(&mut out).and_then(|()| out.flush()) {
            tracing::debug!(%error, "a snapshot was not taken to its end");
        }
    });
    let mut response = respond::with_type(200, Bytes::new(), "application/octet-stream", headers);
    *response.body_mut() = Body::stream(futures::stream::unfold(body, |mut body| async {
        let piece = body.recv().await?;
        Some((piece, body))
    }));
    response.headers_mut().remove(http::header::CONTENT_LENGTH);
    Ok(response)
}

struct Pieces(mpsc::Sender<Bytes>);

impl Write for Pieces {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.0
            .blocking_send(Bytes::copy_from_slice(piece))
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! Frames on the wire (SPDY Draft 3.1, section 2.2): eight bytes of header, then the payload.

use std::io;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt};

const VERSION: u16 = 3;
const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const HEADERS: u16 = 8;
const FIN: u8 = 1;
/// Data is sent in frames of at most this length.
pub const MAX_DATA: usize = 32 * 1024;
/// No control frame of these clients comes near it.
const MAX_CONTROL: usize = 64 * 1024;

/// What a client sends.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// Opens a stream; `fin`: without data.
    SynStream { id: u32, fin: bool, block: Bytes },
    /// More headers.
    Headers { block: Bytes },
    /// Data; `fin`: the last.
    Data { id: u32, fin: bool, bytes: Bytes },
    /// Breaks a stream off.
    Reset { id: u32 },
    /// To be echoed.
    Ping { payload: [u8; 4] },
    /// The client leaves.
    GoAway,
    /// Settings, window updates.
    Other,
}

/// Reads one frame; `None` at the end.
///
/// # Errors
/// `InvalidData` for another protocol version or an oversized control frame.
pub async fn read(io: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Frame>> {
    let mut header = [0; 8];
    match io.read_exact(&mut header).await {
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(e) => return Err(e),
    }
    let first = u32::from_be_bytes([header[0], header[1], header[2], header[3]]);
    let flags = header[4];
    let length = u32::from_be_bytes([0, header[5], header[6], header[7]]) as usize;
    let fin = flags & FIN != 0;
    if first >> 31 == 0 {
        return Ok(Some(Frame::Data {
            id: first,
            fin,
            bytes: payload(io, length).await?,
        }));
    }
    let version = (first >> 16) as u16 & 0x7fff;
    if version != VERSION || length > MAX_CONTROL {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("SPDY version {version}, length {length}"),
        ));
    }
    let payload = payload(io, length).await?;
    let number = |at: usize| -> io::Result<u32> {
        let bytes = payload.get(at..at + 4).ok_or(io::ErrorKind::InvalidData)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) & 0x7fff_ffff)
    };
    let rest = |from: usize| {
        if payload.len() < from {
            Bytes::new()
        } else {
            payload.slice(from..)
        }
    };
    Ok(Some(match first as u16 {
        SYN_STREAM => Frame::SynStream {
            id: number(0)?,
            fin,
            block: rest(10),
        },
        HEADERS => Frame::Headers { block: rest(4) },
        RST_STREAM => Frame::Reset { id: number(0)? },
        PING => {
            let bytes = payload.get(..4).and_then(|b| b.try_into().ok());
            Frame::Ping {
                payload: bytes.ok_or(io::ErrorKind::InvalidData)?,
            }
        }
        GOAWAY => Frame::GoAway,
        _ => Frame::Other,
    }))
}

/// Grows with what arrives, not with what is announced.
async fn payload(io: &mut (impl AsyncRead + Unpin), length: usize) -> io::Result<Bytes> {
    let mut bytes = Vec::new();
    io.take(length as u64).read_to_end(&mut bytes).await?;
    if bytes.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes.into())
}

/// A data frame.
pub fn data(id: u32, bytes: &[u8], fin: bool) -> Vec<u8> {
    frame(id.to_be_bytes(), if fin { FIN } else { 0 }, &[bytes])
}

/// Accepts a stream.
pub fn syn_reply(id: u32, block: &[u8]) -> Vec<u8> {
    frame(control(SYN_REPLY), 0, &[&id.to_be_bytes(), block])
}

/// The echo of a ping.
pub fn ping(payload: &[u8; 4]) -> Vec<u8> {
    frame(control(PING), 0, &[payload])
}

/// Goodbye; `last` is the last stream that was accepted.
pub fn goaway(last: u32) -> Vec<u8> {
    frame(control(GOAWAY), 0, &[&last.to_be_bytes(), &0_u32.to_be_bytes()])
}

fn control(kind: u16) -> [u8; 4] {
    let version = (0x8000 | VERSION).to_be_bytes();
    let kind = kind.to_be_bytes();
    [version[0], version[1], kind[0], kind[1]]
}

fn frame(first: [u8; 4], flags: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|p| p.len()).sum();
    let mut out = Vec::with_capacity(8 + length);
    out.extend_from_slice(&first);
    out.push(flags);
    out.extend_from_slice(&(length as u32).to_be_bytes()[1..]);
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// As a client would open a stream.
#[cfg(test)]
pub fn syn_stream(id: u32, block: &[u8]) -> Vec<u8> {
    frame(control(SYN_STREAM), 0, &[&id.to_be_bytes(), &[0; 6], block])
}
